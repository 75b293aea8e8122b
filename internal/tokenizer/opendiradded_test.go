package tokenizer_test

import (
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// A tokenizer of a word list is the same one after it was written and read.
func TestWordListWritten(t *testing.T) {
	const words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n"
	for name, files := range map[string]map[string]string{
		"bare":  {"vocab.txt": words},
		"class": {"vocab.txt": words, "tokenizer_config.json": `{"tokenizer_class": "ElectraTokenizer", "do_lower_case": true}`},
		"flags": {"vocab.txt": words, "tokenizer_config.json": `{"mask_token": {"content": "[MASK]", "lstrip": true}}`},
		"gpt2":  {"vocab.json": `{"<|endoftext|>": 0, "a": 1, "b": 2, "ab": 3}`, "merges.txt": "a b\n"},
	} {
		before, err := load(t, files)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := before.Write(dir); err != nil {
			t.Fatal(err)
		}
		after, err := tokenizer.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		const text = "ab [MASK]<|endoftext|>a"
		if a, b := before.Encode(text, true), after.Encode(text, true); before.Hash() != after.Hash() || !slices.Equal(a, b) {
			t.Errorf("%s: hash %.8s, ids %v; written and read: %.8s, %v", name, before.Hash(), a, after.Hash(), b)
		}
	}
}
