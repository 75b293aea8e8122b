package tokenizer

import (
	"slices"
	"strings"
)

// phi3Keeps are the special tokens of Phi-3 after which spaces stay, and
// phi3Needs those without which llama.cpp does not open a file named so.
var (
	phi3Keeps = []string{"<unk>", "<s>", "<|endoftext|>"}
	phi3Needs = append([]string{"</s>"}, phi3Keeps...)
)

// NamedPhi3 tells whether llama.cpp drops the spaces after most special tokens
// in a file of that general.name, as Phi-3's tokenizer does (rstrip): no key
// says it.
func NamedPhi3(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "phi3") || strings.Contains(name, "phi-3")
}

// stripsAsPhi3 tells whether spaces are dropped after the same tokens of t as
// in a file that is named so.
func (t *Tokenizer) stripsAsPhi3() bool {
	for _, token := range phi3Needs {
		if _, ok := t.vocab.ids[token]; !ok {
			return false
		}
	}
	strips := false
	for _, a := range t.added.byID {
		if a.RStrip == slices.Contains(phi3Keeps, a.Content) {
			return false
		}
		strips = strips || a.RStrip
	}
	return strips
}
