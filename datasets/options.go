package datasets

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"sort"
)

// What Options.BadRows may say.
const (
	DropBadRows  = "drop"
	ErrorBadRows = "error"
)

// TrainSplit holds the examples that no other split takes.
const TrainSplit = "train"

// Options says which rows become which examples. The zero value of a field is
// its default.
type Options struct {
	Input `yaml:",inline"` // what is read, unless Mix has several

	// Mix are named inputs, read in the order of their names instead of Files.
	// Weights decide how many of the training examples are of each; other splits
	// have all. Without MixSize no example comes twice, and there are as many as
	// the scarcest source allows.
	Mix map[string]MixInput `yaml:"mix,omitempty"`
	// MixSize is how many training examples weights give, 0 as many as there are.
	// A source that has too few is repeated, up to MixRepeat times in all (0
	// means 1); that it would have to be more often is an error.
	MixSize   int `yaml:"mix_size,omitempty"`
	MixRepeat int `yaml:"mix_repeat,omitempty"`

	// Split maps a split to its share of the examples, between 0 and 1; the
	// rest is "train". It divides the files under "" and under "train", by a
	// hash of the group, or of the prompt where there is no group column, so that
	// equal ones fall on the same side. Empty means no division.
	Split     map[string]float64 `yaml:"split"`
	SplitSeed uint64             `yaml:"split_seed"` // another seed, another division; 0 is a seed

	MaxPromptChars   int    `yaml:"max_prompt_chars"`             // longer prompts are too long; 0 means no limit
	MaxResponseChars int    `yaml:"max_response_chars,omitempty"` // likewise responses
	TooLong          string `yaml:"too_long,omitempty"`           // "" or drop, truncate_left, truncate_right, error

	Deduplicate   *Deduplicate   `yaml:"deduplicate,omitempty"`   // nil keeps duplicates
	Decontaminate *Decontaminate `yaml:"decontaminate,omitempty"` // nil compares with nothing
	Balance       *Balance       `yaml:"balance,omitempty"`       // nil leaves labels as they are

	// Limit keeps that many examples a split, chosen by hash of their prompts
	// and kept in order; 0 means all.
	Limit   int    `yaml:"limit"`
	BadRows string `yaml:"bad_rows"` // "" or drop: count rows that cannot be used; error: stop at the first
}

// splitName is what may name a split: it becomes a file name.
var splitName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// Validate reports every fault of the options at once, each beginning with the
// recipe key.
func (o Options) Validate() error {
	var list []error
	fault := faults(func(format string, args ...any) { list = append(list, fmt.Errorf(format, args...)) })
	o.validateInputs(fault)
	o.validateSplit(fault)
	o.validateLengths(fault)
	o.validateRepeats(fault)
	if o.Limit < 0 {
		fault("limit: %d: want 0 or more", o.Limit)
	}
	if o.BadRows != "" && o.BadRows != DropBadRows && o.BadRows != ErrorBadRows {
		fault("bad_rows: %q: want %s or %s", o.BadRows, DropBadRows, ErrorBadRows)
	}
	if o.Deduplicate != nil {
		o.Deduplicate.validate(fault.under("deduplicate"))
	}
	if d := o.Decontaminate; d != nil {
		d.validate(fault.under("decontaminate"))
		if len(o.Mix) > 0 && len(d.Against) > 0 && len(d.Columns) == 0 {
			fault("decontaminate.columns: want them: the sources of mix may have several forms")
		}
	}
	if o.Balance != nil {
		o.Balance.validate(fault.under("balance"))
	}
	return errors.Join(list...)
}

// validateRepeats refuses what would count repeated examples in two ways.
func (o *Options) validateRepeats(fault faults) {
	oversample := o.Balance != nil && o.Balance.Oversample
	if o.MixRepeat > 1 && o.Balance != nil {
		fault("balance: it excludes mix_repeat")
	}
	if o.Limit > 0 && (o.MixRepeat > 1 || oversample) {
		fault("limit: it excludes mix_repeat and balance.oversample, which repeat examples: use mix_size or balance.max_per_label")
	}
}

