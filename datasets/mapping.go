package datasets

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// mapper turns rows of one input into examples. It is read-only once made: many
// goroutines may use it.
type mapper struct {
	in       *Input
	columns  Columns
	want     []wanted
	prompt   template
	response template
	labels   []string // names of the labels 0, 1, …
	form     func(m *mapper, cells cells, e *Example) Reason
}

// cells are a row's, found by column.
type cells struct {
	m    *mapper
	list []cell
}

// of is the cell of the named column; "" names none.
func (c cells) of(name string) cell {
	if name == "" {
		return cell{state: cellMissing}
	}
	for i := range c.m.want {
		if c.m.want[i].name == name {
			return c.list[i]
		}
	}
	panic("datasets: no such column is read: " + name) // newMapper lists all
}

// newMapper returns the mapper of an input that Validate has passed.
func newMapper(in *Input) (*mapper, error) {
	m := &mapper{in: in, columns: in.columns(), labels: in.Labels, form: forms[in.format()]}
	c := &m.columns
	var err error
	switch {
	case in.Template != "":
		if m.prompt, err = parseTemplate(in.Template); err != nil {
			return nil, fmt.Errorf("template: %w", err)
		}
	case in.format() == FormatText:
		m.prompt = columnTemplate(c.Prompt)
	case in.format() == FormatClassification:
		m.prompt = columnTemplate(c.Text)
	case in.format() == FormatMultipleChoice:
		m.prompt = columnTemplate(c.Question)
	}
	switch {
	case in.ResponseTemplate != "":
		if m.response, err = parseTemplate(in.ResponseTemplate); err != nil {
			return nil, fmt.Errorf("response_template: %w", err)
		}
	case in.format() == FormatText && !in.PromptOnly:
		m.response = columnTemplate(c.Response)
	}
	m.wantColumns()
	return m, nil
}

// wantColumns lists what is read, each column once.
func (m *mapper) wantColumns() {
	add := func(optional bool, names ...string) {
		for _, name := range names {
			at := 0
			for at < len(m.want) && m.want[at].name != name {
				at++
			}
			if name != "" && at == len(m.want) {
				m.want = append(m.want, wanted{name, optional})
			} else if name != "" {
				m.want[at].optional = m.want[at].optional && optional
			}
		}
	}
	c := m.columns
	add(false, m.prompt.columns...)
	add(false, m.response.columns...)
	switch m.in.format() {
	case FormatMessages, FormatShareGPT:
		add(false, c.Messages, c.Tools, c.System)
	case FormatAlpaca:
		if m.in.Template == "" {
			add(false, c.Instruction)
			add(m.in.Columns.Input == "", c.Input)
		}
		add(false, c.System)
		add(m.in.PromptOnly, c.Output)
	case FormatClassification:
		add(m.in.PromptOnly, c.Label)
	case FormatMultipleChoice:
		add(false, c.Choices)
		add(m.in.PromptOnly, c.Answer)
	case FormatPreference:
		add(m.in.Columns.Prompt == "", c.Prompt) // the pair may hold it
		add(false, c.Chosen, c.Rejected, c.System)
	}
	add(false, c.ID, c.Reference, c.Group)
}

// forms is how each format fills in an example.
var forms = map[string]func(*mapper, cells, *Example) Reason{
	FormatText: (*mapper).text, FormatClassification: (*mapper).classification, FormatAlpaca: (*mapper).alpaca,
	FormatMessages: (*mapper).messages, FormatShareGPT: (*mapper).messages, FormatPreference: (*mapper).preference,
	FormatMultipleChoice: (*mapper).multipleChoice,
}

// example makes a row an example, or says why it cannot.
func (m *mapper) example(list []cell, e *Example) Reason {
	c := cells{m, list}
	if reason := m.form(m, c, e); reason != "" {
		return reason
	}
	if m.in.trim() {
		e.Prompt, e.Response = strings.TrimSpace(e.Prompt), strings.TrimSpace(e.Response)
	}
	if m.in.Lowercase {
		e.Prompt = strings.ToLower(e.Prompt)
	}
	var reason Reason
	if m.columns.Reference != "" && c.of(m.columns.Reference).present() {
		if e.Reference, reason = c.of(m.columns.Reference).scalar(""); reason != "" {
			return reason
		}
	}
	if m.columns.Group != "" {
		if e.Group, reason = m.filled(c.of(m.columns.Group), NullGroup); reason != "" {
			return reason
		}
	}
	if m.columns.ID != "" {
		e.ID, reason = m.filled(c.of(m.columns.ID), NullID)
	}
	return reason
}

// filled is the text of a cell that must have one, trimmed as prompts are.
func (m *mapper) filled(c cell, null Reason) (string, Reason) {
	text, reason := c.scalar(null)
	if reason == "" && strings.TrimSpace(text) == "" {
		reason = null
	}
	if m.in.trim() {
		text = strings.TrimSpace(text)
	}
	return text, reason
}

