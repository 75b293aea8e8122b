package overlap

import (
	"errors"
	"fmt"
)

// IndexOptions says what counts as containing a benchmark item. The zero value
// is any shared run of 13 words (Brown et al. 2020, appendix C).
type IndexOptions struct {
	N int `yaml:"n"` // words a run; a CJK character is a word; 0 means 13
	// MinWords is from how many words on an item of fewer than N is looked
	// for, as a run of all its words; 0 means 5, or N if that is less.
	MinWords int `yaml:"min_words"`
	// MinShare is the least share of an item's runs that makes a text
	// contaminated, in [0, 1]; 0 means any run.
	MinShare float64 `yaml:"min_share"`
}

func (o IndexOptions) withDefaults() IndexOptions {
	if o.N == 0 {
		o.N = 13
	}
	if o.MinWords == 0 {
		o.MinWords = min(5, o.N)
	}
	return o
}

// Validate reports every fault at once, each beginning with the recipe key.
func (o IndexOptions) Validate() error {
	o = o.withDefaults()
	var faults []error
	if o.N < 1 || o.N > 1000 {
		faults = append(faults, fmt.Errorf("n: %d: want 1 to 1000", o.N))
	}
	if o.MinWords < 1 || o.MinWords > max(1, o.N) {
		faults = append(faults, fmt.Errorf("min_words: %d: want 1 to n, %d", o.MinWords, o.N))
	}
	if !(o.MinShare >= 0 && o.MinShare <= 1) {
		faults = append(faults, fmt.Errorf("min_share: %v: want 0 to 1", o.MinShare))
	}
	return errors.Join(faults...)
}
