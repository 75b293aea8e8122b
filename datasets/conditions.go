package datasets

import (
	"slices"

	"github.com/retort-ml/retort/internal/overlap"
)

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
	Exact *bool   `yaml:"exact"` // nil or true: equal texts are duplicates
	Near  float64 `yaml:"near"`  // texts that similar are, too: Jaccard's measure of their runs of 5 characters, 0.5 to 1, such as 0.8; 0 means none
	On    string  `yaml:"on"`    // what is compared: "" or example (prompt and response), or prompt
	// Conflicts says what becomes of equal prompts that have different responses:
	// "" or keep leaves them; drop takes all of them out.
	Conflicts string `yaml:"conflicts"`
}

func (d *Deduplicate) exact() bool { return d.Exact == nil || *d.Exact }

func (d *Deduplicate) validate(fault faults) {
	if !(d.Near == 0 || d.Near >= minNear && d.Near <= 1) { // NaN, too
		fault("near: %v: want 0, or a similarity of %v to 1", d.Near, minNear)
	}
	if !slices.Contains([]string{"", OnExample, OnPrompt}, d.On) {
		fault("on: %q: want %s or %s", d.On, OnExample, OnPrompt)
	}
	if !slices.Contains([]string{"", KeepConflicts, DropConflicts}, d.Conflicts) {
		fault("conflicts: %q: want %s or %s", d.Conflicts, KeepConflicts, DropConflicts)
	}
	if !d.exact() && d.Near == 0 && d.Conflicts != DropConflicts {
		fault("exact: false and no near: nothing is left to look for")
	}
}

// minNear is the least similarity that the finder of near duplicates is made for.
const minNear = 0.5

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

// Decontaminate takes training examples out that share a run of words with
// texts that a model is measured on. Words are compared without case and
// punctuation, and without what a template or system turn puts around texts.
type Decontaminate struct {
	// Against are files, as in Files, of such texts. Columns are those of their
	// columns that are texts, such as question and answer; without them their
	// rows are read as the dataset's own.
	Against []string `yaml:"against"`
	Columns []string `yaml:"columns"`
	// Splits of this dataset are such texts, too; nil means all but train.
	Splits []string `yaml:"splits"`

	Ngram    int     `yaml:"ngram"`     // words in a run; 0 means 13
	MinWords int     `yaml:"min_words"` // texts of fewer than ngram words, but so many, are looked for whole; 0 means 5
	MinShare float64 `yaml:"min_share"` // least part of a text's runs that must be shared, 0 to 1; 0 means any run
}

func (d *Decontaminate) index() overlap.IndexOptions {
	return overlap.IndexOptions{N: d.Ngram, MinWords: d.MinWords, MinShare: d.MinShare}
}

func (d *Decontaminate) validate(fault faults) {
	if d.Ngram < 0 || d.Ngram > 1000 {
		fault("ngram: %d: want 1 to 1000 words, or 0 for 13", d.Ngram)
	} else if most := orDefault(d.Ngram, 13); d.MinWords < 0 || d.MinWords > most {
		fault("min_words: %d: want 1 to ngram, %d, or 0 for 5", d.MinWords, most)
	}
	if !(d.MinShare >= 0 && d.MinShare <= 1) {
		fault("min_share: %v: want 0 to 1", d.MinShare)
	}
	if slices.Contains(d.Against, "") {
		fault("against: an empty file name")
	}
	if slices.Contains(d.Columns, "") || len(d.Columns) > 0 && len(d.Against) == 0 {
		fault("columns: want names of columns of the files in against")
	}
	for _, s := range d.Splits {
		if !splitName.MatchString(s) || s == TrainSplit {
			fault("splits: %q: want splits that are not trained on", s)
		}
	}
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}
