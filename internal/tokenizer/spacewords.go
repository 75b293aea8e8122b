package tokenizer

import "strings"

// SentencePiece models see a whole text as one word. Where no token has a ▁ after
// another character, nothing can be merged across the place before a ▁, and each
// part between such places can be tokenized, and remembered, on its own.

// cutsAtSpaces reports whether that is so. A ▁ must be a token itself: what is
// unknown would be joined across it.
func cutsAtSpaces(m model) bool {
	var ids map[string]int32
	switch m := m.(type) {
	case *bpe:
		if m.prefix != "" || m.suffix != "" {
			return false
		}
		ids = m.ids
	case *scored:
		ids = m.ids
	case *unigram:
		ids = m.ids
	default:
		return false
	}
	if _, ok := ids[escapedSpace]; !ok {
		return false
	}
	for token := range ids {
		if strings.Contains(strings.TrimLeft(token, escapedSpace), escapedSpace) {
			return false
		}
	}
	return true
}

// tokenize appends the tokens of a word as the model gives them.
func (t *Tokenizer) tokenize(dst []wordToken, word string) []wordToken {
	if !t.bySpaces {
		return t.model.tokenize(dst, word)
	}
	for start := 0; start < len(word); {
		end := start + spaceWordLen(word[start:])
		first := len(dst)
		dst = t.model.tokenize(dst, word[start:end])
		for i := first; i < len(dst); i++ {
			dst[i].end += int32(start)
		}
		start = end
	}
	return dst
}

// spaceWordLen returns the length of the ▁ at the start of s and of what follows
// up to the next one.
func spaceWordLen(s string) int {
	n := 0
	for strings.HasPrefix(s[n:], escapedSpace) {
		n += len(escapedSpace)
	}
	if i := strings.Index(s[n:], escapedSpace); i >= 0 {
		return n + i
	}
	return len(s)
}
