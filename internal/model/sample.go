package model

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Sampling says how the next token is chosen. The zero value is greedy: the
// most likely token, the lowest id of equals. The steps and their order are
// those of transformers: repetition penalty, temperature, top-k, top-p, min-p.
// (llama.cpp has the same steps, but by default the temperature comes last and
// the penalty looks back 64 tokens.)
type Sampling struct {
	Temperature float64 `yaml:"temperature"`  // 0 is greedy
	TopK        int     `yaml:"sample_top_k"` // sample from the k most likely tokens; 0 is all
	TopP        float64 `yaml:"sample_top_p"` // sample from the fewest tokens that have this probability together; 0 and 1 are all
	// MinP is the least probability of a token to sample from, as a share of the
	// likeliest one's; 0 is none.
	MinP float64 `yaml:"min_p,omitempty" json:",omitempty"`
	// RepetitionPenalty divides the logit of every token that the prompt or the
	// answer has already, or multiplies it if it is negative (Keskar et al. 2019,
	// as transformers does it); 0 and 1 leave it. It is of greedy answers too.
	RepetitionPenalty float64 `yaml:"repetition_penalty,omitempty" json:",omitempty"`
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
	if !(s.MinP >= 0 && s.MinP <= 1) {
		errs = append(errs, fmt.Errorf("min_p: %v: want 0 to 1", s.MinP))
	}
	if p := s.RepetitionPenalty; p != 0 && !(p >= 0.01 && p <= 100) {
		errs = append(errs, fmt.Errorf("repetition_penalty: %v: want 0 (none) or 0.01 to 100", p))
	}
	return errors.Join(errs...)
}

// penalizes tells whether repeated tokens are penalized.
func (s Sampling) penalizes() bool { return s.RepetitionPenalty != 0 && s.RepetitionPenalty != 1 }

// farthest is how far below the likeliest token min-p lets one be, in nats.
func (s Sampling) farthest() float64 { return -math.Log(s.MinP) } // infinity for 0

// sampler draws tokens, with memory that it uses again.
type sampler struct {
	descent
	weights []float64
}

// choose draws a token from the scores of one row, which are logits up to a
// constant: of any value but NaN and +Inf.
func (m *sampler) choose(s *Sampling, scores []float32, rng *rand.Rand) int32 {
	best := largest(scores)
	switch {
	case s.Temperature == 0:
		return int32(best)
	case s.TopK > 0 && s.TopK < len(scores):
		return m.chooseFew(s, scores, rng)
	}
	nucleus := s.TopP > 0 && s.TopP < 1
	limit := s.farthest()
	if nucleus {
		limit = math.Inf(1) // its share is of all tokens
	}
	total := m.begin(scores, scores[best], s.Temperature, limit)
	if nucleus {
		last, sum := m.find(s.TopP * total)
		if total = sum; m.distance(scores[last]) > s.farthest()*perNat {
			total = m.begin(scores, scores[best], s.Temperature, s.farthest())
		}
	}
	id, _ := m.find(rng.Float64() * total)
	return id
}

// chooseFew draws from the top k, put in order.
func (m *sampler) chooseFew(s *Sampling, scores []float32, rng *rand.Rand) int32 {
	m.ids = largestFew(m.ids[:0], scores, s.TopK)
	m.weights = m.weights[:0]
	total := 0.0
	for _, id := range m.ids {
		w := math.Exp(float64(scores[id]-scores[m.ids[0]]) / s.Temperature)
		m.weights = append(m.weights, w)
		total += w
	}
	share := 1.0
	if s.TopP > 0 {
		share = s.TopP
	}
	kept, total := nucleus(m.weights, share*total, s.MinP)
	x := rng.Float64() * total
	for i, w := range kept {
		if x -= w; x < 0 {
			return m.ids[i]
		}
	}
	return m.ids[len(kept)-1]
}

// nucleus keeps the first weights, in descending order, that reach mass
// together, without any after the first that is under least, and sums them up.
func nucleus(weights []float64, mass, least float64) (kept []float64, sum float64) {
	for i, w := range weights {
		if i > 0 && w < least {
			return weights[:i], sum
		}
		if sum += w; sum >= mass {
			return weights[:i+1], sum
		}
	}
	return weights, sum
}

// top returns the k largest values and where they are, largest first, the
// lowest index of equals first.
func top(values []float32, k int) TopTokens {
	k = min(k, len(values))
	t := TopTokens{IDs: largestFew(make([]int32, 0, k), values, k), LogProbs: make([]float32, k)}
	for i, id := range t.IDs {
		t.LogProbs[i] = values[id]
	}
	return t
}
