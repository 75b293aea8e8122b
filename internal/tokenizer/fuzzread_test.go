package tokenizer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// use encodes and decodes with a tokenizer that was read from anywhere.
func use(t *testing.T, tok *tokenizer.Tokenizer, texts ...string) {
	t.Helper()
	for _, text := range texts {
		ids := tok.Encode(text, true)
		tokens := tok.EncodeTokens(text, true)
		if len(tokens) != len(ids) {
			t.Fatalf("Encode(%q): %d ids, %d tokens", text, len(ids), len(tokens))
		}
		for i, token := range tokens {
			if token.ID != ids[i] || token.ID < 0 || int(token.ID) >= tok.VocabSize() {
				t.Fatalf("Encode(%q): id %d, token %+v of %d", text, ids[i], token, tok.VocabSize())
			}
			if token.Start < 0 || token.Start > token.End || token.End > len(text) {
				t.Fatalf("Encode(%q): token %+v", text, token)
			}
		}
		tok.Decode(ids, false)
		_, _ = stream(tok.NewStream(true), ids)
	}
	tok.Hash()
}

func FuzzSentencePiece(f *testing.F) {
	f.Add(spm(proto(3, 1), proto(2, charsmap()), somePieces...), " ab a[X]")
	f.Add(spm(proto(3, 2, 35, 1), proto(3, 0, 4, 0), somePieces...), "aＡ\xff")
	f.Add(spm(proto(3, 1), proto(5, 0), spmPiece{"a", -1, 5}), "")
	f.Fuzz(func(t *testing.T, model []byte, text string) {
		path := filepath.Join(t.TempDir(), "x.model")
		if err := os.WriteFile(path, model, 0o666); err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.Load(path)
		if err != nil {
			if !strings.Contains(err.Error(), path) {
				t.Fatalf("the error does not name the file: %v", err)
			}
			return
		}
		use(t, tok, text, "é a  b")
	})
}

// The tokens are separated by NUL, and a token's first byte chooses its type.
func FuzzFromGGUF(f *testing.F) {
	for _, model := range []string{"gpt2", "llama", "bert", "t5"} {
		f.Add(model, "llama-bpe", "2<unk>\x003<s>\x001a\x001b\x001ab\x001▁\x001[CLS]\x006<0x41>", "a b", uint16(3), "a b <s>")
	}
	f.Fuzz(func(t *testing.T, model, pre, tokens, merges string, flags uint16, text string) {
		v := tokenizer.GGUFVocab{
			Model: model, Pre: pre, Merges: strings.Split(merges, "\x00"), BOS: 1, EOS: int32(flags>>8) - 1, PAD: -1, UNK: 0, SEP: 1,
			AddBOS: flags&1 != 0, AddEOS: flags&2 != 0, AddSpacePrefix: flags&4 != 0, RemoveExtraSpaces: flags&8 != 0,
		}
		if flags&16 != 0 {
			v.Charsmap = []byte(merges)
		}
		for i, token := range strings.Split(tokens, "\x00") {
			if token == "" {
				continue
			}
			v.Types = append(v.Types, int32(token[0]-'0'))
			v.Tokens, v.Scores = append(v.Tokens, token[1:]), append(v.Scores, -float32(i%7))
		}
		tok, err := tokenizer.FromGGUF(v)
		if err != nil {
			return
		}
		use(t, tok, text, tokens)
	})
}