// render puts a row's values into a template. It is empty if all of them are,
// whatever the template has around them.
func (m *mapper) render(t template, c cells, null, empty Reason) (string, Reason) {
	var few [4]string
	values := few[:0]
	blank := true
	for _, name := range t.columns {
		text, reason := c.of(name).scalar(null)
		if reason != "" {
			return "", reason
		}
		values = append(values, text)
		blank = blank && strings.TrimSpace(text) == ""
	}
	if blank {
		return "", empty
	}
	return t.render(values), ""
}

// text: a prompt and a response.
func (m *mapper) text(c cells, e *Example) (reason Reason) {
	if e.Prompt, reason = m.render(m.prompt, c, NullPrompt, EmptyPrompt); reason != "" || m.in.PromptOnly {
		return reason
	}
	e.Response, reason = m.render(m.response, c, NullResponse, EmptyResponse)
	return reason
}

// response is the text of the cell that holds the response.
func (m *mapper) responseOf(c cell) (string, Reason) {
	text, reason := c.scalar(NullResponse)
	if reason == "" && strings.TrimSpace(text) == "" {
		reason = EmptyResponse
	}
	return text, reason
}

// alpaca: an instruction, perhaps something that it is about, and an output.
// What the instruction is about follows it after an empty line.
func (m *mapper) alpaca(c cells, e *Example) (reason Reason) {
	if m.in.Template != "" {
		e.Prompt, reason = m.render(m.prompt, c, NullPrompt, EmptyPrompt)
	} else if e.Prompt, reason = c.of(m.columns.Instruction).scalar(NullPrompt); reason == "" {
		var about string
		if in := c.of(m.columns.Input); in.present() {
			if about, reason = in.scalar(""); reason != "" {
				return reason
			}
		}
		switch {
		case strings.TrimSpace(e.Prompt+about) == "":
			reason = EmptyPrompt
		case strings.TrimSpace(e.Prompt) == "":
			e.Prompt = about
		case strings.TrimSpace(about) != "":
			e.Prompt = strings.TrimRight(e.Prompt, " \t\r\n") + "\n\n" + strings.TrimLeft(about, "\r\n")
		}
	}
	if reason == "" && !m.in.PromptOnly {
		e.Response, reason = m.responseOf(c.of(m.columns.Output))
	}
	if reason == "" && m.columns.System != "" {
		reason = m.withSystem(c, e)
	}
	return reason
}

// withSystem puts a row's system turn before the prompt, if there is one.
func (m *mapper) withSystem(c cells, e *Example) Reason {
	turns, reason := m.systemTurn(c)
	if reason == "" && len(turns) > 0 {
		reason = m.converse(append(turns, textTurn("user", e.Prompt)), e)
	}
	return reason
}

// classification: a text and its label.
func (m *mapper) classification(c cells, e *Example) (reason Reason) {
	if e.Prompt, reason = m.render(m.prompt, c, NullPrompt, EmptyPrompt); reason != "" || m.in.PromptOnly {
		return reason
	}
	label := c.of(m.columns.Label)
	if e.Response, reason = m.responseOf(label); reason == "" && len(m.labels) > 0 {
		e.Response, reason = m.labelName(e.Response)
	}
	return reason
}

// labelName is the name of a label, which is that or its number.
func (m *mapper) labelName(text string) (string, Reason) {
	text = strings.TrimSpace(text)
	for _, name := range m.labels {
		if name == text {
			return name, ""
		}
	}
	if n, ok := index(text); ok && n < len(m.labels) {
		return m.labels[n], ""
	}
	return "", UnknownLabel
}

// index reads a whole number, not negative, of few digits.
func index(text string) (int, bool) {
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' || n > 1<<20 {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, text != ""
}

// with is the mapper for one file: without names for its labels it takes those
// that the file has.
func (m *mapper) with(path string) *mapper {
	if m.in.format() != FormatClassification || len(m.labels) > 0 || filepath.Ext(strings.ToLower(path)) != ".parquet" {
		return m
	}
	of := *m
	of.labels = classNames(path, m.columns.Label)
	return &of
}

// classNames are the names of a column's classes, as Hugging Face's datasets
// keeps them in a Parquet file; nil if it has none. Who reads the file says
// what is wrong with it.
func classNames(path, column string) []string {
	f, err := openParquet(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var meta struct {
		Info struct {
			Features map[string]struct {
				Type  string   `json:"_type"`
				Names []string `json:"names"`
			} `json:"features"`
		} `json:"info"`
	}
	if json.Unmarshal([]byte(f.features), &meta) != nil || meta.Info.Features[column].Type != "ClassLabel" {
		return nil
	}
	return meta.Info.Features[column].Names
}
