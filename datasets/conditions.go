package datasets

import "slices"

// What Deduplicate.On and Conflicts may say.
const (
	OnExample = "example" // prompt and response
	OnPrompt  = "prompt"

	KeepConflicts = "keep"
	DropConflicts = "drop"
)

// Deduplicate leaves out examples that are there already. Of several the one
// that stays is not of train if one is not, then of the first split by name,
// then the first: training gives way to tests, so nothing leaks into them.
type Deduplicate struct {
	Exact *bool  `yaml:"exact"` // nil or true: equal texts are duplicates
	On    string `yaml:"on"`    // what is compared: "" or example (prompt and response), or prompt
	// Conflicts says what becomes of equal prompts that have different responses:
	// "" or keep leaves them; drop takes all of them out.
	Conflicts string `yaml:"conflicts"`
}

func (d *Deduplicate) exact() bool { return d.Exact == nil || *d.Exact }

func (d *Deduplicate) validate(fault faults) {
	if !slices.Contains([]string{"", OnExample, OnPrompt}, d.On) {
		fault("on: %q: want %s or %s", d.On, OnExample, OnPrompt)
	}
	if !slices.Contains([]string{"", KeepConflicts, DropConflicts}, d.Conflicts) {
		fault("conflicts: %q: want %s or %s", d.Conflicts, KeepConflicts, DropConflicts)
	}
	if !d.exact() && d.Conflicts != DropConflicts {
		fault("exact: false: nothing is left to look for")
	}
}

// Balance evens out how many training examples the labels, the distinct
// responses, have. Which stay follows from hashes of the prompts.
type Balance struct {
	MaxPerLabel int     `yaml:"max_per_label"` // at most so many of each; 0 means no limit
	Ratio       float64 `yaml:"ratio"`         // at most so many times the rarest label's; 1 or more, 0 means no limit
	Oversample  bool    `yaml:"oversample"`    // true: rarer labels are repeated until they have as many as the most frequent that is left
}

func (b *Balance) validate(fault faults) {
	if b.MaxPerLabel < 0 {
		fault("max_per_label: %d: want 0 or more", b.MaxPerLabel)
	}
	if !(b.Ratio == 0 || b.Ratio >= 1) {
		fault("ratio: %v: want 1 or more", b.Ratio)
	}
	if b.MaxPerLabel == 0 && b.Ratio == 0 && !b.Oversample {
		fault("max_per_label: want it, ratio or oversample")
	}
}
