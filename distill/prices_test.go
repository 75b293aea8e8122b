package distill_test

import (
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/distill"
)

func TestListPrices(t *testing.T) {
	p, err := distill.ListPrices()
	if err != nil || p.Version == "" || len(p.List) < 40 {
		t.Fatalf("%d prices of %q, error %v", len(p.List), p.Version, err)
	}
	for _, c := range []struct {
		provider, model, want string // the entry; empty: none
	}{
		{"openai", "gpt-4o", "gpt-4o"}, {"OpenAI", "GPT-4o", "gpt-4o"},
		{"openai", "gpt-4o-2024-08-06", "gpt-4o"}, {"openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"},
		{"openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"}, {"openai", "gpt-4o-audio-preview", ""}, {"openai", "gpt-4", ""},
		{"openai", "gpt-5-2025-08-07", "gpt-5"}, {"openai", "gpt-5-codex-x", ""}, {"openai", "o3-pro", ""},
		{"anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"}, {"anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4"},
		{"anthropic", "claude-3-5-haiku-latest", "claude-3-5-haiku"}, {"anthropic", "gpt-4o", ""}, {"anthropic", "claude-opus-4-9", ""},
		{"google", "gemini-2.0-flash-001", "gemini-2.0-flash"}, {"google", "gemini-2.5-pro-preview-05-06", "gemini-2.5-pro"},
		{"google", "gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash"}, {"xai", "grok-4-0709", "grok-4"}, {"local", "x", ""}, {"openai", "", ""},
	} {
		got, err := p.Find(c.provider, c.model)
		if got.Model != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s %s: %q, error %v, want %q", c.provider, c.model, got.Model, err, c.want)
		}
		if c.want == "" && (!errors.Is(err, distill.ErrPrice) || !strings.Contains(err.Error(), "price: {input: 0, output: 0}")) {
			t.Errorf("%s %s: error %v", c.provider, c.model, err)
		}
	}
	mini, _ := p.Find("openai", "gpt-4o-mini")
	if got := mini.Cost(distill.Usage{PromptTokens: 1e6, CachedTokens: 4e5, AnswerTokens: 1e6}, true); got != distill.USD((0.6*0.15+0.4*0.075+0.6)/2) {
		t.Errorf("a million tokens each: %v", got)
	}
}

func TestParsePricesRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{`: "EOF",
		`{"prices":[{"provider":"a","model":"b","input":-1,"output":1}]}`:                                                  "a b): input: -1",
		`{"prices":[{"provider":"a","input":1,"output":1}]}`:                                                               "no model",
		`{"prices":[{"provider":"a","model":"b","input":1,"output":1},{"provider":"A","model":"B","input":1,"output":1}]}`: "twice",
		`{"prices":[{"provider":"a","model":"b","inptu":1}]}`:                                                              "inptu",
		`{"prices":[{"provider":"a","model":"b","input":1,"output":1,"batch":2}]}`:                                         "batch: 2",
		`{"prices":[{"provider":"a","model":"b","input":1,"output":1,"long":{"above":0,"input":-2,"output":1}}]}`:          "long.input: -2",
		`{"prices":[{"provider":"a","model":"b","input":1,"output":1,"long":{"above":0,"input":2,"output":1}}]}`:           "long.above: 0",
		`{"prices":[{"provider":"a","model":"b","input":1,"output":1,"cached_input":1e300}]}`:                              "cached_input",
	} {
		if _, err := distill.ParsePrices([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

func TestLongPrompts(t *testing.T) {
	p := distill.Price{Input: 1, Output: 2, Long: &distill.LongPrice{Above: 100, Input: 3, Output: 5, CachedInput: new(0.5)}}
	for _, c := range []struct {
		usage distill.Usage
		want  distill.Money // of 1000 to a millionth
	}{
		{distill.Usage{PromptTokens: 100, AnswerTokens: 10}, 120_000},
		{distill.Usage{PromptTokens: 101, AnswerTokens: 10}, 353_000},
		{distill.Usage{PromptTokens: 101, CachedTokens: 100, AnswerTokens: 10}, 103_000},
	} {
		if got := p.Cost(c.usage, false); got != c.want {
			t.Errorf("%+v: %d, want %d", c.usage, got, c.want)
		}
	}
}

func drafts(list ...distill.Draft) iter.Seq2[distill.Draft, error] {
	return func(yield func(distill.Draft, error) bool) {
		for _, d := range list {
			if !yield(d, nil) {
				return
			}
		}
	}
}

func TestEstimateAnswers(t *testing.T) {
	price := distill.Price{Input: 1, Output: 10}
	words := func(s string) int { return len(strings.Fields(s)) }
	one := func(r distill.Request, reference string, o distill.EstimateOptions) distill.Estimate {
		t.Helper()
		e, err := distill.EstimateAnswers(t.Context(), nil, "t", drafts(distill.Draft{Request: r, Reference: reference}), o)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	text := strings.Repeat("word ", 100)
	e := one(distill.Request{Prompt: text, MaxTokens: 80}, "", distill.EstimateOptions{Price: price})
	if e.Likely.PromptTokens != 125+16 || e.Worst.PromptTokens != 500+116 || e.Likely.AnswerTokens != 40 || e.Worst.AnswerTokens != 80 {
		t.Errorf("by bytes: %+v", e)
	}
	if e.Likely.Cost != distill.USD(141e-6+400e-6) || e.Worst.Cost != distill.USD(616e-6+800e-6) {
		t.Errorf("money: %v and %v", e.Likely.Cost, e.Worst.Cost)
	}
	e = one(distill.Request{Prompt: "not counted", Messages: `[{"role":"user","content":"a b"},{"role":"assistant"},{}]`, MaxTokens: 80}, "a b c",
		distill.EstimateOptions{Price: price, Tokens: words, Batch: true})
	if e.Likely.PromptTokens != 2+8+24 || e.Likely.AnswerTokens != 4 || e.Worst.AnswerTokens != 80 || e.Likely.Cost != distill.USD((34e-6+40e-6)/2) {
		t.Errorf("with a tokenizer and a reference: %+v", e)
	}
	if e = one(distill.Request{Prompt: "a", MaxTokens: 2}, text, distill.EstimateOptions{Tokens: words}); e.Likely.AnswerTokens != 2 {
		t.Errorf("a reference longer than the limit: %+v", e)
	}
	if e = one(distill.Request{Prompt: "a", MaxTokens: 8}, "", distill.EstimateOptions{Share: new(0.0), Samples: 3}); e.Requests != 3 || e.Likely.Answers != 3 || e.Likely.AnswerTokens != 0 {
		t.Errorf("three samples, no share: %+v", e)
	}
	if _, err := distill.EstimateAnswers(t.Context(), nil, "t", drafts(), distill.EstimateOptions{Share: new(2.0)}); err == nil {
		t.Error("a share of 2")
	}
}

func TestEstimateKnowsTheStore(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	var list []distill.Draft
	for i := range 600 {
		r := distill.Request{Prompt: fmt.Sprint(i % 500)}
		list = append(list, distill.Draft{Request: r})
		if i < 100 {
			if _, err := s.Put(t.Context(), "t", r, distill.Answer{Text: "x", Finish: distill.FinishStop, Cost: 7}); err != nil {
				t.Fatal(err)
			}
		}
	}
	e, err := distill.EstimateAnswers(t.Context(), s, "t", drafts(list[:400]...), distill.EstimateOptions{})
	if err != nil || e.Requests != 400 || e.Cached != 100 || e.Saved != 700 || e.Likely.Answers != 300 {
		t.Errorf("%+v, error %v", e, err)
	}
	broken := errors.New("row 1")
	if _, err = distill.EstimateAnswers(t.Context(), s, "t", func(yield func(distill.Draft, error) bool) { yield(distill.Draft{}, broken) }, distill.EstimateOptions{}); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
