package model_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
)

// logSoftmax is the plain definition, of one row of logits.
func logSoftmax(logits []float32) []float64 {
	total := 0.0
	for _, v := range logits {
		total += math.Exp(float64(v))
	}
	out := make([]float64, len(logits))
	for i, v := range logits {
		out[i] = float64(v) - math.Log(total)
	}
	return out
}

func TestScoreFromEveryIndex(t *testing.T) {
	m := tiny(t, true)
	d := model.NewDecoder(m)
	s := []int32{1, 5, 2, 9, 9, 0, 3}
	logits := rowLogits(t, m, s)
	var sequences [][]int32
	var from []int
	for i := 1; i <= len(s); i++ {
		sequences, from = append(sequences, s), append(from, i)
	}
	scored, err := d.Score(t.Context(), sequences, from, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range scored {
		if len(got.LogProbs) != len(s)-from[i] || len(got.Top) != len(got.LogProbs) {
			t.Fatalf("from %d: %d scores, %d alternatives", from[i], len(got.LogProbs), len(got.Top))
		}
		for j, v := range got.LogProbs {
			row := logSoftmax(logits[(from[i]+j-1)*11:][:11])
			if want := row[s[from[i]+j]]; !(math.Abs(float64(v)-want) < 1e-4) {
				t.Errorf("from %d, token %d: %v, want %v", from[i], j, v, want)
			}
			checkTop(t, got.Top[j], row, 3)
		}
	}
	plain, err := d.Score(t.Context(), sequences, from, 0)
	if err != nil || plain[0].Top != nil || !slices.Equal(plain[0].LogProbs, scored[0].LogProbs) {
		t.Errorf("without alternatives: %v, %v", plain[0], err)
	}
}

// checkTop compares alternatives with the largest values of row.
func checkTop(t *testing.T, top model.TopTokens, row []float64, k int) {
	t.Helper()
	sorted := slices.Sorted(slices.Values(row))
	slices.Reverse(sorted)
	if len(top.IDs) != k || len(top.LogProbs) != k {
		t.Fatalf("%d ids and %d values, want %d", len(top.IDs), len(top.LogProbs), k)
	}
	for i, id := range top.IDs {
		if !(math.Abs(float64(top.LogProbs[i])-sorted[i]) < 1e-4) || !(math.Abs(row[id]-sorted[i]) < 1e-4) {
			t.Errorf("place %d: id %d with %v, want %v", i, id, top.LogProbs[i], sorted[i])
		}
	}
}

// Many rows: steps and chunks of logits are bounded.
func TestScoreOfManySequences(t *testing.T) {
	m := tiny(t, true)
	d := model.NewDecoder(m)
	var sequences [][]int32
	var from []int
	for i := range 120 {
		s := make([]int32, 2+i%30)
		for j := range s {
			s[j] = int32((i*7 + j*j) % 11)
		}
		sequences, from = append(sequences, s), append(from, 1+i%(len(s)-1))
	}
	all, err := d.Score(t.Context(), sequences, from, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sequences {
		one, err := d.Score(t.Context(), sequences[i:i+1], from[i:i+1], 0)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "scores", all[i].LogProbs, one[0].LogProbs)
	}
}

func TestScoreRefuses(t *testing.T) {
	m := tiny(t, true)
	d := model.NewDecoder(m)
	ok := []int32{1, 2}
	for _, c := range []struct {
		name      string
		sequences [][]int32
		from      []int
		want      []string
	}{
		{"lengths", [][]int32{ok}, nil, []string{"1 sequences from 0 indices"}},
		{"index 0", [][]int32{ok, ok}, []int{1, 0}, []string{"sequence 1: scoring from token 0 of 2"}},
		{"index beyond", [][]int32{ok}, []int{3}, []string{"sequence 0: scoring from token 3 of 2"}},
		{"empty", [][]int32{{}}, []int{0}, []string{"sequence 0"}},
		{"last token outside", [][]int32{ok, {1, 11}}, []int{2, 1}, []string{"sequence 1: token 1: id 11"}},
		{"too long", [][]int32{ok, make([]int32, 34)}, []int{1, 1}, []string{"sequence 1: 33 tokens, the model has 32 positions"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := d.Score(t.Context(), c.sequences, c.from, 0)
			fails(t, err, c.want...)
		})
	}
	if _, err := d.Score(t.Context(), [][]int32{make([]int32, 33)}, []int{32}, 0); err != nil {
		t.Errorf("a sequence whose last token is beyond the positions: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Score(ctx, [][]int32{ok}, []int{1}, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("after a cancel: %v", err)
	}
	if _, err := d.ScoreChoices(ctx, [][]int32{ok}, [][]int32{ok}); !errors.Is(err, context.Canceled) {
		t.Errorf("choices after a cancel: %v", err)
	}
}

func TestScoreChoicesIsScoreOfEachContinuation(t *testing.T) {
	m := tiny(t, false)
	d := model.NewDecoder(m)
	prompts := [][]int32{{1}, {3, 1, 4, 1, 5, 9, 2, 6}, {0, 0, 10}}
	for _, c := range []struct {
		name    string
		choices [][]int32
	}{
		{"single tokens", [][]int32{{1}, {2}, {10}, {1}}},
		{"one choice", [][]int32{{4, 5, 6}}},
		{"shared beginnings", [][]int32{{1, 2, 3, 4}, {1, 2, 9}, {1, 7}, {1, 2, 3, 5}, {8}}},
		{"prefixes, the short first", [][]int32{{1, 2}, {1, 2, 3}, {1}, {1, 2, 3, 4, 5}}},
		{"prefixes, the long first", [][]int32{{1, 2, 3, 4, 5}, {1}, {1, 2, 3}, {1, 2}}},
		{"duplicates", [][]int32{{6, 6, 6}, {6, 6, 6}, {6, 6}, {6, 6}, {6}}},
		{"same tail", [][]int32{{1, 5, 5}, {2, 5, 5}, {3, 5, 5}}},
		{"none", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := d.ScoreChoices(t.Context(), prompts, c.choices)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range prompts {
				if len(got[i]) != len(c.choices) {
					t.Fatalf("prompt %d: %d scores", i, len(got[i]))
				}
				for j, choice := range c.choices {
					scored, err := d.Score(t.Context(), [][]int32{slices.Concat(p, choice)}, []int{len(p)}, 0)
					if err != nil {
						t.Fatal(err)
					}
					want := 0.0
					for _, v := range scored[0].LogProbs {
						want += float64(v)
					}
					if !(math.Abs(got[i][j]-want) < 1e-4) {
						t.Errorf("prompt %d, choice %v: %v, want %v", i, choice, got[i][j], want)
					}
				}
			}
		})
	}
}

// More branches than one step takes.
func TestScoreChoicesOfManyTokens(t *testing.T) {
	m := tiny(t, true)
	d := model.NewDecoder(m)
	var choices [][]int32
	for i := range 150 {
		c := make([]int32, 20)
		for j := range c {
			c[j] = int32((i/11*j + i + j*j) % 11)
		}
		choices = append(choices, c)
	}
	prompt := [][]int32{{1, 2}}
	all, err := d.ScoreChoices(t.Context(), prompt, choices)
	if err != nil {
		t.Fatal(err)
	}
	for i := range choices {
		one, err := d.ScoreChoices(t.Context(), prompt, choices[i:i+1])
		if err != nil {
			t.Fatal(err)
		}
		if !(math.Abs(all[0][i]-one[0][0]) < 1e-3) {
			t.Fatalf("choice %d: %v among others, %v alone", i, all[0][i], one[0][0])
		}
	}
}

func TestScoreChoicesRefuses(t *testing.T) {
	d := model.NewDecoder(tiny(t, true))
	ok := []int32{1, 2}
	for _, c := range []struct {
		name             string
		prompts, choices [][]int32
		want             string
	}{
		{"empty choice", [][]int32{ok}, [][]int32{ok, {}}, "choice 1: no tokens"},
		{"choice outside", [][]int32{ok}, [][]int32{{1, 2, 11}}, "choice 0: token 2: id 11"},
		{"empty prompt", [][]int32{ok, {}}, [][]int32{ok}, "prompt 1 with the longest choice: no tokens"},
		{"prompt outside", [][]int32{{-1}}, [][]int32{ok}, "prompt 0 with the longest choice: token 0: id -1"},
		{"too long together", [][]int32{ok, make([]int32, 31)}, [][]int32{{1}, {1, 2, 3}}, "prompt 1 with the longest choice: 33 tokens"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := d.ScoreChoices(t.Context(), c.prompts, c.choices)
			fails(t, err, c.want)
		})
	}
	if _, err := d.ScoreChoices(t.Context(), [][]int32{make([]int32, 30)}, [][]int32{{1, 2, 3}}); err != nil {
		t.Errorf("as long as the positions allow: %v", err)
	}
}

