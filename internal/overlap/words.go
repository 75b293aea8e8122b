package overlap

import (
	"iter"
	"unicode"
	"unicode/utf8"
)

// span is a stretch of a text, in bytes.
type span struct{ from, to int }

// words gives the runs of letters, marks and digits of a text in order. A
// character of a script that is written without spaces is a word by itself;
// so is every other visible character if symbols is true.
func words(text string, symbols bool) iter.Seq[span] {
	return func(yield func(span) bool) {
		from := -1 // of the word under way
		for at := 0; at < len(text); {
			r, size := utf8.DecodeRuneInString(text[at:])
			alone := unspaced(r)
			if inWord := isWordRune(r); inWord && !alone {
				if from < 0 {
					from = at
				}
				at += size
				continue
			} else if !inWord {
				alone = symbols && !unicode.IsSpace(r)
			}
			if from >= 0 && !yield(span{from, at}) {
				return
			}
			from = -1
			if alone && !yield(span{at, at + size}) {
				return
			}
			at += size
		}
		if from >= 0 {
			yield(span{from, len(text)})
		}
	}
}

func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

// unspaced tells the letters of scripts without spaces between words.
func unspaced(r rune) bool {
	return r >= 0x0e00 && unicode.IsLetter(r) && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}
