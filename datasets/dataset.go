package datasets

import (
	"errors"
	"slices"
)

// ErrNoExamples says that no row at all could be used.
var ErrNoExamples = errors.New("no examples")

// Example is one prompt and the response to learn. A conversation is split
// before its last assistant turn, which is the response.
type Example struct {
	ID       string `parquet:"id"` // unique in its split
	Prompt   string `parquet:"prompt"`
	Response string `parquet:"response"` // empty if the dataset is prompt_only
	// Messages are the turns before the response, Turn is the response's own
	// where it is more than text (tool calls, reasoning): JSON as Question has
	// it. Both are empty of plain prompts; Prompt and Response then read the same.
	Messages  string   `parquet:"messages,optional"`
	Turn      string   `parquet:"turn,optional"`
	Tools     string   `parquet:"tools,optional"`
	Choices   []string `parquet:"choices,list"`       // of a multiple choice, Response among them
	Rejected  string   `parquet:"rejected,optional"`  // of a preference pair, the worse response
	Reference string   `parquet:"reference,optional"` // what teachers' answers are checked against, where it is not Response
	Group     string   `parquet:"group,optional"`     // value of the group column
	Source    string   `parquet:"source,optional"`    // name of the mixed dataset that it came from
	File      string   `parquet:"file"`               // base name of the source
	Row       int      `parquet:"row"`                // in that file, from 0
}

// Reason says why a row cannot be used.
type Reason string

// The reasons.
const (
	MissingColumn Reason = "missing_column" // JSON lines: the object lacks a key that others have
	NullPrompt    Reason = "null_prompt"
	NullResponse  Reason = "null_response"
	NullID        Reason = "null_id"
	EmptyPrompt   Reason = "empty_prompt" // nothing but white space
	EmptyResponse Reason = "empty_response"
	TooLong       Reason = "too_long" // more than max_prompt_chars
	InvalidUTF8   Reason = "invalid_utf8"
	WrongType     Reason = "wrong_type"   // a list or struct where text is wanted
	DuplicateID   Reason = "duplicate_id" // an earlier row of the split has the id
)

// Rejection is one row that cannot be used.
type Rejection struct {
	File   string `json:"file"`
	Row    int    `json:"row"` // from 0
	Reason Reason `json:"reason"`
}

// maxRejections is how many rows are listed one by one; all are counted.
const maxRejections = 100

// Counts says what became of the rows read.
type Counts struct {
	Rows     int            `json:"rows"`     // read from all files
	Examples map[string]int `json:"examples"` // kept, per split
	Rejected map[Reason]int `json:"rejected"`
	Unused   int            `json:"unused"` // usable and left out by limit
}

// Source is a file that the rows came from.
type Source struct {
	File   string `json:"file"`            // base name
	Split  string `json:"split,omitempty"` // that it was listed under
	Rows   int    `json:"rows"`
	SHA256 string `json:"sha256"`
}

// Dataset is a set of examples in splits, in the order of the files and rows.
type Dataset struct {
	Splits   map[string][]Example
	Rejected []Rejection // the first 100, in order
	Counts   Counts
	Sources  []Source
	rule     Rule
}

// Rule is how the rows became examples, as dataset.json keeps it.
type Rule struct {
	Columns          Columns            `json:"columns"`
	Template         string             `json:"template,omitempty"`
	ResponseTemplate string             `json:"response_template,omitempty"`
	PromptOnly       bool               `json:"prompt_only,omitempty"`
	Lowercase        bool               `json:"lowercase,omitempty"`
	Trim             bool               `json:"trim"`
	Split            map[string]float64 `json:"split,omitempty"`
	SplitSeed        uint64             `json:"split_seed"`
	MaxPromptChars   int                `json:"max_prompt_chars,omitempty"`
	Limit            int                `json:"limit,omitempty"`
}

func ruleOf(o Options) Rule {
	return Rule{
		Columns: o.Columns, Template: o.Template, ResponseTemplate: o.ResponseTemplate, PromptOnly: o.PromptOnly,
		Lowercase: o.Lowercase, Trim: o.trim(), Split: o.Split, SplitSeed: o.SplitSeed,
		MaxPromptChars: o.MaxPromptChars, Limit: o.Limit,
	}
}

// Rule returns how the rows became examples.
func (d *Dataset) Rule() Rule { return d.rule }

// maxLabels is the most distinct responses that are taken for a set of labels.
const maxLabels = 1000

// Labels returns the distinct responses of all splits in order, or nil if they
// are more than 1,000: then they are texts, not labels.
func (d *Dataset) Labels() []string {
	seen := map[string]bool{}
	for _, split := range d.Splits {
		for i := range split {
			if seen[split[i].Response] = true; len(seen) > maxLabels {
				return nil
			}
		}
	}
	delete(seen, "") // prompt_only
	labels := make([]string, 0, len(seen))
	for label := range seen {
		labels = append(labels, label)
	}
	slices.Sort(labels)
	return labels
}
