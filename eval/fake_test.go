package eval_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/eval"
)

// fake is a Subject that answers from tables by prompt.
type fake struct {
	nats      map[string][]float64 // per prompt, in the order of labels given to it
	labels    []string
	answers   map[string]string
	responses map[string]eval.Scored
	batches   []int // sizes of the batches of ScoreChoices

	scoreChoices func(prompts []datasets.Question, choices []string) ([][]float64, []int, error) // replaces the table
}

func (f *fake) ScoreChoices(_ context.Context, prompts []datasets.Question, choices []string) ([][]float64, []int, error) {
	f.batches = append(f.batches, len(prompts))
	if f.scoreChoices != nil {
		return f.scoreChoices(prompts, choices)
	}
	tokens := make([]int, len(choices))
	nats := make([][]float64, len(prompts))
	for i, p := range prompts {
		nats[i] = make([]float64, len(choices))
		for k, choice := range choices {
			tokens[k] = len(strings.Fields(choice)) + 1
			for j, label := range f.labels {
				if label == choice {
					nats[i][k] = f.nats[p.Text][j]
				}
			}
		}
	}
	return nats, tokens, nil
}

func (f *fake) Generate(_ context.Context, prompts []datasets.Question, maxTokens int) ([]eval.Generation, error) {
	out := make([]eval.Generation, len(prompts))
	for i, p := range prompts {
		out[i] = eval.Generation{Text: f.answers[p.Text], Tokens: min(2, maxTokens), Finish: eval.FinishStop}
		if maxTokens < 2 {
			out[i].Finish = eval.FinishLength
		}
	}
	return out, nil
}

func (f *fake) ScoreResponses(_ context.Context, prompts []datasets.Question, _ []string) ([]eval.Scored, error) {
	out := make([]eval.Scored, len(prompts))
	for i, p := range prompts {
		out[i] = f.responses[p.Text]
	}
	return out, nil
}

func (f *fake) CountTokens(_ context.Context, prompts []datasets.Question) ([]int, error) {
	out := make([]int, len(prompts))
	for i := range out {
		out[i] = 3
	}
	return out, nil
}

// itemsOf makes one item per reference, with prompts p0, p1, …
func itemsOf(references ...string) []datasets.Example {
	items := make([]datasets.Example, len(references))
	for i, r := range references {
		items[i] = datasets.Example{ID: fmt.Sprintf("t%d", i), Prompt: fmt.Sprintf("p%d", i), Response: r, File: "test.parquet", Row: i}
	}
	return items
}

// chooser is a fake that chooses predictions[i] for item i with probability p, the rest
// shared equally, out of labels.
func chooser(p float64, labels []string, predictions ...string) *fake {
	f := &fake{nats: map[string][]float64{}, labels: labels, answers: map[string]string{}, responses: map[string]eval.Scored{}}
	for i, prediction := range predictions {
		prompt := fmt.Sprintf("p%d", i)
		row := make([]float64, len(labels))
		for k, label := range labels {
			row[k] = math.Log((1 - p) / float64(len(labels)-1))
			if label == prediction {
				row[k] = math.Log(p)
			}
		}
		f.nats[prompt], f.answers[prompt] = row, prediction
		f.responses[prompt] = eval.Scored{Nats: -float64(i + 1), Tokens: 2}
	}
	return f
}

func named(name string, role eval.Role, s eval.Subject) eval.NamedSubject {
	return eval.NamedSubject{Identity: eval.Identity{Name: name, Role: role}, Subject: s}
}

func evaluate(t *testing.T, o eval.Options, items []datasets.Example, subjects ...eval.NamedSubject) *eval.Report {
	t.Helper()
	r, err := eval.Evaluate(t.Context(), o, items, subjects, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func modelOf(t *testing.T, r *eval.Report, name string) eval.Model {
	t.Helper()
	for _, m := range r.Models {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("the report has no model %q", name)
	return eval.Model{}
}

func metricOf(t *testing.T, r *eval.Report, model, metric string) eval.Metric {
	t.Helper()
	for _, m := range modelOf(t, r, model).Metrics {
		if m.Name == metric {
			return m
		}
	}
	t.Fatalf("model %q has no metric %q", model, metric)
	return eval.Metric{}
}

func comparisonOf(t *testing.T, r *eval.Report, model, metric, against string) eval.Comparison {
	t.Helper()
	for _, c := range metricOf(t, r, model, metric).Comparisons {
		if c.Against == against {
			return c
		}
	}
	t.Fatalf("%s of %q is not compared with %q", metric, model, against)
	return eval.Comparison{}
}

// near fails for NaN too.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// asked are the questions of plain texts.
func asked(texts ...string) []datasets.Question {
	var list []datasets.Question
	for _, t := range texts {
		list = append(list, datasets.Ask(t))
	}
	return list
}
