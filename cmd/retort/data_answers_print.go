package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/retort-ml/retort/distill"

	"github.com/urfave/cli/v2"
)

// shown is a record as JSON.
type shown struct {
	Key             string    `json:"key"`
	CreatedAt       time.Time `json:"created_at"`
	Teacher         string    `json:"teacher"`
	Model           string    `json:"model,omitempty"`
	Fingerprint     string    `json:"fingerprint,omitempty"`
	Prompt          string    `json:"prompt"`
	Messages        string    `json:"messages,omitempty"`
	Tools           string    `json:"tools,omitempty"`
	Schema          string    `json:"schema,omitempty"`
	Sample          int       `json:"sample"`
	MaxTokens       int       `json:"max_tokens"`
	Temperature     float64   `json:"temperature"`
	Given           *string   `json:"given,omitempty"`
	Answer          string    `json:"answer"`
	Reasoning       string    `json:"reasoning,omitempty"`
	ToolCalls       string    `json:"tool_calls,omitempty"`
	Finish          string    `json:"finish"`
	PromptTokens    int       `json:"prompt_tokens"`
	CachedTokens    int       `json:"cached_tokens"`
	AnswerTokens    int       `json:"answer_tokens"`
	ReasoningTokens int       `json:"reasoning_tokens"`
	CostUSD         float64   `json:"cost_usd"`
	RetryCostUSD    float64   `json:"retry_cost_usd"`
	Batch           bool      `json:"batch"`
	Attempts        int       `json:"attempts"`
	LatencyMS       float64   `json:"latency_ms"`
	Raw             string    `json:"raw,omitempty"`        // of --key
	RawBase64       []byte    `json:"raw_base64,omitempty"` // the same, if it is no text
}

func recordOf(r distill.Record, raw bool) shown {
	q, a := r.Request, r.Answer
	v := shown{Key: r.Key.String(), CreatedAt: r.CreatedAt, Teacher: r.Teacher, Model: a.Model, Fingerprint: a.Fingerprint,
		Prompt: q.Prompt, Messages: q.Messages, Tools: q.Tools, Schema: q.Schema, Sample: q.Sample, MaxTokens: q.MaxTokens, Temperature: q.Sampling.Temperature,
		Given: q.Given, Answer: a.Text, Reasoning: a.Reasoning, ToolCalls: a.ToolCalls, Finish: a.Finish,
		PromptTokens: a.PromptTokens, CachedTokens: a.CachedTokens, AnswerTokens: a.AnswerTokens, ReasoningTokens: a.ReasoningTokens,
		CostUSD: a.Cost.Dollars(), RetryCostUSD: a.RetryCost.Dollars(), Batch: a.Batch, Attempts: a.Attempts, LatencyMS: float64(a.Latency) / 1e6}
	switch {
	case !raw:
	case utf8.Valid(a.Raw):
		v.Raw = string(a.Raw)
	default:
		v.RawBase64 = a.Raw
	}
	return v
}

// printAnswers prints records, a line of JSON, a short paragraph or all of each.
func printAnswers(c *cli.Context, s streams, store *distill.Store, f distill.Filter) error {
	var damage []error
	n := 0
	for r, err := range store.Records(c.Context, f) {
		if d := new(distill.DamagedError); errors.As(err, &d) {
			damage = append(damage, err)
			continue
		} else if err != nil {
			return err
		}
		n++
		switch v := recordOf(r, f.Key != ""); {
		case c.Bool("json"):
			line, err := json.Marshal(v)
			if err != nil {
				return err
			}
			err = write(s, visibleJSON(string(line))+"\n")
			if err != nil {
				return err
			}
		case f.Key != "":
			if err := write(s, whole(v, r.Answer)); err != nil {
				return err
			}
		default:
			if err := write(s, brief(v, r.Answer)); err != nil {
				return err
			}
		}
	}
	if n == 0 && len(damage) == 0 {
		if f.Key != "" {
			return fmt.Errorf("no answer in %s has key %s", store.Path(), f.Key)
		}
		fmt.Fprintln(s.err, "no answers")
	}
	return errors.Join(damage...)
}

func write(s streams, text string) error {
	_, err := fmt.Fprint(s.out, text)
	return err
}

const (
	shownKey  = 16  // hexadecimal digits
	shownText = 200 // characters
)

func brief(v shown, a distill.Answer) string {
	cut := func(text string) string {
		if list := []rune(visible(text)); len(list) > shownText {
			return string(list[:shownText]) + "…"
		}
		return visible(text)
	}
	model := v.Model
	if model == "" {
		model = v.Teacher
	}
	return fmt.Sprintf("%s  %s  %s  %s, %d+%d tokens, %v\n  > %s\n  < %s\n", v.Key[:shownKey], v.CreatedAt.Format(time.DateTime), cut(model), visible(v.Finish),
		v.PromptTokens, v.AnswerTokens, a.Cost, cut(v.Prompt), cut(v.Answer))
}

func whole(v shown, a distill.Answer) string {
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-13s %s\n", name, strings.ReplaceAll(visibleLines(text), "\n", "\n"+strings.Repeat(" ", 14)))
		}
	}
	line("key", v.Key)
	line("kept", v.CreatedAt.Format(time.RFC3339))
	line("teacher", v.Teacher)
	line("model", v.Model)
	line("fingerprint", v.Fingerprint)
	line("settings", fmt.Sprintf("max_tokens %d, temperature %v, sample %d", v.MaxTokens, v.Temperature, v.Sample))
	line("prompt", v.Prompt)
	line("messages", v.Messages)
	line("tools", v.Tools)
	line("schema", v.Schema)
	if v.Given != nil {
		line("given", *v.Given)
	}
	line("finish", v.Finish)
	line("reasoning", v.Reasoning)
	line("answer", v.Answer)
	line("tool calls", v.ToolCalls)
	line("tokens", fmt.Sprintf("%d of the prompt (%d cached), %d of the answer (%d reasoning)", v.PromptTokens, v.CachedTokens, v.AnswerTokens, v.ReasoningTokens))
	line("cost", fmt.Sprintf("%v, attempts before %v, %d attempts, batch %v, %v", a.Cost, a.RetryCost, v.Attempts, v.Batch, a.Latency.Round(time.Millisecond)))
	line("raw", string(a.Raw))
	return b.String()
}

// visible is text with escapes for all that a terminal might obey, or not show.
func visible(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
	}
	return b.String()
}

// visibleLines is visible, but with the line breaks left in.
func visibleLines(text string) string {
	list := strings.Split(text, "\n")
	for i := range list {
		list[i] = visible(list[i])
	}
	return strings.Join(list, "\n")
}

// visibleJSON is JSON with escapes for the characters that JSON leaves in and a
// terminal might obey.
func visibleJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
