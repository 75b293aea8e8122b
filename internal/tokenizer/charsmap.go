package tokenizer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// charsmap holds SentencePiece's compiled rules of normalization: a double-array
// trie of byte strings whose values are places in a list of NUL-terminated
// replacements (SentencePiece, normalizer.cc; Darts-clone for the array's bits).
type charsmap struct {
	units        []uint32
	replacements string
}

// newCharsmap reads the little-endian size of the array in bytes, the array and
// the replacements. No bytes at all are the map that changes nothing.
func newCharsmap(data []byte) (charsmap, error) {
	if len(data) == 0 {
		return charsmap{}, nil
	}
	if len(data) < 4 {
		return charsmap{}, fmt.Errorf("%d bytes: want 4 of size and more", len(data))
	}
	size := binary.LittleEndian.Uint32(data)
	data = data[4:]
	switch {
	case uint64(size) > uint64(len(data)):
		return charsmap{}, fmt.Errorf("the trie has %d bytes and only %d are left", size, len(data))
	case size%4 != 0 || size == 0:
		return charsmap{}, fmt.Errorf("the trie has %d bytes, want a multiple of 4", size)
	}
	m := charsmap{units: make([]uint32, size/4)}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	rest := data[size:]
	if !utf8.Valid(rest) {
		return charsmap{}, errors.New("the replacements are not valid UTF-8")
	}
	if len(rest) > 0 && !bytes.HasSuffix(rest, []byte{0}) {
		return charsmap{}, errors.New("the last replacement does not end with NUL")
	}
	m.replacements = string(rest)
	return m, nil
}

// unitOffset is the distance to a unit's children.
func unitOffset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

// prefixes calls found with the length and replacement of each prefix of s that
// has a rule, shortest first, until it returns false. A damaged array ends the
// search as if there were no more rules.
func (m charsmap) prefixes(s string, found func(n int, by string) bool) {
	if len(m.units) == 0 {
		return
	}
	at := unitOffset(m.units[0])
	for i := range len(s) {
		c := s[i]
		if at ^= uint32(c); c == 0 || at >= uint32(len(m.units)) {
			return
		}
		unit := m.units[at]
		if unit&(1<<31|0xFF) != uint32(c) {
			return
		}
		at ^= unitOffset(unit)
		if unit&(1<<8) == 0 {
			continue
		}
		if at >= uint32(len(m.units)) {
			return
		}
		value := m.units[at] & (1<<31 - 1)
		if value >= uint32(len(m.replacements)) {
			return
		}
		by := m.replacements[value:]
		if !utf8.RuneStart(by[0]) || !found(i+1, by[:strings.IndexByte(by, 0)]) {
			return
		}
	}
}

// longest returns the longest prefix of s that has a rule, 0 for none.
func (m charsmap) longest(s string) (n int, by string) {
	m.prefixes(s, func(length int, with string) bool {
		n, by = length, with
		return true
	})
	return n, by
}

// precompiled applies a charsmap as the tokenizers library does, which differs
// from SentencePiece: what people see as one character is replaced as a whole by
// the rule for its shortest prefix if it is at most five bytes long; otherwise
// each of its characters is looked up alone.
type precompiled struct{ rules charsmap }

func (n precompiled) normalize(t text) text {
	if len(n.rules.units) == 0 {
		return t
	}
	w := t.rewrite()
	apply := func(start, end int) bool {
		done := false
		n.rules.prefixes(t.s[start:end], func(_ int, by string) bool {
			w.put(by, start, end)
			done = true
			return false
		})
		return done
	}
	for i := 0; i < len(t.s); {
		end := i + graphemeLen(t.s[i:])
		if end-i < 6 && apply(i, end) {
			i = end
			continue
		}
		for i < end {
			_, size := utf8.DecodeRuneInString(t.s[i:])
			if !apply(i, i+size) {
				w.keep(i, i+size)
			}
			i += size
		}
	}
	return w.text()
}

// graphemeLen returns the length of the first extended grapheme cluster (UAX
// #29) of s, exactly where that is at most five bytes: longer ones, such as
// Hangul syllables and flags, count as their first character with its marks.
func graphemeLen(s string) int {
	first, n := utf8.DecodeRuneInString(s)
	if first < 0x80 && (n == len(s) || s[n] < 0x80) {
		if first == '\r' && n < len(s) && s[n] == '\n' {
			return 2
		}
		return n
	}
	if isGraphemeControl(first) {
		return n
	}
	for unicode.Is(unicode.Prepended_Concatenation_Mark, first) && n < len(s) {
		next, size := utf8.DecodeRuneInString(s[n:])
		if isGraphemeControl(next) {
			break
		}
		first = next
		n += size
	}
	return n + run(s[n:], extendsGrapheme)
}

func isGraphemeControl(r rune) bool {
	return !extendsGrapheme(r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r) &&
		unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// extendsGrapheme reports whether r continues the character before it:
// Grapheme_Extend, the zero-width joiner and SpacingMark.
func extendsGrapheme(r rune) bool {
	switch {
	case r < 0x300:
		return false
	case r == 0x200C, r == 0x200D, r == 0xE33, r == 0xEB3, r == 0xFF9E, r == 0xFF9F, r >= 0x1F3FB && r <= 0x1F3FF, r >= 0xE0020 && r <= 0xE007F:
		return true
	}
	return unicode.Is(unicode.M, r) && !unicode.In(r, notSpacingMarks)
}

// notSpacingMarks are the characters of Mc that UAX #29 leaves out.
var notSpacingMarks = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x102B, 0x102C, 1}, {0x1038, 0x1038, 1}, {0x1062, 0x1064, 1}, {0x1067, 0x106D, 1}, {0x1083, 0x1083, 1},
		{0x1087, 0x108C, 1}, {0x108F, 0x108F, 1}, {0x109A, 0x109C, 1}, {0x1A61, 0x1A61, 1}, {0x1A63, 0x1A64, 1},
		{0xAA7B, 0xAA7B, 1}, {0xAA7D, 0xAA7D, 1},
	},
	R32: []unicode.Range32{{0x11720, 0x11721, 1}},
}
