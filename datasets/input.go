package datasets

import (
	"fmt"
	"slices"
)

// The forms that rows come in, as Input.Format names them.
const (
	FormatText           = "text" // a prompt and a response: columns or templates
	FormatMessages       = "messages"
	FormatAlpaca         = "alpaca"
	FormatShareGPT       = "sharegpt"
	FormatClassification = "classification"
	FormatMultipleChoice = "multiple_choice"
	FormatPreference     = "preference"
)

var formats = []string{FormatText, FormatMessages, FormatAlpaca, FormatShareGPT, FormatClassification, FormatMultipleChoice, FormatPreference}

// How a multiple choice is answered, as Input.Answer and Input.Respond say it.
const (
	ByIndex  = "index"
	ByLetter = "letter"
	ByText   = "text"
)

// Input is files whose rows have one form, and what of a row goes where. The
// zero value of a field is its default; files and a prompt are needed.
type Input struct {
	// Files maps a split to its files: paths or patterns as for filepath.Glob, in
	// which ** stands for any number of folders. They end in .parquet; in .jsonl
	// or .ndjson (an object a line), .json (those or an array), .csv or .tsv, and
	// of these with .gz or .zst besides. The key "" means the files that Split
	// divides; recipes give a plain list or string that key.
	Files map[string][]string `yaml:"files"`

	// Hub names a dataset of a hub, org/name, that Files are patterns in; without
	// Files its configuration Config ("" is its only or default one) says which
	// they are. Revision is a branch, tag or commit, "" the main branch. Who calls
	// Make has put paths into Files and emptied Hub.
	Hub      string `yaml:"hub,omitempty"`
	Revision string `yaml:"revision,omitempty"`
	Config   string `yaml:"config,omitempty"`

	// Format is the form of the rows; "" is text. Columns names the columns
	// where they are not called as the form has them.
	Format  string  `yaml:"format,omitempty"`
	Columns Columns `yaml:"columns"`

	// Template is the prompt, with {column} where a column's value goes and {{
	// and }} for braces. Empty means the prompt column as it is. Of a multiple
	// choice it is the question, which the choices follow.
	Template string `yaml:"template"`
	// ResponseTemplate is the response likewise. Empty means the response
	// column as it is.
	ResponseTemplate string `yaml:"response_template"`

	Labels  []string `yaml:"labels,omitempty"`  // classification: names of the labels 0, 1, …; responses are among them
	Answer  string   `yaml:"answer,omitempty"`  // multiple choice: what the answer column holds; "" tells by its values
	Respond string   `yaml:"respond,omitempty"` // multiple choice: the response is the letter ("") or the text of the choice

	PromptOnly bool  `yaml:"prompt_only"` // true: rows have no response; false: they must
	Lowercase  bool  `yaml:"lowercase"`   // true: prompts in lower case
	Trim       *bool `yaml:"trim"`        // nil or true: no white space around prompts and responses
}

// MixInput is one of several inputs that are mixed.
type MixInput struct {
	Input `yaml:",inline"`
	// Weight is the source's part of the training examples, in proportion to the
	// weights of the others. All sources have one, or none: then all examples are taken.
	Weight float64 `yaml:"weight"`
}

// Columns names the columns to read. Those that a format does not use must be empty.
type Columns struct {
	Prompt   string `yaml:"prompt" json:"prompt,omitempty"`     // text, preference
	Response string `yaml:"response" json:"response,omitempty"` // text; empty only with a response template or prompt_only
	ID       string `yaml:"id" json:"id,omitempty"`             // empty: ids are hashes of row and place

	Reference string `yaml:"reference,omitempty" json:"reference,omitempty"` // what answers are checked against
	Group     string `yaml:"group,omitempty" json:"group,omitempty"`         // rows with equal values fall into one split

	Messages string `yaml:"messages,omitempty" json:"messages,omitempty"` // messages, sharegpt ("conversations")
	Tools    string `yaml:"tools,omitempty" json:"tools,omitempty"`       // messages, sharegpt: a list, or its JSON; may be null
	System   string `yaml:"system,omitempty" json:"system,omitempty"`     // sharegpt, alpaca, preference: a system turn; may be null

	Instruction string `yaml:"instruction,omitempty" json:"instruction,omitempty"` // alpaca
	Input       string `yaml:"input,omitempty" json:"input,omitempty"`             // alpaca; may be empty, null or absent
	Output      string `yaml:"output,omitempty" json:"output,omitempty"`           // alpaca

	Text  string `yaml:"text,omitempty" json:"text,omitempty"`   // classification
	Label string `yaml:"label,omitempty" json:"label,omitempty"` // classification: a name or a number

	Question string `yaml:"question,omitempty" json:"question,omitempty"` // multiple choice
	Choices  string `yaml:"choices,omitempty" json:"choices,omitempty"`   // multiple choice: a list of texts, or a struct of the lists text and label
	Answer   string `yaml:"answer,omitempty" json:"answer,omitempty"`     // multiple choice

	Chosen   string `yaml:"chosen,omitempty" json:"chosen,omitempty"`     // preference: a text, or a list of messages
	Rejected string `yaml:"rejected,omitempty" json:"rejected,omitempty"` // preference likewise
}

// columnField is a column's key and where Columns keeps it.
type columnField struct {
	key  string
	name *string
}

func (c *Columns) fields() []columnField {
	return []columnField{{"prompt", &c.Prompt}, {"response", &c.Response}, {"messages", &c.Messages}, {"tools", &c.Tools},
		{"system", &c.System}, {"instruction", &c.Instruction}, {"input", &c.Input}, {"output", &c.Output}, {"text", &c.Text},
		{"label", &c.Label}, {"question", &c.Question}, {"choices", &c.Choices}, {"answer", &c.Answer}, {"chosen", &c.Chosen},
		{"rejected", &c.Rejected}}
}

