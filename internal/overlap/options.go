package overlap

import (
	"errors"
	"fmt"
)

// What Options.Compare may say.
const (
	CompareAll    = "all"    // prompt and response
	ComparePrompt = "prompt" // the prompt alone
)

// What Options.Unit may say.
const (
	UnitChar = "char" // runs of characters, white space as one
	UnitWord = "word" // runs of words; a punctuation mark or a CJK character is a word
)

const (
	defaultThreshold = 0.8
	defaultCharRun   = 5
	defaultWordRun   = 3
	defaultSketch    = 128
)

// Options says what counts as a repetition. The zero value finds equal texts,
// and similar ones from a Jaccard similarity of 0.8 of their 5-character runs.
type Options struct {
	// Normalize says what equal ignores, beyond white space at the ends.
	Normalize Normalize `yaml:"normalize"`

	Threshold float64 `yaml:"threshold"`  // least similarity of near duplicates, in (0, 1]; 0 means 0.8
	ExactOnly bool    `yaml:"exact_only"` // true: no near duplicates
	Compare   string  `yaml:"compare"`    // what near duplicates compare: "" or all, prompt
	Unit      string  `yaml:"unit"`       // "" or char, word
	Shingle   int     `yaml:"shingle"`    // units a shingle; 0 means 5 characters or 3 words
	Sketch    int     `yaml:"sketch"`     // values a sketch, 16 to 256; 0 means 128

	// Memory bounds the buffers of sorting, in bytes; 0 means 64 MiB, at
	// least 1 MiB. Each text takes 12 bytes more.
	Memory int `yaml:"memory"`
}

func (o Options) withDefaults() Options {
	if o.Threshold == 0 {
		o.Threshold = defaultThreshold
	}
	if o.Compare == "" {
		o.Compare = CompareAll
	}
	if o.Unit == "" {
		o.Unit = UnitChar
	}
	if o.Shingle == 0 && o.Unit == UnitChar {
		o.Shingle = defaultCharRun
	} else if o.Shingle == 0 {
		o.Shingle = defaultWordRun
	}
	if o.Sketch == 0 {
		o.Sketch = defaultSketch
	}
	if o.Memory == 0 {
		o.Memory = 64 << 20
	}
	return o
}

// Validate reports every fault at once, each beginning with the recipe key.
func (o Options) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	o = o.withDefaults()
	inRange := o.Threshold > 0 && o.Threshold <= 1
	if !inRange {
		fault("threshold: %v: want more than 0 and at most 1", o.Threshold)
	}
	if o.Compare != CompareAll && o.Compare != ComparePrompt {
		fault("compare: %q: want %s or %s", o.Compare, CompareAll, ComparePrompt)
	}
	if o.Unit != UnitChar && o.Unit != UnitWord {
		fault("unit: %q: want %s or %s", o.Unit, UnitChar, UnitWord)
	}
	if o.Shingle < 1 || o.Shingle > 100 {
		fault("shingle: %d: want 1 to 100", o.Shingle)
	}
	if o.Sketch < 16 || o.Sketch > 256 {
		fault("sketch: %d: want 16 to 256", o.Sketch)
	} else if b := chooseBands(o.Threshold, o.Sketch); inRange && b.recall(o.Threshold) < leastRecall {
		fault("threshold: %v: a sketch of %d values finds only %.0f%% of such pairs", o.Threshold, o.Sketch, 100*b.recall(o.Threshold))
	}
	if o.Memory < 1<<20 {
		fault("memory: %d: want 1048576 bytes or more", o.Memory)
	}
	return errors.Join(faults...)
}