func TestBrokenWeightsAreAnError(t *testing.T) {
	m := tiny(t, true)
	unfreeze(t, m)
	values := m.Device().Host(compute.Of(m.Params()[0].Value))
	for i := range values {
		values[i] = float32(math.NaN())
	}
	d := model.NewDecoder(m)
	_, err := d.Score(t.Context(), [][]int32{{1, 2}}, []int{1}, 0)
	fails(t, err, "sequence 0: token 1", "NaN")
	_, err = d.ScoreChoices(t.Context(), [][]int32{{1, 2}}, [][]int32{{1}})
	fails(t, err, "NaN")
	err = d.Generate(t.Context(), [][]int32{{1, 2}}, model.GenerateOptions{MaxTokens: 2}, func(int, model.Answer) error { return nil })
	fails(t, err, "prompt 0", "token 0 of the answer", "NaN")
}

// One logit that is no number shows in every log-probability of its row.
func TestOneBrokenLogitIsAnError(t *testing.T) {
	m := tiny(t, false)
	unfreeze(t, m)
	head := m.Head.Weight.Floats()
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		for _, row := range []int{0, 7, 10} {
			before := head[row*8]
			head[row*8] = v
			d := model.NewDecoder(m)
			scored, err := d.Score(t.Context(), [][]int32{{1, 2, 3, 4, 5}}, []int{1}, 0)
			if err == nil {
				t.Errorf("%v in the logit of token %d: scores %v", v, row, scored)
			}
			head[row*8] = before
		}
	}
}
