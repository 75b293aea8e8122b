package refine

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// Accept says which answers of a teacher are good enough to learn. All that is
// set must hold; the zero value accepts everything.
type Accept struct {
	Regex    string `yaml:"regex"`     // must match somewhere in the answer (RE2); "" means no rule
	NotRegex string `yaml:"not_regex"` // must match nowhere in it
	// Schema is the file of a JSON schema. The answer must be one JSON value that
	// is valid under it, alone or as the only thing inside one ``` fence, which
	// is stripped. "" means no rule.
	Schema string `yaml:"schema"`
	// Numeric compares the answer's final number with the reference's, see
	// FinalNumber. Nil means no rule, an empty one means equality.
	Numeric *Numeric `yaml:"numeric"`
	Labels  []string `yaml:"labels"` // the answer must be one of them, see Labels.Match; none means no rule
	// KeepSpelling leaves an answer that is a label as the teacher wrote it;
	// false replaces it by the label as it stands in Labels.
	KeepSpelling bool `yaml:"keep_spelling"`
	MinChars     int  `yaml:"min_chars"` // characters (code points) without surrounding white space; 0 means no limit
	MaxChars     int  `yaml:"max_chars"` // likewise
	// Languages are ISO 639-1 codes of which the answer must have one, see
	// Language. None means no rule.
	Languages []string `yaml:"languages"`
	// UnknownLanguage says what becomes of an answer too short to tell, or
	// without words: "" or accept, or reject.
	UnknownLanguage string `yaml:"unknown_language"`
	NoRefusals      bool   `yaml:"no_refusals"` // true rejects refusals, see Refusal
	Complete        bool   `yaml:"complete"`    // true rejects answers that did not end by themselves
}

// Numeric says when two numbers are equal.
type Numeric struct {
	Tolerance float64 `yaml:"tolerance"` // largest difference; 0 means equal in value
}

// What Accept.UnknownLanguage may say.
const (
	AcceptUnknown = "accept"
	RejectUnknown = "reject"
)

// maxPattern is the longest regular expression, in bytes.
const maxPattern = 10_000

// Validate reports every fault of the options at once, each beginning with the
// recipe key.
func (a Accept) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for _, p := range []struct{ key, pattern string }{{"regex", a.Regex}, {"not_regex", a.NotRegex}} {
		if len(p.pattern) > maxPattern {
			fault("%s: %d bytes: want at most %d", p.key, len(p.pattern), maxPattern)
		} else if _, err := regexp.Compile(p.pattern); err != nil {
			fault("%s: %w", p.key, err)
		}
	}
	if a.Numeric != nil && !(a.Numeric.Tolerance >= 0 && !math.IsInf(a.Numeric.Tolerance, 0)) {
		fault("numeric.tolerance: %v: want 0 or more", a.Numeric.Tolerance)
	}
	if len(a.Labels) > 0 {
		if _, err := NewLabels(a.Labels); err != nil {
			fault("labels: %w", err)
		}
	} else if a.KeepSpelling {
		fault("keep_spelling: there are no labels")
	}
	if a.MinChars < 0 {
		fault("min_chars: %d: want 0 or more", a.MinChars)
	}
	if a.MaxChars < 0 || a.MaxChars > 0 && a.MaxChars < a.MinChars {
		fault("max_chars: %d: want min_chars or more, or 0 for no limit", a.MaxChars)
	}
	a.validateLanguages(fault)
	return errors.Join(faults...)
}

func (a Accept) validateLanguages(fault func(string, ...any)) {
	known := KnownLanguages()
	for _, code := range a.Languages {
		if !slices.Contains(known, code) {
			fault("languages: %q: want codes out of %s", code, strings.Join(known, " "))
		}
	}
	switch a.UnknownLanguage {
	case "", AcceptUnknown, RejectUnknown:
		if a.UnknownLanguage != "" && len(a.Languages) == 0 {
			fault("unknown_language: there are no languages")
		}
	default:
		fault("unknown_language: %q: want %s or %s", a.UnknownLanguage, AcceptUnknown, RejectUnknown)
	}
}
