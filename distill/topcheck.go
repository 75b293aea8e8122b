package distill

import (
	"errors"
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/model"
)

const (
	// teacherFloor is the least mass that a teacher's tail has: below it, what
	// rounding to float32 leaves of 1 minus the stored probabilities is noise.
	teacherFloor = 1e-8
	// massSlack is how far above 1 rounding may take the stored probabilities.
	massSlack = 1e-3
	// rootSlack is how far from 1 rounding to roots may take them with the rest: by
	// Σ 8·p^(7/8)/2¹⁷ of V tokens, at most V^(1/8)/2¹⁴.
	rootSlack = massSlack + 5.7/(1<<14)
	// maxTopK bounds K and ids: no vocabulary is larger.
	maxTopK = 1 << 20
)

// topChecker tells whether a place's alternatives can be a teacher's distribution.
type topChecker struct {
	k, vocabulary int // at most so many, of ids below vocabulary if that is not 0

	seen []uint32 // per id, the last place that had it
	now  uint32
}

// rest checks what a teacher said about a token of an answer, and returns the log
// of what that leaves of 1: the mass of all other tokens.
func (c *topChecker) rest(place int, p model.TopTokens) (float64, error) {
	fail := func(err error) (float64, error) { return 0, fmt.Errorf("token %d of the answer: %w", place, err) }
	if len(p.IDs) > c.k || len(p.LogProbs) != len(p.IDs) {
		return fail(fmt.Errorf("%d alternatives with %d log-probabilities, want as many, and at most %d", len(p.IDs), len(p.LogProbs), c.k))
	}
	if err := c.checkIDs(p.IDs); err != nil {
		return fail(err)
	}
	mass, err := massOf(p.IDs, p.LogProbs)
	if err != nil {
		return fail(err)
	}
	if !(mass <= 1+massSlack) {
		return fail(fmt.Errorf("the teacher's %d probabilities add up to %v", len(p.IDs), mass))
	}
	return math.Log(max(1-mass, teacherFloor)), nil
}

// stored checks a place that was rounded.
func (c *topChecker) stored(p *Place) error {
	if err := c.checkIDs(p.IDs); err != nil {
		return err
	}
	mass, err := massOf(p.IDs, p.LogProbs)
	if err != nil {
		return err
	}
	if math.IsInf(float64(p.Rest), 0) {
		return errors.New("the teacher's rest has the root 0")
	}
	if mass += math.Exp(float64(p.Rest)); !(math.Abs(mass-1) <= rootSlack) {
		return fmt.Errorf("the teacher's %d probabilities and the rest add up to %v", len(p.IDs), mass)
	}
	return nil
}

// massOf is the sum of the probabilities, which must be finite.
func massOf(ids []int32, logProbs []float32) (float64, error) {
	mass := 0.0
	for j, v := range logProbs {
		x := float64(v)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return 0, fmt.Errorf("the teacher's log-probability of token id %d is %v", ids[j], v)
		}
		mass += math.Exp(x)
	}
	return mass, nil
}

func (c *topChecker) checkIDs(ids []int32) error {
	if c.now++; c.now == 0 { // once in 2³² places
		clear(c.seen)
		c.now = 1
	}
	most := int32(maxTopK)
	if c.vocabulary > 0 {
		most = int32(c.vocabulary)
	}
	for _, id := range ids {
		switch {
		case id < 0:
			return fmt.Errorf("the teacher's token id %d is negative", id)
		case id >= most:
			return fmt.Errorf("the teacher's token id %d is outside a vocabulary of %d", id, most)
		}
		if int(id) >= len(c.seen) {
			c.seen = append(c.seen, make([]uint32, int(id)+1-len(c.seen))...)
		}
		if c.seen[id] == c.now {
			return fmt.Errorf("the teacher has token id %d twice", id)
		}
		c.seen[id] = c.now
	}
	return nil
}
