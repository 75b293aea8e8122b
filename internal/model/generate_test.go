package model_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
)

var prompts = [][]int32{{1}, {3, 1, 4, 1, 5, 9, 2, 6}, {0, 0, 10}, {7, 7}, {2, 4, 6, 8}, {1}}

// generate returns the answers by prompt, and fails on any error.
func generate(t *testing.T, m *model.Model, prompts [][]int32, o model.GenerateOptions) []model.Answer {
	t.Helper()
	answers := make([]model.Answer, len(prompts))
	seen := make([]int, len(prompts))
	err := model.NewDecoder(m).Generate(t.Context(), prompts, o, func(i int, a model.Answer) error {
		answers[i] = a
		seen[i]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range seen {
		if n != 1 {
			t.Fatalf("prompt %d was answered %d times", i, n)
		}
	}
	return answers
}

func TestSampledAnswersDoNotDependOnTheBatch(t *testing.T) {
	m := tiny(t, true)
	for _, s := range []model.Sampling{{}, {Temperature: 1}, {Temperature: 0.7, TopK: 4}, {Temperature: 1.3, TopP: 0.8}} {
		o := model.GenerateOptions{Sampling: s, MaxTokens: 20, Seed: 5, TopK: 2, Stop: []int32{8}}
		want := generate(t, m, prompts, o)
		for _, batch := range []int{1, 2, 3, 100} {
			o.Batch = batch
			got := generate(t, m, prompts, o)
			for i := range prompts {
				if !slices.Equal(got[i].Tokens, want[i].Tokens) || got[i].Stopped != want[i].Stopped {
					t.Errorf("%+v, batch %d, prompt %d: %v, want %v", s, batch, i, got[i].Tokens, want[i].Tokens)
				}
				near(t, "log-probabilities", got[i].LogProbs, want[i].LogProbs)
			}
		}
		if s.Temperature == 0 {
			continue
		}
		o.Seed++
		if other := generate(t, m, prompts, o); fmt.Sprint(other) == fmt.Sprint(want) {
			t.Errorf("%+v: another seed gave the same answers", s)
		}
		if slices.Equal(want[0].Tokens, want[5].Tokens) {
			t.Errorf("%+v: two prompts drew the same numbers", s)
		}
	}
}

// What Generate records is what Score says of its answer.
func TestAnswersHaveTheirLogProbs(t *testing.T) {
	m := tiny(t, false)
	for i, a := range generate(t, m, prompts, model.GenerateOptions{Sampling: model.Sampling{Temperature: 1.5}, MaxTokens: 9, TopK: 3}) {
		if len(a.Tokens) != 9 || len(a.LogProbs) != 9 || len(a.Top) != 9 || a.Stopped {
			t.Fatalf("prompt %d: %+v", i, a)
		}
		scored, err := model.NewDecoder(m).Score(t.Context(), [][]int32{slices.Concat(prompts[i], a.Tokens)}, []int{len(prompts[i])}, 3)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "log-probabilities", a.LogProbs, scored[0].LogProbs)
		for j := range a.Top {
			near(t, "alternatives", a.Top[j].LogProbs, scored[0].Top[j].LogProbs)
		}
	}
}

func TestAnswersEnd(t *testing.T) {
	m := tiny(t, true)
	free := generate(t, m, prompts, model.GenerateOptions{MaxTokens: 12})
	for i, a := range free {
		if len(a.Tokens) != 12 || a.Stopped || a.Top != nil {
			t.Fatalf("prompt %d: %+v", i, a)
		}
		// Stopping at a token of the answer cuts it after the first of its kind.
		stop := a.Tokens[5]
		end := slices.Index(a.Tokens, stop) + 1
		got := generate(t, m, prompts[i:i+1], model.GenerateOptions{MaxTokens: 12, Stop: []int32{-1, stop}})[0]
		if !slices.Equal(got.Tokens, a.Tokens[:end]) || !got.Stopped {
			t.Errorf("prompt %d, stop %d: %v, stopped %v, want %v", i, stop, got.Tokens, got.Stopped, a.Tokens[:end])
		}
	}
	if got := generate(t, m, prompts, model.GenerateOptions{MaxTokens: 1}); len(got[1].Tokens) != 1 {
		t.Errorf("%v, want one token", got[1].Tokens)
	}
	if got := generate(t, m, nil, model.GenerateOptions{}); len(got) != 0 {
		t.Errorf("answers to nothing: %v", got)
	}
}

func TestAnswersEndWithThePositions(t *testing.T) {
	m := tiny(t, true)
	for _, n := range []int{1, 20, 31, 32} {
		got := generate(t, m, [][]int32{make([]int32, n), {1}}, model.GenerateOptions{MaxTokens: 100, Batch: 2})
		// The last token needs no position: nothing follows it.
		if want := 32 - n + 1; len(got[0].Tokens) != want || got[0].Stopped {
			t.Errorf("prompt of %d: %d tokens, want %d", n, len(got[0].Tokens), want)
		}
		if len(got[1].Tokens) != 32 {
			t.Errorf("beside a prompt of %d: %d tokens, want 32", n, len(got[1].Tokens))
		}
	}
}

func TestGenerateEndsEarly(t *testing.T) {
	m := tiny(t, true)
	broken := errors.New("disk full")
	calls := 0
	err := model.NewDecoder(m).Generate(t.Context(), prompts, model.GenerateOptions{MaxTokens: 3}, func(int, model.Answer) error {
		calls++
		return broken
	})
	if !errors.Is(err, broken) || calls != 1 {
		t.Errorf("error %v after %d answers, want %v after the first", err, calls, broken)
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls = 0
	err = model.NewDecoder(m).Generate(ctx, prompts, model.GenerateOptions{MaxTokens: 3, Batch: 1}, func(int, model.Answer) error {
		if calls++; calls == 2 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || calls != 2 {
		t.Errorf("error %v after %d answers, want a cancel after 2", err, calls)
	}
}

func TestGenerateRefuses(t *testing.T) {
	m := tiny(t, true)
	for _, c := range []struct {
		name    string
		prompts [][]int32
		o       model.GenerateOptions
		want    []string
	}{
		{"empty prompt", [][]int32{{1}, {}}, model.GenerateOptions{}, []string{"prompt 1: no tokens"}},
		{"long prompt", [][]int32{{1}, make([]int32, 33)}, model.GenerateOptions{}, []string{"prompt 1: 33 tokens", "32 positions"}},
		{"token outside", [][]int32{{1}, {1, 2, 11}}, model.GenerateOptions{}, []string{"prompt 1: token 2: id 11"}},
		{"every option", prompts, model.GenerateOptions{Sampling: model.Sampling{Temperature: math.NaN(), TopK: -1, TopP: 1.5}, MaxTokens: -1, Batch: -2, TopK: -3},
			[]string{"temperature: NaN", "sample_top_k: -1", "sample_top_p: 1.5", "max tokens: -1", "batch: -2", "alternatives per token: -3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := model.NewDecoder(m).Generate(t.Context(), c.prompts, c.o, func(i int, _ model.Answer) error {
				t.Errorf("prompt %d was answered", i)
				return nil
			})
			fails(t, err, c.want...)
		})
	}
}

// A real pretrained model.
func TestStoriesContinueFromTheBeginning(t *testing.T) {
	dir := shared(t, "models", "stories260K")
	m, err := model.Load(cpu.New(2), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	answer := generate(t, m, [][]int32{{1}}, model.GenerateOptions{MaxTokens: 60})[0]
	const want = "Once upon a time, there was a little girl named Lily."
	if got := tok.Decode(answer.Tokens, true); !contains(got, want) || got[:4] != "Once" {
		t.Errorf("the story begins %q, want %q", got, want)
	}
}

// With Seeds, a prompt's draws follow from its seed alone, and the answer with
// its log-probabilities is the same bits wherever the prompt stands.
func TestSeedsMakeAnswersIndependentOfPlace(t *testing.T) {
	m, g := load(t, "llama-gqa"), openGolden(t, "llama-gqa")
	ids := g.ints("input_ids")
	prompts := [][]int32{ids[:3], ids[3:10], ids[10:30], ids[30:31], ids[31:40], ids[2:9]}
	seeds := []uint64{5, 6, 7, 8, 9, 10}
	ask := func(order []int, batch int) map[int]model.Answer {
		var p [][]int32
		var s []uint64
		for _, i := range order {
			p, s = append(p, prompts[i]), append(s, seeds[i])
		}
		out := map[int]model.Answer{}
		o := model.GenerateOptions{Sampling: model.Sampling{Temperature: 1}, MaxTokens: 8, TopK: 3, Batch: batch, Seeds: s}
		err := model.NewDecoder(m).Generate(t.Context(), p, o, func(i int, a model.Answer) error { out[order[i]] = a; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := ask([]int{0, 1, 2, 3, 4, 5}, 6)
	for _, c := range []struct {
		order []int
		batch int
	}{{[]int{5, 4, 3, 2, 1, 0}, 2}, {[]int{2, 0, 1}, 1}, {[]int{3}, 1}} {
		for i, a := range ask(c.order, c.batch) {
			if !reflect.DeepEqual(a, want[i]) {
				t.Errorf("order %v batch %d: answer %d is %v, want %v", c.order, c.batch, i, a, want[i])
			}
		}
	}
	err := model.NewDecoder(m).Generate(t.Context(), prompts, model.GenerateOptions{Seeds: seeds[:2]}, nil)
	if err == nil || !strings.Contains(err.Error(), "2 seeds for 6 prompts") {
		t.Errorf("error %v", err)
	}
}
