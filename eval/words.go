package eval

import (
	"strings"
	"unicode"
)

// unspaced are scripts written without spaces between words; each letter of them is taken
// as a word, so that pairs of neighbours stand for words.
var unspaced = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana,
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar}

// wordsOf splits a text into lower-case runs of letters, marks and digits.
func wordsOf(text string) []string {
	var words []string
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for _, r := range strings.ToLower(text) {
		switch {
		case unicode.In(r, unspaced...):
			end()
			words = append(words, string(r))
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			word.WriteRune(r)
		default:
			end()
		}
	}
	end()
	return words
}

// gramsOf lists the words of a text and the pairs of neighbours, with repetitions.
func gramsOf(text string) []string {
	words := wordsOf(text)
	grams := words
	for i := 1; i < len(words); i++ {
		grams = append(grams, words[i-1]+" "+words[i])
	}
	return grams
}
