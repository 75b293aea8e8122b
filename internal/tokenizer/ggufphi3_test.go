package tokenizer_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/tokenizer"
)

// phi3Vocab is a vocabulary with the special tokens of Phi-3.
func phi3Vocab() tokenizer.GGUFVocab {
	v := tokenizer.GGUFVocab{Model: "llama", Tokens: []string{"<unk>", "<s>", "</s>", "▁", "a", "<|user|>", "<|endoftext|>"},
		Types: []int32{2, 3, 4, 1, 1, 3, 3}, BOS: 1, EOS: 6, PAD: -1, UNK: 0, AddSpacePrefix: true, Phi3: true}
	v.Scores = make([]float32, len(v.Tokens))
	return v
}

func TestPhi3DropsSpaces(t *testing.T) {
	named := phi3Vocab()
	other := phi3Vocab()
	other.Phi3 = false
	for _, c := range []struct {
		v    tokenizer.GGUFVocab
		text string
		want []int32
	}{
		{named, "<|user|>  a</s> a", []int32{5, 3, 4, 2, 3, 4}},
		{named, "<s> a<|endoftext|> a", []int32{1, 3, 3, 4, 6, 3, 3, 4}},
		{other, "<|user|>  a</s> a", []int32{5, 3, 3, 3, 4, 2, 3, 3, 4}},
	} {
		tok, err := tokenizer.FromGGUF(c.v)
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.Encode(c.text, false); !slices.Equal(got, c.want) {
			t.Errorf("Phi3 %t: Encode(%q) = %v, want %v", c.v.Phi3, c.text, got, c.want)
		}
		again, err := tok.GGUF()
		if err != nil || again.Phi3 != c.v.Phi3 {
			t.Errorf("GGUF: Phi3 %t, want %t; %v", again.Phi3, c.v.Phi3, err)
		}
	}
}

// A tokenizer that drops spaces after other tokens than Phi-3's has no name.
func TestGGUFRefusesOtherRStrip(t *testing.T) {
	v := phi3Vocab()
	v.Tokens[2] = "<end>" // llama.cpp looks for </s>
	tok, err := tokenizer.FromGGUF(v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tok.GGUF(); err == nil || !strings.Contains(err.Error(), "rstrip") {
		t.Errorf("error %v, want one of rstrip", err)
	}
}

func TestNamedPhi3(t *testing.T) {
	for name, want := range map[string]bool{"Phi3": true, "my-PHI-3-mini": true, "phi 3": false, "phi-2": false, "": false} {
		if got := tokenizer.NamedPhi3(name); got != want {
			t.Errorf("NamedPhi3(%q) = %t", name, got)
		}
	}
}
