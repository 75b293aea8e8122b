package redact_test

import (
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/redact"
)

func TestValidate(t *testing.T) {
	o := redact.Options{
		Kinds:    []string{"email", "fax"},
		Patterns: map[string]string{"Bad": "x", "phone": "x", "broken": "(", "empty": "x*", "both": "x"},
		Words:    map[string][]string{"none": {}, "both": {"x"}, "odd": {"\xff", " - ", strings.Repeat("x", 1001)}, "literal": {"x"}, "a__b": {"x"}},
	}
	want := []string{
		`kinds: "fax": want some of email, phone,`,
		`patterns: "Bad" cannot name a kind: `,
		"patterns.broken: error parsing regexp: missing closing )",
		"patterns.empty: x*: it matches nothing at all",
		"patterns.phone: the name is taken by a built-in kind",
		`words: "a__b" cannot name a kind: `,
		"words.both: patterns has this name too",
		"words.literal: the name is taken by a built-in kind",
		"words.none: want words",
		`words.odd: entry 1: "\xff" is not UTF-8`,
		`words.odd: entry 2: " - " has neither letter nor digit`,
		"words.odd: entry 3: it has 1001 bytes, more than 1000",
	}
	got := strings.Split(o.Validate().Error(), "\n")
	if len(got) != len(want) {
		t.Errorf("%d faults, want %d: %q", len(got), len(want), got)
	}
	for i := range min(len(got), len(want)) {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("fault %d: %s, want %s…", i, got[i], want[i])
		}
	}
	if _, err := redact.New(o); err == nil || !strings.HasPrefix(err.Error(), "redact: kinds: ") {
		t.Errorf("New: %v", err)
	}
	if err := every.Validate(); err != nil {
		t.Error(err)
	}
}

func TestKinds(t *testing.T) {
	r := newRedactor(t, redact.Options{Kinds: []string{"ip"}})
	const text = "bob@example.com at 10.1.2.3"
	if got := r.Scope().Redact(text); got != "bob@example.com at [IP_1]" {
		t.Errorf("got %q", got)
	}
}

func TestID(t *testing.T) {
	base := newRedactor(t, redact.Options{}).ID()
	same := []redact.Options{{Kinds: redact.Kinds()}, {Kinds: append([]string{"ip"}, redact.Kinds()...)}}
	for _, o := range same {
		if id := newRedactor(t, o).ID(); id != base {
			t.Errorf("%+v: ID %s, want %s", o, id, base)
		}
	}
	ids := map[string]redact.Options{base: {}}
	for _, o := range []redact.Options{
		{Kinds: []string{"ip"}}, {Patterns: map[string]string{"p": "x"}}, {Patterns: map[string]string{"p": "y"}}, {Patterns: map[string]string{"q": "x"}},
		{Words: map[string][]string{"p": {"x"}}}, {Words: map[string][]string{"p": {"x", "y"}}},
	} {
		id := newRedactor(t, o).ID()
		if other, twice := ids[id]; twice {
			t.Errorf("%+v and %+v have one ID", o, other)
		}
		ids[id] = o
	}
	a := newRedactor(t, redact.Options{Words: map[string][]string{"p": {"x", "y"}}})
	b := newRedactor(t, redact.Options{Words: map[string][]string{"p": {"y", "x", "y"}}})
	if a.ID() != b.ID() {
		t.Error("the order of words changes the ID")
	}
}

// TestOverlaps wants findings that overlap to become one of the longest's kind.
func TestOverlaps(t *testing.T) {
	r := newRedactor(t, redact.Options{
		Patterns: map[string]string{"left": "abcdef", "right": "efgh", "same": "xyz", "group": "k(v)?"},
		Words:    map[string][]string{"word": {"xyz", "one two", "two three four", "naïve"}},
	})
	for text, want := range map[string]string{
		"abcdefgh":                 "[LEFT_1]",
		"abcdef":                   "[LEFT_1]",
		"xyz":                      "[WORD_1]",
		"one two three four":       "[WORD_1]",
		"k kv":                     "k k[GROUP_1]",
		"see [left_1]@example.com": "see [LITERAL_1]@example.com",
		"NAÏVE naïves":             "[WORD_1] naïves",
	} {
		s := r.Scope()
		if got := s.Redact(text); got != want {
			t.Errorf("Redact(%q) = %q, want %q", text, got, want)
		}
		if got := s.Restore(want); got != text {
			t.Errorf("Restore(%q) = %q, want %q", want, got, text)
		}
	}
}
