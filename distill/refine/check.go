package refine

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Names of validators, as faults and counts carry them: the keys of Accept.
const (
	byRegex    = "regex"
	byNotRegex = "not_regex"
	bySchema   = "schema"
	byNumeric  = "numeric"
	byLabels   = "labels"
	byMinChars = "min_chars"
	byMaxChars = "max_chars"
	byLanguage = "languages"
	byRefusal  = "no_refusals"
	byComplete = "complete"
)

// Fault is one reason to reject an answer.
type Fault struct {
	Validator string // the key of Accept
	Message   string // for people
}

// String is the fault as a report shows it.
func (f Fault) String() string { return f.Validator + ": " + f.Message }

// Checker applies the rules of an Accept. It may be used by many goroutines at once.
type Checker struct {
	accept          Accept
	regex, notRegex *regexp.Regexp
	schema          *schema
	labels          *Labels
}

// NewChecker prepares the rules. schema is the text of the JSON schema whose
// file accept.Schema names; nil where it names none.
func NewChecker(accept Accept, schemaText []byte) (*Checker, error) {
	if err := accept.Validate(); err != nil {
		return nil, err
	}
	c := &Checker{accept: accept}
	if accept.Regex != "" {
		c.regex = regexp.MustCompile(accept.Regex) // Validate compiled it
	}
	if accept.NotRegex != "" {
		c.notRegex = regexp.MustCompile(accept.NotRegex)
	}
	var err error
	if accept.Schema != "" {
		if c.schema, err = newSchema(schemaText); err != nil {
			return nil, fmt.Errorf("schema: %s: %w", accept.Schema, err)
		}
	}
	if len(accept.Labels) > 0 {
		if c.labels, err = NewLabels(accept.Labels); err != nil {
			return nil, fmt.Errorf("labels: %w", err)
		}
	}
	return c, nil
}

// Check returns the answer to learn and every reason to reject it; none means
// it is accepted. The text differs from the answer where a fence around JSON is
// stripped or a label replaced. reference is the known response, "" for none;
// finish says how the answer ended, as distill.Answer does.
func (c *Checker) Check(answer, reference, finish string) (text string, faults []Fault) {
	fault := func(validator, format string, args ...any) {
		faults = append(faults, Fault{validator, fmt.Sprintf(format, args...)})
	}
	text = answer
	if c.accept.Complete && finish != finishStop {
		fault(byComplete, "the answer ended by %q, not by itself", finish)
	}
	if c.accept.NoRefusals {
		if why := Refusal(answer, finish); why != "" {
			fault(byRefusal, "the teacher refused: %s", why)
		}
	}
	c.checkText(answer, fault)
	if c.schema != nil {
		if value, err := c.schema.check(answer); err != nil {
			fault(bySchema, "%v", err)
		} else {
			text = value
		}
	}
	if c.labels != nil {
		if label, ok := c.labels.Match(answer); !ok {
			fault(byLabels, "%q is none of the %d labels", shorten(answer), len(c.accept.Labels))
		} else if !c.accept.KeepSpelling {
			text = label
		}
	}
	if c.accept.Numeric != nil {
		if why := compareNumbers(answer, reference, c.accept.Numeric.Tolerance); why != "" {
			fault(byNumeric, "%s", why)
		}
	}
	return text, faults
}

// checkText applies the rules that look at the characters alone.
func (c *Checker) checkText(answer string, fault func(validator, format string, args ...any)) {
	if c.regex != nil && !c.regex.MatchString(answer) {
		fault(byRegex, "nothing matches %s", shorten(c.accept.Regex))
	}
	if c.notRegex != nil {
		if at := c.notRegex.FindStringIndex(answer); at != nil {
			fault(byNotRegex, "%q matches %s", shorten(answer[at[0]:at[1]]), shorten(c.accept.NotRegex))
		}
	}
	n := utf8.RuneCountInString(strings.TrimSpace(answer))
	if n < c.accept.MinChars {
		fault(byMinChars, "%d characters, want %d or more", n, c.accept.MinChars)
	}
	if c.accept.MaxChars > 0 && n > c.accept.MaxChars {
		fault(byMaxChars, "%d characters, want %d or fewer", n, c.accept.MaxChars)
	}
	if len(c.accept.Languages) == 0 {
		return
	}
	switch code := Language(answer); {
	case code == "" && c.accept.UnknownLanguage == RejectUnknown:
		fault(byLanguage, "too little text to tell its language")
	case code != "" && !slices.Contains(c.accept.Languages, code):
		fault(byLanguage, "it reads like %s, want %s", code, strings.Join(c.accept.Languages, " or "))
	}
}

// Counts says how many answers each validator rejected. An answer with faults
// of several validators counts under each.
type Counts map[string]int

// Add counts the validators of one answer's faults.
func (n Counts) Add(faults []Fault) {
	names := map[string]bool{}
	for _, f := range faults {
		names[f.Validator] = true
	}
	for name := range names {
		n[name]++
	}
}

// String lists the counts by name.
func (n Counts) String() string {
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(n)) {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %d", name, n[name])
	}
	return b.String()
}

// shorten cuts text for a message.
func shorten(text string) string {
	const longest = 80
	text = strings.ToValidUTF8(text, "�")
	if len(text) <= longest {
		return text
	}
	cut := longest
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
