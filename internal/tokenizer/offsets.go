package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// lossyText is lossy with, for each byte, where it comes from.
func lossyText(s string) text {
	if utf8.ValidString(s) {
		return withOrigins(s)
	}
	var b strings.Builder
	from := make([]origin, 0, len(s))
	for at := 0; at < len(s); {
		r, n := utf8.DecodeRuneInString(s[at:])
		if n == 1 && r == utf8.RuneError {
			n = invalidLen(s[at:])
		}
		b.WriteRune(r)
		for range utf8.RuneLen(r) {
			from = append(from, origin{at, at + n})
		}
		at += n
	}
	return text{b.String(), from}
}

// trimOffsets takes spaces off the offsets of byte-level tokens ("trim_offsets").
type trimOffsets struct{ addPrefixSpace bool }

func (o trimOffsets) apply(tokens []Token) {
	space := byteRunes[' ']
	isSpace := func(r rune) bool { return r == space || unicode.IsSpace(r) }
	for i := range tokens {
		t := &tokens[i]
		leading := utf8.RuneCountInString(t.Piece[:run(t.Piece, isSpace)])
		trailing := utf8.RuneCountInString(t.Piece[len(strings.TrimRightFunc(t.Piece, isSpace)):])
		if leading > 0 {
			// A single space before the first token may be the one that was added.
			if first := i == 0 || t.Start == 0; first && o.addPrefixSpace && leading == 1 {
				leading = 0
			}
			t.Start = min(t.Start+leading, t.End)
		}
		if trailing > 0 && t.End >= trailing {
			t.End = max(t.End-trailing, t.Start)
		}
	}
}
