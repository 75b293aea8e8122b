package overlap

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Normalize says which differences are none. White space at the ends never
// counts; the zero value ignores nothing else.
type Normalize struct {
	Unicode     bool `yaml:"unicode"`     // compatibility forms are one (NFKC)
	Case        bool `yaml:"case"`        // letters in lower case
	Space       bool `yaml:"space"`       // runs of white space are one space
	Punctuation bool `yaml:"punctuation"` // punctuation is left out
}

// similar is what near duplicates ignore.
var similar = Normalize{Unicode: true, Case: true, Space: true}

// apply gives the text without the differences that do not count.
func (n Normalize) apply(text string) string {
	if n.Unicode {
		text = norm.NFKC.String(text)
	}
	if n.Case {
		text = strings.ToLower(text)
	}
	if n.Punctuation {
		text = strings.Map(func(r rune) rune {
			if unicode.IsPunct(r) {
				return -1
			}
			return r
		}, text)
	}
	if n.Space {
		return oneSpace(text)
	}
	return strings.TrimSpace(text)
}

// oneSpace is strings.Join(strings.Fields(text), " ") without the list.
func oneSpace(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for field := range strings.FieldsSeq(text) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(field)
	}
	return b.String()
}