func (o *Options) validateInputs(fault faults) {
	if len(o.Mix) == 0 {
		o.Input.validate(fault)
		if o.MixSize != 0 || o.MixRepeat != 0 {
			fault("mix_size: there is no mix")
		}
		return
	}
	if len(o.Files) > 0 || o.Hub != "" {
		fault("mix: it excludes files and hub: make them one of its sources")
	}
	weighted := 0
	for _, name := range sortedKeys(o.Mix) {
		s := o.Mix[name]
		under := fault.under("mix." + name)
		if !splitName.MatchString(name) {
			fault("mix: %q cannot name a source: want a-z, 0-9, _ and -", name)
		}
		s.Input.validate(under)
		if !(s.Weight >= 0) || math.IsInf(s.Weight, 0) {
			under("weight: %v: want more than 0", s.Weight)
		}
		if s.Weight > 0 {
			weighted++
		}
	}
	if weighted > 0 && weighted < len(o.Mix) {
		fault("mix: want a weight of each source, or of none")
	}
	if o.MixSize < 0 || o.MixRepeat < 0 || o.MixRepeat > maxCopies {
		fault("mix_size: want 0 or more, and mix_repeat of 0 to %d", maxCopies)
	}
	if weighted == 0 && (o.MixSize != 0 || o.MixRepeat != 0) {
		fault("mix_size: it divides examples by weights: want them")
	}
	if o.MixRepeat > 1 && o.MixSize == 0 {
		fault("mix_repeat: it takes a mix_size")
	}
}

// inputs are what is read, by the name of the source; "" of one without.
func (o *Options) inputs() []namedInput {
	if len(o.Mix) == 0 {
		return []namedInput{{"", 0, o.Input}}
	}
	var list []namedInput
	for _, name := range sortedKeys(o.Mix) {
		list = append(list, namedInput{name, o.Mix[name].Weight, o.Mix[name].Input})
	}
	return list
}

type namedInput struct {
	name   string
	weight float64
	Input
}

func (o *Options) validateSplit(fault faults) {
	sum := 0.0
	for _, split := range sortedKeys(o.Split) {
		share := o.Split[split]
		switch {
		case !splitName.MatchString(split):
			fault("split: %q cannot name a split: want a-z, 0-9, _ and -", split)
		case split == TrainSplit:
			fault("split: train is what the other splits leave; remove it")
		case !(share > 0 && share < 1) || math.IsNaN(share):
			fault("split: %s: %v: want a share between 0 and 1", split, share)
		default:
			sum += share
		}
	}
	if sum >= 1 {
		fault("split: the shares add up to %v and leave nothing for train", sum)
	}
	divided := false
	for _, in := range o.inputs() {
		divided = divided || len(in.Files) == 0 || in.Files[""] != nil || in.Files[TrainSplit] != nil
	}
	if len(o.Split) > 0 && !divided {
		fault("split: there are no files to divide: none is under train or without a split")
	}
}

func (o *Options) validateLengths(fault faults) {
	if o.MaxPromptChars < 0 {
		fault("max_prompt_chars: %d: want 0 or more", o.MaxPromptChars)
	}
	if o.MaxResponseChars < 0 {
		fault("max_response_chars: %d: want 0 or more", o.MaxResponseChars)
	}
	switch {
	case !slices.Contains([]string{"", DropTooLong, TruncateLeft, TruncateRight, ErrorTooLong}, o.TooLong):
		fault("too_long: %q: want %s, %s, %s or %s", o.TooLong, DropTooLong, TruncateLeft, TruncateRight, ErrorTooLong)
	case o.TooLong != "" && o.MaxPromptChars == 0 && o.MaxResponseChars == 0:
		fault("too_long: nothing is: want max_prompt_chars or max_response_chars")
	}
	for _, in := range o.inputs() {
		if o.cuts() && in.conversations() {
			fault("too_long: %s: format %s has conversations, whose turns are not cut: want %s or %s", o.TooLong, in.format(), DropTooLong, ErrorTooLong)
			break
		}
	}
}

func (o *Options) cuts() bool { return o.TooLong == TruncateLeft || o.TooLong == TruncateRight }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
