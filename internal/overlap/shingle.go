package overlap

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/zeebo/xxh3"
)

// shingles appends a hash of every run of n units of the text; of the whole
// text if it is shorter, so that short texts are similar only if they are
// equal; nothing if it is empty.
func shingles(to []uint64, text string, unit string, n int) []uint64 {
	text = similar.apply(text)
	if unit == UnitWord {
		return grams(to, wordHashes(nil, text), n, true)
	}
	return charShingles(to, text, n)
}

func charShingles(to []uint64, text string, n int) []uint64 {
	if text == "" {
		return to
	}
	from, runes := 0, 0
	for at := 0; at < len(text); {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
		if runes++; runes < n {
			continue
		}
		to = append(to, xxh3.HashString(text[from:at]))
		_, size = utf8.DecodeRuneInString(text[from:])
		from += size
	}
	if runes < n {
		to = append(to, xxh3.HashString(text))
	}
	return to
}

func wordHashes(to []uint64, text string) []uint64 {
	for w := range words(text, true) {
		to = append(to, xxh3.HashString(text[w.from:w.to]))
	}
	return to
}

// grams appends a hash of every run of n word hashes; with short, of all of
// them if they are fewer.
func grams(to, words []uint64, n int, short bool) []uint64 {
	if short && 0 < len(words) && len(words) < n {
		n = len(words)
	}
	var buf []byte
	for i := n; i <= len(words); i++ {
		buf = buf[:0]
		for _, w := range words[i-n : i] {
			buf = binary.LittleEndian.AppendUint64(buf, w)
		}
		to = append(to, xxh3.Hash(buf))
	}
	return to
}
