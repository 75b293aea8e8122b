package model

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/random"
)

var lowest = float32(math.Inf(-1))

func TestTop(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float32
		k      int
		want   []int32
	}{
		{"in order", []float32{3, 2, 1}, 2, []int32{0, 1}},
		{"backwards", []float32{1, 2, 3}, 2, []int32{2, 1}},
		{"equals by index", []float32{1, 5, 5, 1, 5}, 2, []int32{1, 2}},
		{"equals, all", []float32{1, 5, 5, 1, 5}, 5, []int32{1, 2, 4, 0, 3}},
		{"more than there are", []float32{1, 2}, 9, []int32{1, 0}},
		{"one", []float32{lowest, -7, lowest}, 1, []int32{1}},
		{"none", []float32{1, 2}, 0, []int32{}},
		{"infinite", []float32{lowest, -1, lowest}, 2, []int32{1, 0}},
		{"of nothing", nil, 3, []int32{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := top(c.values, c.k)
			if !slices.Equal(got.IDs, c.want) || len(got.LogProbs) != len(got.IDs) {
				t.Fatalf("%v with %v, want %v", got.IDs, got.LogProbs, c.want)
			}
			for i, id := range got.IDs {
				if got.LogProbs[i] != c.values[id] {
					t.Errorf("value %v at id %d", got.LogProbs[i], id)
				}
			}
		})
	}
	rng := random.Stream(1, "top")
	for range 200 {
		values := make([]float32, 1+rng.IntN(50))
		for i := range values {
			values[i] = float32(rng.IntN(9))
		}
		all := inOrder(values)
		k := rng.IntN(len(values) + 1)
		if few := top(values, k).IDs; !slices.Equal(few, all[:k]) {
			t.Fatalf("the %d best of %v: %v, want %v", k, values, few, all[:k])
		}
	}
}

// inOrder sorts all indices of values, the largest value first, the lowest index first of equals.
func inOrder(values []float32) []int32 {
	var ids []int32
	for i := range values {
		ids = append(ids, int32(i))
	}
	slices.SortStableFunc(ids, func(a, b int32) int { return cmp.Compare(values[b], values[a]) })
	return ids
}

func TestNucleus(t *testing.T) {
	for _, c := range []struct {
		name    string
		weights []float64
		p, min  float64
		want    int
	}{
		{"the first suffices", []float64{6, 3, 1}, 0.5, 0, 1},
		{"exactly", []float64{4, 4, 2}, 0.4, 0, 1},
		{"just beyond", []float64{4, 4, 2}, 0.41, 0, 2},
		{"all", []float64{4, 4, 2}, 0.99, 0, 3},
		{"tiny", []float64{1, 1}, 1e-300, 0, 1},
		{"none too unlikely", []float64{1, 0.5, 0.5}, 1, 0.5, 3},
		{"one too unlikely", []float64{1, 0.5, 0.4}, 1, 0.5, 2},
		{"the share is of all", []float64{1, 0.5, 0.5}, 0.5, 0.6, 1},
		{"all but the first", []float64{1, 0.9}, 1, 1, 1},
	} {
		total := 0.0
		for _, w := range c.weights {
			total += w
		}
		kept, sum := nucleus(c.weights, c.p*total, c.min)
		want := 0.0
		for _, w := range c.weights[:c.want] {
			want += w
		}
		if len(kept) != c.want || sum != want {
			t.Errorf("%s: %v with sum %v, want %d", c.name, kept, sum, c.want)
		}
	}
}

func TestChooseFollowsTheDistribution(t *testing.T) {
	probs := []float64{0.1, 0.4, 0.2, 0.3, 0}
	logProbs := make([]float32, len(probs))
	for i, p := range probs {
		logProbs[i] = float32(math.Log(p))
	}
	for _, c := range []struct {
		name string
		s    Sampling
		want []float64
	}{
		{"greedy", Sampling{TopK: 3, TopP: 0.5}, []float64{0, 1, 0, 0, 0}},
		{"plain", Sampling{Temperature: 1}, probs},
		{"top k", Sampling{Temperature: 1, TopK: 2}, []float64{0, 4. / 7, 0, 3. / 7, 0}},
		{"top p", Sampling{Temperature: 1, TopP: 0.85}, []float64{0, 4. / 9, 2. / 9, 3. / 9, 0}},
		{"top p of 1", Sampling{Temperature: 1, TopP: 1}, probs},
		{"top p within top k", Sampling{Temperature: 1, TopK: 2, TopP: 0.5}, []float64{0, 1, 0, 0, 0}},
		{"min p", Sampling{Temperature: 1, MinP: 0.6}, []float64{0, 4. / 7, 0, 3. / 7, 0}},
		{"min p within top k", Sampling{Temperature: 1, TopK: 3, MinP: 0.6}, []float64{0, 4. / 7, 0, 3. / 7, 0}},
		{"min p within top p", Sampling{Temperature: 1, TopP: 0.95, MinP: 0.6}, []float64{0, 4. / 7, 0, 3. / 7, 0}},
		{"top p within min p", Sampling{Temperature: 1, TopP: 0.65, MinP: 0.3}, []float64{0, 4. / 7, 0, 3. / 7, 0}},
		{"min p after the temperature", Sampling{Temperature: 0.5, MinP: 0.6}, []float64{0, 1, 0, 0, 0}},
		{"min p of 1", Sampling{Temperature: 50, MinP: 1}, []float64{0, 1, 0, 0, 0}},
		{"cold", Sampling{Temperature: 0.5}, []float64{0.01 / 0.3, 0.16 / 0.3, 0.04 / 0.3, 0.09 / 0.3, 0}},
		{"freezing", Sampling{Temperature: 1e-300}, []float64{0, 1, 0, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const n = 20000
			var m sampler
			rng, counts := random.Stream(2, c.name), make([]float64, len(probs))
			for range n {
				counts[m.choose(&c.s, logProbs, rng)]++
			}
			for i, want := range c.want {
				// Five standard deviations.
				if got := counts[i] / n; !(math.Abs(got-want) <= 5*math.Sqrt(want*(1-want)/n)) {
					t.Errorf("token %d: %v of the draws, want %v", i, got, want)
				}
			}
		})
	}
	if id := new(sampler).choose(&Sampling{}, []float32{-1, -0.5, -0.5}, nil); id != 1 {
		t.Errorf("greedy among equals: %d, want the lowest", id)
	}
}

func TestSamplingValidate(t *testing.T) {
	for _, s := range []Sampling{{}, {Temperature: 100, TopK: 1 << 40, TopP: 1, MinP: 1, RepetitionPenalty: 100}, {RepetitionPenalty: 0.01}} {
		if err := s.Validate(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, s := range []Sampling{{Temperature: -1}, {Temperature: math.Inf(1)}, {TopK: -1}, {TopP: -0.1}, {TopP: math.NaN()},
		{MinP: -0.1}, {MinP: 1.1}, {MinP: math.NaN()}, {RepetitionPenalty: -1}, {RepetitionPenalty: 0.001}, {RepetitionPenalty: 101}, {RepetitionPenalty: math.NaN()}} {
		if s.Validate() == nil {
			t.Errorf("%+v: no error", s)
		}
	}
}
