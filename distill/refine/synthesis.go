package refine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What Synthesis.Style may say.
const (
	StyleSimilar = "similar" // more of the same kind (self-instruct)
	StyleEvolve  = "evolve"  // each seed made harder or more specific (evol-instruct)
)

// Synthesis says how new prompts are asked of a teacher, and which are kept.
type Synthesis struct {
	Target int    `yaml:"target"` // new prompts to keep in all; needed, 1 or more
	Style  string `yaml:"style"`  // similar or evolve; "" means similar
	// Domain describes what the prompts are about, for the teacher; "" leaves it
	// to the seeds.
	Domain     string `yaml:"domain"`
	Seeds      int    `yaml:"seeds"`       // seed rows a request shows; 0 means 8
	PerRequest int    `yaml:"per_request"` // new prompts a request asks for; 0 means 8
	// FromNew is how many of the seeds of a request are prompts made before, once
	// there are some. The paper takes 2 of 8. 0 means none.
	FromNew int `yaml:"from_new"`
	// MaxSimilarity is the ROUGE-L F1 with a seed or a kept prompt from which on a
	// new one is too similar, above 0 to 1; 0 means 0.7, as in the paper.
	MaxSimilarity float64  `yaml:"max_similarity"`
	MinChars      int      `yaml:"min_chars"` // shorter prompts are dropped; 0 means 10
	MaxChars      int      `yaml:"max_chars"` // longer prompts are dropped; 0 means 4,000
	Languages     []string `yaml:"languages"` // as Accept has them; none means any
	Forbidden     []string `yaml:"forbidden"` // whole words or phrases, in any case, that no prompt may hold
	// MaxRequests is how many requests there are in all at most; 0 means 10 times
	// those that would do if every prompt were kept.
	MaxRequests int `yaml:"max_requests"`
}

// WithDefaults fills in what is not set.
func (s Synthesis) WithDefaults() Synthesis {
	set := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
	}
	if s.Style == "" {
		s.Style = StyleSimilar
	}
	set(&s.Seeds, 8)
	set(&s.PerRequest, 8)
	set(&s.MinChars, 10)
	set(&s.MaxChars, 4000)
	set(&s.MaxRequests, 10*((s.Target+max(1, s.PerRequest)-1)/max(1, s.PerRequest)))
	if s.MaxSimilarity == 0 {
		s.MaxSimilarity = 0.7
	}
	return s
}

// Validate reports every fault of the options at once, each beginning with the
// recipe key.
func (s Synthesis) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if s.Target < 1 || s.Target > 10_000_000 {
		fault("target: %d: want 1 to 10,000,000", s.Target)
	}
	if s.Style != "" && s.Style != StyleSimilar && s.Style != StyleEvolve {
		fault("style: %q: want %s or %s", s.Style, StyleSimilar, StyleEvolve)
	}
	for _, n := range []struct {
		key         string
		value, most int
	}{{"seeds", s.Seeds, 100}, {"per_request", s.PerRequest, 100}, {"from_new", s.FromNew, s.WithDefaults().Seeds - 1}, {"max_requests", s.MaxRequests, 10_000_000}, {"min_chars", s.MinChars, 1_000_000}} {
		if n.value < 0 || n.value > n.most {
			fault("%s: %d: want 0 to %d", n.key, n.value, n.most)
		}
	}
	if d := s.WithDefaults(); d.MaxChars < d.MinChars {
		fault("max_chars: %d: want min_chars, %d, or more", d.MaxChars, d.MinChars)
	}
	if !(s.MaxSimilarity >= 0 && s.MaxSimilarity <= 1) {
		fault("max_similarity: %v: want a number above 0, to 1", s.MaxSimilarity)
	}
	for _, word := range s.Forbidden {
		if len(wordsOf(word)) == 0 {
			fault("forbidden: %q: want words", word)
		}
	}
	known := KnownLanguages()
	for _, code := range s.Languages {
		if !slices.Contains(known, code) {
			fault("languages: %q: want codes out of %s", code, strings.Join(known, " "))
		}
	}
	return errors.Join(faults...)
}
