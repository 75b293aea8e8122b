package recipes

import (
	"fmt"
	"os"
	"testing"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/tokenizer"
)

// Vocabularies of real models, as student and as server: byte-level with and
// without a space before texts, and with byte tokens.
func TestAlignmentOfRealVocabularies(t *testing.T) {
	const dir = "../../shared/fixtures/tokenizers/ggml-vocab-"
	texts := []string{"The printer is out of paper.", "naïve café 🦙 日本語", "x = 3.14;\n\tif (a) { return  b; }", "low", "I don't know what 2026-01-15 was, honestly"}
	toks := map[string]*tokenizer.Tokenizer{}
	for _, name := range []string{"gpt-2", "falcon", "phi-3"} {
		path := dir + name + ".gguf"
		if _, err := os.Stat(path); err != nil {
			t.Skip("needs ", path)
		}
		tok, err := tokenizerAt(path)
		if err != nil {
			t.Fatal(err)
		}
		toks[name] = tok
	}
	for teacher, from := range toks {
		end, _ := from.EOS()
		for student, to := range toks {
			for _, divergence := range []string{"", distill.ULD} {
				stop, _ := to.EOS()
				a := distill.NewAligner(to, []int32{stop}, 3, distill.Options{Divergence: divergence, MinCoverage: new(0.3)})
				for i, text := range texts {
					tokens := append(from.Encode(text, false), end)
					pieces := distill.PiecesOf(from, []int32{end}, &distill.Answer{Tokens: tokens, LogProbs: make([]float32, len(tokens))})
					for j := range pieces {
						pieces[j].LogProb = -1
					}
					if err := a.Add(fmt.Sprint("text ", i), text, append(to.Encode(text, false), stop), pieces); err != nil {
						t.Fatal(err)
					}
				}
				_, c, err := a.Finish()
				if err != nil {
					t.Errorf("%s to %s %s: %v", teacher, student, divergence, err)
				}
				if same := teacher == student; (c.Share() == 1 && c.Mass() > 0.999) != same && divergence == "" {
					t.Errorf("%s to %s: %v\n%q", teacher, student, c, c.Examples)
				}
				if c.Share() < 0.8 && divergence != "" {
					t.Errorf("%s to %s uld: %v\n%q", teacher, student, c, c.Examples)
				}
			}
		}
	}
}
