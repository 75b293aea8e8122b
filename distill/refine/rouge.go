package refine

import (
	"math/bits"
	"strings"
	"unicode"
)

// wordsOf are the words that ROUGE compares: runs of letters, digits and marks
// in lower case. Signs of scripts that put no spaces between words (Chinese,
// Japanese, Thai, …) are a word each.
func wordsOf(text string) []string {
	var words []string
	var word strings.Builder
	flush := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 0x80 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
			flush()
			words = append(words, string(r))
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			word.WriteRune(r)
		default:
			flush()
		}
	}
	flush()
	return words
}

// RougeL is the F1 of the longest common subsequence of two texts' words (Lin
// 2004, aclanthology.org/W04-1013): 1 for equal words, 0 for no common one or
// no words.
func RougeL(a, b string) float64 {
	ids := map[string]int32{}
	x, y := numberWords(ids, wordsOf(a)), numberWords(ids, wordsOf(b))
	return f1(lcs(x, y), len(x), len(y))
}

func f1(common, a, b int) float64 {
	if common == 0 {
		return 0
	}
	return 2 * float64(common) / float64(a+b)
}

// numberWords replaces words by numbers, new ones by the next.
func numberWords(ids map[string]int32, words []string) []int32 {
	out := make([]int32, len(words))
	for i, w := range words {
		id, ok := ids[w]
		if !ok {
			id = int32(len(ids))
			ids[w] = id
		}
		out[i] = id
	}
	return out
}

func lcs(a, b []int32) int { return newSequence(a).common(b) }

// sequence is words, prepared to be compared with many others.
type sequence struct {
	words  int
	places map[int32][]uint64 // the places of a word, a bit each
}

func newSequence(words []int32) sequence {
	s := sequence{len(words), make(map[int32][]uint64, len(words))}
	for i, w := range words {
		if s.places[w] == nil {
			s.places[w] = make([]uint64, (len(words)+63)/64)
		}
		s.places[w][i/64] |= 1 << (i % 64)
	}
	return s
}

// common is the length of the longest common subsequence with others, 64 places
// at a time (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"; lcsRef
// in the tests is its meaning): a zero bit of row is a place where it grows.
func (s sequence) common(others []int32) int {
	row := make([]uint64, (s.words+63)/64)
	for k := range row {
		row[k] = ^uint64(0)
	}
	for _, w := range others {
		at := s.places[w]
		if at == nil {
			continue
		}
		carry := uint64(0)
		for k, v := range row {
			u := v & at[k]
			var sum uint64
			sum, carry = bits.Add64(v, u, carry)
			row[k] = sum | (v - u)
		}
	}
	length := 0
	for k, v := range row {
		if k == len(row)-1 && s.words%64 != 0 {
			v |= ^uint64(0) << (s.words % 64)
		}
		length += bits.OnesCount64(^v)
	}
	return length
}
