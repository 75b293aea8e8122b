package model

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Sampling says how the next token is chosen. The zero value is greedy: the
// most likely token, the lowest id of equals.
type Sampling struct {
	Temperature float64 `yaml:"temperature"`  // 0 is greedy
	TopK        int     `yaml:"sample_top_k"` // sample from the k most likely tokens; 0 is all
	TopP        float64 `yaml:"sample_top_p"` // sample from the fewest tokens that have this probability together; 0 and 1 are all
}

// Validate reports every field that is out of range.
func (s Sampling) Validate() error {
	var errs []error
	if !(s.Temperature >= 0 && s.Temperature <= 100) {
		errs = append(errs, fmt.Errorf("temperature: %v: want 0 to 100", s.Temperature))
	}
	if s.TopK < 0 {
		errs = append(errs, fmt.Errorf("sample_top_k: %d: want 0 or more", s.TopK))
	}
	if !(s.TopP >= 0 && s.TopP <= 1) {
		errs = append(errs, fmt.Errorf("sample_top_p: %v: want 0 to 1", s.TopP))
	}
	return errors.Join(errs...)
}

// choose draws a token from the log-probabilities of one row.
func (s Sampling) choose(logProbs []float32, rng *rand.Rand) int32 {
	if s.Temperature == 0 {
		best := 0
		for i, v := range logProbs {
			if v > logProbs[best] {
				best = i
			}
		}
		return int32(best)
	}
	k := len(logProbs)
	if s.TopK > 0 {
		k = min(k, s.TopK)
	}
	ids, tops := top(logProbs, k)
	weights := make([]float64, len(ids))
	total := 0.0
	for i, v := range tops {
		weights[i] = math.Exp(float64(v-tops[0]) / s.Temperature)
		total += weights[i]
	}
	if s.TopP > 0 && s.TopP < 1 {
		weights, total = nucleus(weights, total, s.TopP)
	}
	x := rng.Float64() * total
	for i, w := range weights {
		if x -= w; x < 0 {
			return ids[i]
		}
	}
	return ids[len(weights)-1]
}

// nucleus keeps the first weights that have the share p of total together.
func nucleus(weights []float64, total, p float64) ([]float64, float64) {
	sum := 0.0
	for i, w := range weights {
		if sum += w; sum >= p*total {
			return weights[:i+1], sum
		}
	}
	return weights, total
}

// top returns the k largest values and where they are, largest first, the
// lowest index of equals first.
func top(values []float32, k int) (ids []int32, tops []float32) {
	k = min(k, len(values))
	ids = make([]int32, 0, k+1)
	better := func(a, b int32) int {
		switch {
		case values[a] > values[b]:
			return -1
		case values[a] < values[b]:
			return 1
		}
		return int(a - b)
	}
	if k == len(values) {
		for i := range values {
			ids = append(ids, int32(i))
		}
		slices.SortFunc(ids, better)
	} else {
		ids = topFew(values, k, ids, better)
	}
	tops = make([]float32, len(ids))
	for i, id := range ids {
		tops[i] = values[id]
	}
	return ids, tops
}

// topFew keeps the k best seen so far in order; most values fail the first comparison.
func topFew(values []float32, k int, ids []int32, better func(a, b int32) int) []int32 {
	for i := range values {
		if len(ids) == k && (k == 0 || values[i] <= values[ids[k-1]]) {
			continue
		}
		at, _ := slices.BinarySearchFunc(ids, int32(i), better)
		ids = slices.Insert(ids, at, int32(i))
		if len(ids) > k {
			ids = ids[:k]
		}
	}
	return ids
}
