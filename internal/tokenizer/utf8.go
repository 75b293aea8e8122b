package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// lossy returns s with each maximal invalid part replaced by one U+FFFD, which
// is what Rust's from_utf8_lossy and Python's errors="replace" do. A truncated
// sequence counts once, not once per byte as in a Go range loop.
func lossy(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	for len(s) > 0 {
		_, n := utf8.DecodeRuneInString(s)
		if n == 1 && s[0] >= utf8.RuneSelf {
			b.WriteRune(utf8.RuneError)
			s = s[invalidLen(s):]
			continue
		}
		b.WriteString(s[:n])
		s = s[n:]
	}
	return b.String()
}

// sequenceLen returns the length a sequence with this first byte must have and
// the range of its second byte (Unicode 15, table 3-7); 0 for a byte that
// cannot start one.
func sequenceLen(first byte) (n int, lo, hi byte) {
	switch {
	case first < 0xC2:
		return 0, 0, 0
	case first < 0xE0:
		return 2, 0x80, 0xBF
	case first == 0xE0:
		return 3, 0xA0, 0xBF
	case first == 0xED:
		return 3, 0x80, 0x9F
	case first < 0xF0:
		return 3, 0x80, 0xBF
	case first == 0xF0:
		return 4, 0x90, 0xBF
	case first < 0xF4:
		return 4, 0x80, 0xBF
	case first == 0xF4:
		return 4, 0x80, 0x8F
	}
	return 0, 0, 0
}

// prefixLen returns how many bytes at the start of s could begin a multi-byte
// sequence, and whether the sequence ends there.
func prefixLen(s string) (n int, complete bool) {
	want, lo, hi := sequenceLen(s[0])
	if want == 0 {
		return 0, false
	}
	for n = 1; n < want && n < len(s) && s[n] >= lo && s[n] <= hi; n++ {
		lo, hi = 0x80, 0xBF
	}
	return n, n == want
}

// invalidLen returns the length of the maximal invalid part at the start of s.
func invalidLen(s string) int {
	n, _ := prefixLen(s)
	return max(n, 1)
}

// incompleteTail returns how many bytes at the end of s begin a sequence that
// later bytes could still complete.
func incompleteTail(s string) int {
	for back := 1; back <= 3 && back <= len(s); back++ {
		tail := s[len(s)-back:]
		if utf8.RuneStart(tail[0]) {
			if n, complete := prefixLen(tail); n == back && !complete {
				return back
			}
			return 0
		}
	}
	return 0
}

// runeLen returns the length of a character of valid text.
func runeLen(r rune) int {
	if r < utf8.RuneSelf {
		return 1
	}
	return utf8.RuneLen(r)
}
