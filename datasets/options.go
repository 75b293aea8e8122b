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
// its default; Files and a prompt are needed.
type Options struct {
	// Files maps a split to its files: paths or patterns as for filepath.Glob,
	// .parquet, .jsonl, .ndjson or .json (JSON lines). The key "" means the
	// files that Split divides; recipes give a plain list or string that key.
	Files map[string][]string `yaml:"files"`

	Columns Columns `yaml:"columns"`

	// Template is the prompt, with {column} where a column's value goes and {{
	// and }} for braces. Empty means the prompt column as it is.
	Template string `yaml:"template"`
	// ResponseTemplate is the response likewise. Empty means the response
	// column as it is.
	ResponseTemplate string `yaml:"response_template"`

	PromptOnly bool  `yaml:"prompt_only"` // true: rows have no response; false: they must
	Lowercase  bool  `yaml:"lowercase"`   // true: prompts in lower case
	Trim       *bool `yaml:"trim"`        // nil or true: no white space around prompts and responses

	// Split maps a split to its share of the examples, between 0 and 1; the
	// rest is "train". It divides the files under "" and under "train", by a
	// hash of the prompt, so that equal prompts fall on the same side. Empty
	// means no division.
	Split     map[string]float64 `yaml:"split"`
	SplitSeed uint64             `yaml:"split_seed"` // another seed, another division; 0 is a seed

	MaxPromptChars int `yaml:"max_prompt_chars"` // longer prompts are too_long; 0 means no limit
	// Limit keeps that many examples a split, chosen by hash of their prompts
	// and kept in order; 0 means all.
	Limit   int    `yaml:"limit"`
	BadRows string `yaml:"bad_rows"` // "" or drop: count rows that cannot be used; error: stop at the first
}

// Columns names the columns to read.
type Columns struct {
	Prompt   string `yaml:"prompt" json:"prompt,omitempty"`     // empty only with a template
	Response string `yaml:"response" json:"response,omitempty"` // empty only with a response template or prompt_only
	ID       string `yaml:"id" json:"id,omitempty"`             // empty: ids are hashes of row and place
}

// splitName is what may name a split: it becomes a file name.
var splitName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// Validate reports every fault of the options at once, each beginning with the
// recipe key.
func (o Options) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	o.validateFiles(fault)
	o.validateSplit(fault)
	o.validateText(fault)
	if o.MaxPromptChars < 0 {
		fault("max_prompt_chars: %d: want 0 or more", o.MaxPromptChars)
	}
	if o.Limit < 0 {
		fault("limit: %d: want 0 or more", o.Limit)
	}
	if o.BadRows != "" && o.BadRows != DropBadRows && o.BadRows != ErrorBadRows {
		fault("bad_rows: %q: want %s or %s", o.BadRows, DropBadRows, ErrorBadRows)
	}
	return errors.Join(faults...)
}

func (o Options) validateFiles(fault func(string, ...any)) {
	if len(o.Files) == 0 {
		fault("files: want at least one file")
	}
	for _, split := range sortedKeys(o.Files) {
		if split != "" && !splitName.MatchString(split) {
			fault("files: %q cannot name a split: want a-z, 0-9, _ and -", split)
		}
		if len(o.Files[split]) == 0 {
			fault("files: %q: want at least one file", split)
		}
		if slices.Contains(o.Files[split], "") {
			fault("files: %q: an empty file name", split)
		}
	}
}

func (o Options) validateSplit(fault func(string, ...any)) {
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
	if len(o.Split) > 0 && len(o.Files) > 0 && o.Files[""] == nil && o.Files[TrainSplit] == nil {
		fault("split: there are no files to divide: none is under train or without a split")
	}
}

func (o Options) validateText(fault func(string, ...any)) {
	if o.Columns.Prompt == "" && o.Template == "" {
		fault("columns.prompt: want a column, or a template")
	}
	if o.Columns.Prompt != "" && o.Template != "" {
		// A template that ignores the column is a slip more often than a wish.
		if t, err := parseTemplate(o.Template); err == nil && !slices.Contains(t.columns, o.Columns.Prompt) {
			fault("template: it does not use the prompt column {%s}", o.Columns.Prompt)
		}
	}
	response := o.Columns.Response != "" || o.ResponseTemplate != ""
	if response && o.PromptOnly {
		fault("prompt_only: it excludes columns.response and response_template")
	}
	if !response && !o.PromptOnly {
		fault("columns.response: want a column, a response_template, or prompt_only")
	}
	for _, t := range []struct{ key, text string }{{"template", o.Template}, {"response_template", o.ResponseTemplate}} {
		if t.text == "" {
			continue
		}
		if parsed, err := parseTemplate(t.text); err != nil {
			fault("%s: %w", t.key, err)
		} else if len(parsed.columns) == 0 {
			fault("%s: %q: it uses no column", t.key, t.text)
		}
	}
}

func (o Options) trim() bool { return o.Trim == nil || *o.Trim }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
