package refine

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Labels are the answers that a classifier may give.
type Labels struct {
	names []string
	index map[string]int // by normalLabel
}

// NewLabels refuses empty labels, and two that an answer could not tell apart.
func NewLabels(names []string) (*Labels, error) {
	l := &Labels{names: names, index: map[string]int{}}
	var faults []error
	for i, name := range names {
		key := normalLabel(name)
		if key == "" {
			faults = append(faults, fmt.Errorf("%q: a label needs a letter or digit", name))
			continue
		}
		if j, ok := l.index[key]; ok {
			faults = append(faults, fmt.Errorf("%q and %q are alike", names[j], name))
			continue
		}
		l.index[key] = i
	}
	return l, errors.Join(faults...)
}

// Match returns the label that the answer is. Case does not count, nor does
// white space, a quote, backquote, * or a bracket around it, a full stop or
// other .,;:! at its end, or a "label:", "answer:", "category:", "class:" or
// "intent:" before it; _, - and white space inside are alike. More text than
// that is no label.
func (l *Labels) Match(answer string) (string, bool) {
	if len(answer) > 10_000 { // no label is that long
		return "", false
	}
	key := normalLabel(answer)
	i, ok := l.index[key]
	if !ok {
		for _, lead := range []string{"label:", "answer:", "category:", "class:", "intent:"} {
			if rest, found := strings.CutPrefix(key, lead); found {
				i, ok = l.index[normalLabel(rest)]
			}
		}
	}
	if !ok {
		return "", false
	}
	return l.names[i], true
}

// normalLabel is what two spellings of one label share.
func normalLabel(s string) string {
	s = strings.ToLower(norm.NFC.String(s))
	s = strings.Map(func(r rune) rune {
		if r == '_' || r == '-' {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	for {
		t := strings.Trim(s, " \"'`*“”‘’«»()[]{}")
		t = strings.TrimRight(t, ".,;:!")
		if t == s {
			return s
		}
		s = t
	}
}