// formatColumns lists what each format reads and how it is called when nobody
// says so; "" is not read then. Every format has id, reference and group.
var formatColumns = map[string]map[string]string{
	FormatText:           {"prompt": "", "response": ""},
	FormatMessages:       {"messages": "messages", "tools": ""},
	FormatShareGPT:       {"messages": "conversations", "tools": "", "system": ""},
	FormatAlpaca:         {"instruction": "instruction", "input": "input", "output": "output", "system": ""},
	FormatClassification: {"text": "text", "label": "label"},
	FormatMultipleChoice: {"question": "question", "choices": "choices", "answer": "answer"},
	FormatPreference:     {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected", "system": ""},
}

func (in *Input) format() string {
	if in.Format == "" {
		return FormatText
	}
	return in.Format
}

// columns are in.Columns with the names that the format has by itself.
func (in *Input) columns() Columns {
	c := in.Columns
	for _, f := range c.fields() {
		if *f.name == "" {
			*f.name = formatColumns[in.format()][f.key]
		}
	}
	return c
}

// conversations tells whether the format's rows are turns of a chat.
func (in *Input) conversations() bool {
	return slices.Contains([]string{FormatMessages, FormatShareGPT, FormatPreference}, in.format())
}

func (in *Input) trim() bool { return in.Trim == nil || *in.Trim }

func (in *Input) validate(fault faults) {
	in.validateFiles(fault)
	if !slices.Contains(formats, in.format()) {
		fault("format: %q: want one of %s", in.Format, nameList(formats))
		return
	}
	columns := in.Columns
	for _, f := range columns.fields() {
		if _, used := formatColumns[in.format()][f.key]; *f.name != "" && !used {
			fault("columns.%s: format %s does not read it", f.key, in.format())
		}
	}
	in.validateTemplates(fault)
	in.validateFormat(fault)
}

func (in *Input) validateFiles(fault faults) {
	if len(in.Files) == 0 && in.Hub == "" {
		fault("files: want at least one file")
	}
	if in.Hub == "" && in.Revision != "" {
		fault("revision: it is of a dataset of a hub: want hub, too")
	}
	if in.Hub == "" && in.Config != "" {
		fault("config: it is of a dataset of a hub: want hub, too")
	}
	for _, split := range sortedKeys(in.Files) {
		if split != "" && !splitName.MatchString(split) {
			fault("files: %q cannot name a split: want a-z, 0-9, _ and -", split)
		}
		if len(in.Files[split]) == 0 {
			fault("files: %q: want at least one file", split)
		}
		if slices.Contains(in.Files[split], "") {
			fault("files: %q: an empty file name", split)
		}
	}
}

func (in *Input) validateFormat(fault faults) {
	text := in.format() == FormatText
	response := in.Columns.Response != "" || in.ResponseTemplate != ""
	if text && in.Columns.Prompt == "" && in.Template == "" {
		fault("columns.prompt: want a column, or a template")
	}
	if text && response && in.PromptOnly {
		fault("prompt_only: it excludes columns.response and response_template")
	}
	if text && !response && !in.PromptOnly {
		fault("columns.response: want a column, a response_template, or prompt_only")
	}
	if in.format() == FormatPreference && in.PromptOnly {
		fault("prompt_only: preference pairs are of responses")
	}
	if in.Lowercase && in.conversations() {
		fault("lowercase: it is for texts, and format %s has conversations", in.format())
	}
	if len(in.Labels) > 0 && in.format() != FormatClassification {
		fault("labels: they are of format %s", FormatClassification)
	}
	if slices.Contains(in.Labels, "") || len(slices.Compact(slices.Sorted(slices.Values(in.Labels)))) != len(in.Labels) {
		fault("labels: want different names, none of them empty")
	}
	if in.format() != FormatMultipleChoice && in.Answer+in.Respond != "" {
		fault("answer: answer and respond are of format %s", FormatMultipleChoice)
	}
	if !slices.Contains([]string{"", ByIndex, ByLetter, ByText}, in.Answer) {
		fault("answer: %q: want %s, %s or %s", in.Answer, ByIndex, ByLetter, ByText)
	}
	if !slices.Contains([]string{"", ByLetter, ByText}, in.Respond) {
		fault("respond: %q: want %s or %s", in.Respond, ByLetter, ByText)
	}
}

func (in *Input) validateTemplates(fault faults) {
	if in.Columns.Prompt != "" && in.Template != "" {
		// A template that ignores the column is a slip more often than a wish.
		if t, err := parseTemplate(in.Template); err == nil && !slices.Contains(t.columns, in.Columns.Prompt) {
			fault("template: it does not use the prompt column {%s}", in.Columns.Prompt)
		}
	}
	for _, t := range []struct{ key, text string }{{"template", in.Template}, {"response_template", in.ResponseTemplate}} {
		switch parsed, err := parseTemplate(t.text); {
		case t.text == "":
		case in.conversations():
			fault("%s: it is for texts, and format %s has conversations", t.key, in.format())
		case t.key == "response_template" && in.format() != FormatText:
			fault("%s: it is of format %s", t.key, FormatText)
		case err != nil:
			fault("%s: %w", t.key, err)
		case len(parsed.columns) == 0:
			fault("%s: %q: it uses no column", t.key, t.text)
		}
	}
}

// faults takes what is wrong, as fmt.Errorf has it.
type faults func(format string, args ...any)

// under puts a recipe key before each fault.
func (f faults) under(key string) faults {
	return func(format string, args ...any) { f("%s.%w", key, fmt.Errorf(format, args...)) }
}
