package tokenizer

import "strings"

// TokenBytes returns the bytes that a token adds to a text that has begun; they
// may be part of a character. Those of a special token are its name. ok is false
// for an id that no token has, and for all tokens of a vocabulary whose texts
// depend on the tokens around them.
func (t *Tokenizer) TokenBytes(id int32) (bytes []byte, ok bool) {
	if _, ok := t.vocab.token(id); !ok || t.decoder != nil && needsWhole(t.decoder) {
		return nil, false
	}
	// At the beginning of a text a token may lose its space: what counts is what
	// it adds after itself.
	once, twice := t.decode([]int32{id}, false, true), t.decode([]int32{id, id}, false, true)
	added, ok := strings.CutPrefix(twice, once)
	return []byte(added), ok
}
