package redact

import (
	"unicode"
	"unicode/utf8"
)

// folded is a text in the form in which the built-in kinds are looked for.
type folded struct {
	text     string
	original string
	at       []int32 // where each byte comes from; nil if nothing differs
}

// fold replaces digits, letters, spaces and dashes by their ASCII counterparts
// and drops invisible characters.
func fold(text string) folded {
	i := 0
	for i < len(text) && (text[i] < utf8.RuneSelf || foldAt(text[i:]) == keep) {
		i++
	}
	if i == len(text) {
		return folded{text: text, original: text}
	}
	out := append(make([]byte, 0, len(text)), text[:i]...)
	at := make([]int32, i, len(text))
	for k := range at {
		at[k] = int32(k)
	}
	for i < len(text) {
		c, size := text[i], 1
		if c >= utf8.RuneSelf {
			if to := foldAt(text[i:]); to != keep {
				_, size = utf8.DecodeRuneInString(text[i:])
				c = to
			}
		}
		if c != drop {
			out, at = append(out, c), append(at, int32(i))
		}
		i += size
	}
	return folded{text: string(out), original: text, at: at}
}

// foldAt is foldRune for the first rune of text; a byte amid a rune is kept.
func foldAt(text string) byte {
	if !utf8.RuneStart(text[0]) {
		return keep
	}
	r, _ := utf8.DecodeRuneInString(text)
	return foldRune(r)
}

const (
	keep = byte(0xff) // neither is a byte of UTF-8
	drop = byte(0xfe)
)

// foldRune returns the ASCII counterpart of r, keep or drop.
func foldRune(r rune) byte {
	switch {
	case r >= 0xff01 && r <= 0xff5e: // full-width ASCII
		return byte(r - 0xff01 + '!')
	case r >= 0x2010 && r <= 0x2015, r == 0x2212: // hyphens, dashes, minus
		return '-'
	case r == 0xad, r >= 0x200b && r <= 0x200f, r == 0x2060, r == 0xfeff: // soft hyphen, zero width
		return drop
	case r < 0x660 && r != 0xa0, r >= 0x3001 && r < 0xa620, r >= 0xac00 && r < 0xff00, r == utf8.RuneError:
		return keep // no digits, no spaces here
	case unicode.Is(unicode.Zs, r):
		return ' '
	case unicode.Is(unicode.Nd, r):
		// Digits come in runs of ten, from zero to nine.
		return '0' + byte(digitValue(r))
	}
	return keep
}

// digitValue returns the value of a decimal digit of any script.
func digitValue(r rune) int {
	if r >= 0x1d7ce && r <= 0x1d7ff { // mathematical digits: five tens that touch
		return int(r-0x1d7ce) % 10
	}
	for _, block := range unicode.Nd.R16 {
		if rune(block.Lo) <= r && r <= rune(block.Hi) {
			return int(r-rune(block.Lo)) % 10
		}
	}
	for _, block := range unicode.Nd.R32 {
		if rune(block.Lo) <= r && r <= rune(block.Hi) {
			return int(r-rune(block.Lo)) % 10
		}
	}
	return 0
}

// span returns where the bytes from start to end of the folded text lie in the
// original; there must be some.
func (f folded) span(start, end int) (int, int) {
	if f.at == nil {
		return start, end
	}
	last := int(f.at[end-1])
	size := 1
	if f.text[end-1] < utf8.RuneSelf && f.original[last] >= utf8.RuneSelf {
		_, size = utf8.DecodeRuneInString(f.original[last:])
	}
	return int(f.at[start]), last + size
}
