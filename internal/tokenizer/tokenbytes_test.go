package tokenizer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// The bytes of a text's tokens are the text, but for a space before it, with the
// vocabularies of real models: byte-level, and with byte tokens.
func TestTokenBytes(t *testing.T) {
	for _, name := range []string{"ggml-vocab-gpt-2.gguf", "ggml-vocab-falcon.gguf", "ggml-vocab-phi-3.gguf"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("../../../shared/fixtures/tokenizers", name)
			cases, err := os.ReadFile(path + ".inp")
			if err != nil {
				t.Skip("needs ", path)
			}
			tok, err := tokenizer.FromGGUF(ggufVocab(t, path))
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range append(strings.Split(string(cases), "\n__ggml_vocab_test__\n"), "plain", " x", "naïve 🦙 日本\n\ttab", "\u0000\u0001") {
				var b strings.Builder
				ids := tok.Encode(text, false)
				for _, id := range ids {
					bytes, ok := tok.TokenBytes(id)
					if !ok {
						t.Fatalf("%q: no bytes of token %d", text, id)
					}
					b.Write(bytes)
				}
				if got := b.String(); got != text && got != " "+text {
					t.Errorf("%q: the tokens' bytes are %q", text, got)
				}
			}
			for _, id := range []int32{-1, int32(tok.VocabSize())} {
				if b, ok := tok.TokenBytes(id); ok {
					t.Errorf("token %d is %q", id, b)
				}
			}
		})
	}
}

// The tokens of a trained vocabulary, and its special ones by name.
func TestTokenBytesOfSpecials(t *testing.T) {
	tok, err := tokenizer.Train(func(yield func(string) bool) { yield("low lower lowest") }, tokenizer.TrainOptions{VocabSize: 270})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for id := range int32(tok.VocabSize()) {
		b, ok := tok.TokenBytes(id)
		if !ok {
			t.Fatalf("no bytes of %d", id)
		}
		seen[string(b)] = true
	}
	for i := range 256 {
		if !seen[string([]byte{byte(i)})] {
			t.Errorf("no token is the byte %#x", i)
		}
	}
	eos, _ := tok.EOS()
	name, _ := tok.Token(eos)
	if b, ok := tok.TokenBytes(eos); !ok || string(b) != name || name == "" {
		t.Errorf("the end is %q, want %q", b, name)
	}
}
