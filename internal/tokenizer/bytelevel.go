package tokenizer

import (
	"unicode/utf8"
)

// The byte-level alphabet of GPT-2: every byte has a printable character, so
// that a vocabulary of strings can hold any bytes. Printable Latin-1 bytes
// stand for themselves, the other 68 take U+0100 and up in byte order.

// byteRunes maps a byte to its character.
var byteRunes = makeByteRunes()

// runeBytes maps a character below U+0144 to its byte, or -1.
var runeBytes = makeRuneBytes()

const byteLevelRunes = 256 + 68

func isPrintableByte(b int) bool {
	return b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE && b <= 0xFF
}

func makeByteRunes() (t [256]rune) {
	next := rune(256)
	for b := range t {
		if isPrintableByte(b) {
			t[b] = rune(b)
			continue
		}
		t[b] = next
		next++
	}
	return t
}

func makeRuneBytes() (t [byteLevelRunes]int16) {
	for i := range t {
		t[i] = -1
	}
	for b, r := range byteRunes {
		t[r] = int16(b)
	}
	return t
}

// appendByteLevel appends each byte of s as its character.
func appendByteLevel(dst []byte, s string) []byte {
	for i := range len(s) {
		dst = utf8.AppendRune(dst, byteRunes[s[i]])
	}
	return dst
}

// toByteLevel writes each byte of s as its character.
func toByteLevel(s string) string {
	return string(appendByteLevel(make([]byte, 0, len(s)+len(s)/4), s))
}

// byteLevelText is toByteLevel that keeps the offsets.
func byteLevelText(t text) text {
	out := text{s: toByteLevel(t.s)}
	if t.from != nil {
		out.from = make([]origin, 0, len(out.s))
		for i := range len(t.s) {
			for range utf8.RuneLen(byteRunes[t.s[i]]) {
				out.from = append(out.from, t.from[i])
			}
		}
	}
	return out
}

// fromByteLevel is the inverse of toByteLevel; ok is false if s holds a
// character outside the alphabet.
func fromByteLevel(s string) (bytes string, ok bool) {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r >= byteLevelRunes || runeBytes[r] < 0 {
			return "", false
		}
		out = append(out, byte(runeBytes[r]))
	}
	return string(out), true
}

// byteLevelPiece is the text that one token stands for in a byte-level
// vocabulary: its bytes, or the token itself where it is not in the alphabet.
// An added token is kept as it is where its bytes alone are no text: "café" as
// an added token is a word, not the bytes 63 61 66 E9.
func byteLevelPiece(token string, added bool) string {
	bytes, ok := fromByteLevel(token)
	if !ok || added && !utf8.ValidString(bytes) {
		return token
	}
	return bytes
}
