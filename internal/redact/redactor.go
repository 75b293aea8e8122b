package redact

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// Redactor finds personal data in texts. Any number of goroutines may use it.
type Redactor struct {
	id       string
	kinds    []string // every kind, those first that win among equals
	wanted   map[string]bool
	builtin  map[string]int // place in kinds of each wanted built-in kind
	patterns []pattern
	words    *wordFinder // nil if there are none
}

type pattern struct {
	kind  int
	re    *regexp.Regexp
	group int // what is redacted
}

// New returns the Redactor of the options, or what Validate says of them.
func New(o Options) (*Redactor, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("redact: %w", err)
	}
	r := &Redactor{id: o.id(), kinds: []string{literal}, wanted: map[string]bool{literal: true}, builtin: map[string]int{}}
	add := func(kind string) int {
		r.kinds = append(r.kinds, kind)
		r.wanted[kind] = true
		return len(r.kinds) - 1
	}
	var entries []wordEntry
	for _, name := range slices.Sorted(maps.Keys(o.Words)) {
		kind := add(name)
		for _, word := range o.Words[name] {
			entries = append(entries, wordEntry{word, kind})
		}
	}
	if len(entries) > 0 {
		r.words = newWordFinder(entries)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Patterns)) {
		re := regexp.MustCompile(o.Patterns[name]) // validated
		r.patterns = append(r.patterns, pattern{add(name), re, min(1, re.NumSubexp())})
	}
	for _, name := range o.kinds() {
		r.builtin[name] = add(name)
	}
	return r, nil
}

// ID names all that the Redactor does: two of one ID turn every text into the
// same placeholders.
func (r *Redactor) ID() string { return r.id }

// span is a part of a text, in bytes, and the place of its kind in Redactor.kinds.
type span struct{ start, end, kind int }

// find returns what is to be redacted in text, in order and apart. The name says
// what the text is the value of, "" if it is not known.
func (r *Redactor) find(name, text string) []span {
	var found []span
	eachPlaceholder(text, func(canonical string, start, end int) {
		if r.wanted[placeholderKind(canonical)] {
			found = append(found, span{start, end, 0})
		}
	})
	if r.words != nil {
		r.words.find(text, func(start, end, kind int) { found = append(found, span{start, end, kind}) })
	}
	for _, p := range r.patterns {
		for _, at := range p.re.FindAllStringSubmatchIndex(text, -1) {
			if start, end := at[2*p.group], at[2*p.group+1]; start < end {
				found = append(found, span{start, end, p.kind})
			}
		}
	}
	return merge(r.findBuiltin(found, name, text))
}

// findBuiltin appends what there is of the built-in kinds.
func (r *Redactor) findBuiltin(found []span, name, text string) []span {
	if name != "" {
		if key, ok := r.builtin[Key]; ok && isNamedSecret(name, text) {
			found = append(found, span{0, len(text), key})
		}
		name += ": "
	}
	f := fold(name + text)
	scan(f.text, func(kind string, start, end int) {
		place, wanted := r.builtin[kind]
		if !wanted || start >= end {
			return
		}
		start, end = f.span(start, end)
		if start = max(start-len(name), 0); start < end-len(name) {
			found = append(found, span{start, end - len(name), place})
		}
	})
	return found
}

// merge sorts spans and makes one of those that overlap, of the kind of the
// longest and among equals of the first kind.
func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.start - b.start })
	out := spans[:0]
	longest := 0
	for _, s := range spans {
		length := s.end - s.start
		if len(out) == 0 || s.start >= out[len(out)-1].end {
			out = append(out, s)
			longest = length
			continue
		}
		last := &out[len(out)-1]
		if length > longest || length == longest && s.kind < last.kind {
			longest, last.kind = length, s.kind
		}
		last.end = max(last.end, s.end)
	}
	return out
}
