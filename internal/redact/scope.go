package redact

import (
	"strings"
	"sync"
)

// Finding is one place of a text that was redacted.
type Finding struct {
	Kind        string
	Placeholder string
	Text        int    // which call of Redact or RedactJSON, from 0
	Field       string // of RedactJSON: the JSON pointer (RFC 6901) to the string; of a key: to its value
	Key         bool   // it is in a key of an object
	Offset      int    // in bytes, in the text or the decoded string
	Length      int    // in bytes
}

// Scope redacts the texts of one request: a value is the same placeholder in
// all of them. Any number of goroutines may use it, though the numbers then
// depend on who comes first.
type Scope struct {
	r        *Redactor
	mu       sync.Mutex
	texts    int
	byValue  map[value]string
	byName   map[string]entry // by placeholder
	order    []entry
	numbers  map[string]int // the last of each kind
	findings []Finding
}

type value struct{ kind, original string }

type entry struct{ kind, placeholder, original string }

// Scope starts the redaction of one request.
func (r *Redactor) Scope() *Scope {
	return &Scope{r: r, byValue: map[value]string{}, byName: map[string]entry{}, numbers: map[string]int{}}
}

// Redact returns text with placeholders for what was found in it.
func (s *Scope) Redact(text string) string {
	spans := s.r.find("", text)
	s.mu.Lock()
	defer s.mu.Unlock()
	f := Finding{Text: s.texts}
	s.texts++
	return s.replaceAll(spans, text, func(found span, placeholder string) { s.record(f, found, placeholder) })
}

// replaceAll returns text with placeholders for the spans and tells each if it
// is asked to. The caller holds the lock.
func (s *Scope) replaceAll(spans []span, text string, each func(found span, placeholder string)) string {
	if len(spans) == 0 {
		return text
	}
	var out strings.Builder
	at := 0
	for _, found := range spans {
		name := s.placeholder(s.r.kinds[found.kind], text[found.start:found.end])
		out.WriteString(text[at:found.start])
		out.WriteString(name)
		at = found.end
		if each != nil {
			each(found, name)
		}
	}
	out.WriteString(text[at:])
	return out.String()
}

// placeholder returns the placeholder of a value, a new one if it has none.
func (s *Scope) placeholder(kind, original string) string {
	if name, ok := s.byValue[value{kind, original}]; ok {
		return name
	}
	s.numbers[kind]++
	e := entry{kind, writePlaceholder(kind, s.numbers[kind]), strings.Clone(original)}
	s.byValue[value{kind, e.original}], s.byName[e.placeholder] = e.placeholder, e
	s.order = append(s.order, e)
	return e.placeholder
}

// record keeps a finding of f's text. What only looked like a placeholder is none.
func (s *Scope) record(f Finding, found span, placeholder string) {
	if found.kind == 0 {
		return
	}
	f.Kind, f.Placeholder, f.Offset, f.Length = s.r.kinds[found.kind], placeholder, found.start, found.end-found.start
	s.findings = append(s.findings, f)
}

// Restore puts the originals back for the placeholders of this scope, also
// where a model wrote them in another case, escaped for Markdown, or with a
// space or dash for the underscore. Placeholders that it does not know stay.
func (s *Scope) Restore(answer string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return restore(answer, func(placeholder string) (string, bool) {
		e, ok := s.byName[placeholder]
		return e.original, ok
	})
}

func restore(text string, original func(placeholder string) (string, bool)) string {
	var out strings.Builder
	at := 0
	eachPlaceholder(text, func(canonical string, start, end int) {
		if value, ok := original(canonical); ok {
			out.WriteString(text[at:start])
			out.WriteString(value)
			at = end
		}
	})
	if at == 0 {
		return text
	}
	out.WriteString(text[at:])
	return out.String()
}

// Findings returns what was redacted so far, without the values.
func (s *Scope) Findings() []Finding {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Finding(nil), s.findings...)
}

// Counts returns how many places of each kind were redacted so far.
func (s *Scope) Counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for _, f := range s.findings {
		counts[f.Kind]++
	}
	return counts
}

// entries returns what the placeholders stand for, in the order of their making.
func (s *Scope) entries() []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.order[:len(s.order):len(s.order)]
}
