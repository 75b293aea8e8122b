package datasets

import "errors"

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
	Weight    float32  `parquet:"-"`                  // of its loss; 0 means 1
}

// bytes is about the memory that the example takes.
func (e *Example) bytes() int {
	n := 256 + len(e.ID) + len(e.Prompt) + len(e.Response) + len(e.Messages) + len(e.Turn) + len(e.Tools) + len(e.Rejected) +
		len(e.Reference) + len(e.Group)
	for _, c := range e.Choices {
		n += 16 + len(c)
	}
	return n
}

// Source is a file that the rows came from.
type Source struct {
	Name   string `json:"name,omitempty"`  // of the mixed source
	File   string `json:"file"`            // base name
	Split  string `json:"split,omitempty"` // that it was listed under
	Rows   int    `json:"rows"`
	SHA256 string `json:"sha256"`
}

// Dataset is a set of examples in splits, in the order of the files and rows. It
// lies in a directory; the examples are read from there when they are asked for.
type Dataset struct {
	Rejected   []Rejection // the first 100, in order
	Counts     Counts
	Sources    []Source
	Statistics map[string]Statistics // per split
	// Contamination is what Options.Decontaminate found, nil without it.
	Contamination *Contamination

	dir    string
	rule   Rule
	labels []string
}

// Rule is how the rows became examples, as dataset.json keeps it.
type Rule struct {
	InputRule
	Mix              map[string]InputRule `json:"mix,omitempty"`
	MixSize          int                  `json:"mix_size,omitempty"`
	MixRepeat        int                  `json:"mix_repeat,omitempty"`
	Split            map[string]float64   `json:"split,omitempty"`
	SplitSeed        uint64               `json:"split_seed"`
	MaxPromptChars   int                  `json:"max_prompt_chars,omitempty"`
	MaxResponseChars int                  `json:"max_response_chars,omitempty"`
	TooLong          string               `json:"too_long,omitempty"`
	Deduplicate      *Deduplicate         `json:"deduplicate,omitempty"`
	Decontaminate    *Decontaminate       `json:"decontaminate,omitempty"`
	Balance          *Balance             `json:"balance,omitempty"`
	Limit            int                  `json:"limit,omitempty"`
}

// InputRule is the part of a Rule that each mixed source has of its own.
type InputRule struct {
	Format           string   `json:"format,omitempty"`
	Columns          Columns  `json:"columns"`
	Template         string   `json:"template,omitempty"`
	ResponseTemplate string   `json:"response_template,omitempty"`
	Labels           []string `json:"label_names,omitempty"`
	Answer           string   `json:"answer,omitempty"`
	Respond          string   `json:"respond,omitempty"`
	PromptOnly       bool     `json:"prompt_only,omitempty"`
	Lowercase        bool     `json:"lowercase,omitempty"`
	Trim             bool     `json:"trim"`
	Weight           float64  `json:"weight,omitempty"`
}

func inputRule(in *Input, weight float64) InputRule {
	return InputRule{
		Format: in.Format, Columns: in.columns(), Template: in.Template, ResponseTemplate: in.ResponseTemplate, Labels: in.Labels,
		Answer: in.Answer, Respond: in.Respond, PromptOnly: in.PromptOnly, Lowercase: in.Lowercase, Trim: in.trim(), Weight: weight,
	}
}

func ruleOf(o *Options) Rule {
	r := Rule{
		InputRule: inputRule(&o.Input, 0), MixSize: o.MixSize, MixRepeat: o.MixRepeat, Split: o.Split, SplitSeed: o.SplitSeed,
		MaxPromptChars: o.MaxPromptChars, MaxResponseChars: o.MaxResponseChars, TooLong: o.TooLong,
		Deduplicate: o.Deduplicate, Decontaminate: o.Decontaminate.named(), Balance: o.Balance, Limit: o.Limit,
	}
	for name, s := range o.Mix {
		if r.Mix == nil {
			r.Mix = map[string]InputRule{}
		}
		r.Mix[name] = inputRule(&s.Input, s.Weight)
	}
	return r
}

// Rule returns how the rows became examples.
func (d *Dataset) Rule() Rule { return d.rule }

// Splits returns the names of the splits, in order.
func (d *Dataset) Splits() []string { return sortedKeys(d.Counts.Examples) }

// Len is how many examples a split has; 0 of one that there is not.
func (d *Dataset) Len(split string) int { return d.Counts.Examples[split] }

// Labels returns the distinct responses of all splits in order, or nil if they
// are too many or too long for labels: more than 1,000, or 1 MB in all.
func (d *Dataset) Labels() []string { return d.labels }
