package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/retort-ml/retort/internal/random"
)

// chooseRef is the meaning of choose: all tokens in order, steps one by one.
func chooseRef(s *Sampling, scores []float32, rng *rand.Rand) int32 {
	ids := inOrder(scores)
	if s.Temperature == 0 {
		return ids[0]
	}
	if s.TopK > 0 && s.TopK < len(ids) {
		ids = ids[:s.TopK]
	}
	weights, total := make([]float64, len(ids)), 0.0
	for i, id := range ids {
		weights[i] = math.Exp(float64(scores[id]-scores[ids[0]]) / s.Temperature)
		total += weights[i]
	}
	if s.TopP > 0 && s.TopP < 1 {
		sum := 0.0
		for i, w := range weights {
			if sum += w; sum >= s.TopP*total {
				weights = weights[:i+1]
				break
			}
		}
	}
	n, sum := 0, 0.0
	for n < len(weights) && weights[n] >= s.MinP {
		sum += weights[n]
		n++
	}
	x := rng.Float64() * sum
	for i, w := range weights[:n] {
		if x -= w; x < 0 {
			return ids[i]
		}
	}
	return ids[n-1]
}

// rowsOf makes rows of scores of many kinds.
func rowsOf(n int, rng *rand.Rand) map[string][]float32 {
	rows := map[string][]float32{}
	fill := func(name string, f func(i int) float64) {
		row := make([]float32, n)
		for i := range row {
			row[i] = float32(f(i))
		}
		rows[name] = row
	}
	fill("normal", func(int) float64 { return 3 * rng.NormFloat64() })
	fill("flat", func(int) float64 { return 1e-3 * rng.NormFloat64() })
	fill("equal", func(int) float64 { return -7 })
	fill("few values", func(int) float64 { return float64(rng.IntN(3)) })
	fill("ascending", func(i int) float64 { return float64(i) / 50 })
	fill("one far above", func(i int) float64 {
		if i == n/2 {
			return 100
		}
		return rng.NormFloat64()
	})
	fill("mostly impossible", func(i int) float64 {
		if i%7 == 3 {
			return rng.NormFloat64()
		}
		return math.Inf(-1)
	})
	if n > 3 {
		rows["mostly impossible"][3] = 0
	} else {
		rows["mostly impossible"][0] = 0
	}
	return rows
}

// The tokens drawn are those of the plain definition, from the same numbers.
func TestChooseIsItsDefinition(t *testing.T) {
	var m sampler
	rng := random.Stream(3, "rows")
	for _, n := range []int{1, 2, 9, 127, 128, 129, 3000} {
		for name, row := range rowsOf(n, rng) {
			for _, s := range []Sampling{
				{}, {Temperature: 1}, {Temperature: 0.3}, {Temperature: 100}, {Temperature: 1e-300}, {Temperature: 5e-324},
				{Temperature: 1, TopK: 3}, {Temperature: 2, TopK: 200}, {Temperature: 1, TopK: n}, {Temperature: 1, TopP: 0.9},
				{Temperature: 1.5, TopP: 0.3}, {Temperature: 1, TopP: 1e-9}, {Temperature: 1, TopP: 0.999999}, {Temperature: 1, MinP: 0.05},
				{Temperature: 0.7, MinP: 0.9}, {Temperature: 1, MinP: 1}, {Temperature: 1, MinP: 1e-20}, {Temperature: 1, TopP: 0.8, MinP: 0.1},
				{Temperature: 1, TopP: 0.3, MinP: 0.01}, {Temperature: 1, TopK: 50, TopP: 0.9, MinP: 0.02},
			} {
				for seed := range uint64(2) {
					got := m.choose(&s, row, random.Stream(seed, name))
					want := chooseRef(&s, row, random.Stream(seed, name))
					if got != want {
						t.Errorf("%d %s scores, %+v, seed %d: token %d of score %v, want %d of %v", n, name, s, seed, got, row[got], want, row[want])
					}
				}
			}
		}
	}
}

func TestWeightOfADistance(t *testing.T) {
	for u := 0.0; u < bucketCount; u += 0.0371 {
		got := bucketWeight(int(u)) * weightWithin(u-math.Floor(u))
		if want := math.Exp(-u / perNat); !(math.Abs(got-want) <= 2e-12*want) {
			t.Fatalf("weight of distance %v: %v, want %v", u, got, want)
		}
	}
}

// A token to draw must not cost more than a small part of the step it ends.
func BenchmarkChoose(b *testing.B) {
	for _, n := range []int{49152, 150000} {
		rng := random.Stream(1, "bench")
		row := rowsOf(n, rng)["normal"]
		for _, s := range []Sampling{{}, {Temperature: 1}, {Temperature: 100}, {Temperature: 1, TopK: 50}, {Temperature: 1, TopK: 1000},
			{Temperature: 1, TopP: 0.95}, {Temperature: 1, MinP: 0.05}, {Temperature: 1, TopP: 0.95, MinP: 0.05}} {
			b.Run(fmt.Sprintf("%d/T%g-k%d-p%g-m%g", n, s.Temperature, s.TopK, s.TopP, s.MinP), func(b *testing.B) {
				var m sampler
				b.ReportAllocs()
				for b.Loop() {
					m.choose(&s, row, rng)
				}
			})
		}
	}
}
