package distill

import (
	"fmt"
	"math"
	"slices"

	"github.com/retort-ml/retort/internal/model"
)

const (
	// teacherFloor is the least mass that a teacher's tail has: below it, what
	// rounding to float32 leaves of 1 minus the stored probabilities is noise.
	teacherFloor = 1e-8
	// massSlack is how far above 1 rounding may take the stored probabilities.
	massSlack = 1e-3
	// maxTopK bounds K: no vocabulary is larger.
	maxTopK = 1 << 20
)

// TopTable holds a teacher's likeliest tokens, at most K, at every place of answers
// that are numbered from 0. A place may have none: the teacher's distribution is
// not known there. What the stored tokens leave of 1 is the mass of all others.
// Once filled, it may be read by many goroutines.
type TopTable struct {
	k        int
	first    []int     // per example, its first place; one more at the end
	start    []int     // per place (N), its first alternative; one more at the end
	ids      []int32   // of all places, one after the other
	logProbs []float32 // nats, descending as the teacher gave them

	order []int32 // scratch of check
}

// NewTopTable makes an empty table of at most k alternatives per place. It panics
// unless k is from 1 to 1,048,576.
func NewTopTable(k int) *TopTable {
	if k < 1 || k > maxTopK {
		panic(fmt.Sprintf("distill: a table of %d alternatives", k))
	}
	return &TopTable{k: k, first: []int{0}, start: []int{0}}
}

// K is the greatest number of alternatives of a place.
func (t *TopTable) K() int { return t.k }

// Examples is the number of answers.
func (t *TopTable) Examples() int { return len(t.first) - 1 }

// Places is the number of tokens of an answer.
func (t *TopTable) Places(example int) int { return t.first[example+1] - t.first[example] }

// Append adds the next answer. Its error names the place, and what is wrong: more
// than K alternatives, a number that is not finite, an id twice, probabilities of
// more than 1 together. The table is then as it was.
func (t *TopTable) Append(top []model.TopTokens) error {
	for place, p := range top {
		if err := t.checkPlace(place, p); err != nil {
			return err
		}
	}
	for _, p := range top {
		t.add(p.IDs, p.LogProbs)
	}
	t.first = append(t.first, len(t.start)-1)
	return nil
}

// add appends a place that was checked.
func (t *TopTable) add(ids []int32, logProbs []float32) {
	t.ids, t.logProbs = append(t.ids, ids...), append(t.logProbs, logProbs...)
	t.start = append(t.start, len(t.ids))
}

// Bytes is the memory that the table takes.
func (t *TopTable) Bytes() int64 { return 8 * int64(len(t.ids)+len(t.start)+len(t.first)) }

// checkPlace tells whether p can be a row of the table.
func (t *TopTable) checkPlace(place int, p model.TopTokens) error {
	if len(p.IDs) > t.k || len(p.LogProbs) != len(p.IDs) {
		return fmt.Errorf("token %d of the answer: %d alternatives with %d log-probabilities, want as many, and at most %d", place, len(p.IDs), len(p.LogProbs), t.k)
	}
	if err := t.check(p.IDs, p.LogProbs); err != nil {
		return fmt.Errorf("token %d of the answer: %w", place, err)
	}
	return nil
}

// check tells whether ids and logProbs, of one length, can be a teacher's distribution.
func (t *TopTable) check(ids []int32, logProbs []float32) error {
	if len(ids) == 0 {
		return nil
	}
	mass := 0.0
	for j, v := range logProbs {
		x := float64(v)
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("the teacher's log-probability of token id %d is %v", ids[j], v)
		}
		mass += math.Exp(x)
	}
	if !(mass <= 1+massSlack) {
		return fmt.Errorf("the teacher's %d probabilities add up to %v", len(ids), mass)
	}
	t.order = append(t.order[:0], ids...)
	slices.Sort(t.order)
	if t.order[0] < 0 {
		return fmt.Errorf("the teacher's token id %d is negative", t.order[0])
	}
	for j, id := range t.order[1:] {
		if t.order[j] == id {
			return fmt.Errorf("the teacher has token id %d twice", id)
		}
	}
	return nil
}

// At returns the alternatives at a place of an answer: nil where the teacher's
// distribution is not known. They belong to the table.
func (t *TopTable) At(example, place int) (ids []int32, logProbs []float32, err error) {
	if example < 0 || example >= t.Examples() {
		return nil, nil, fmt.Errorf("example %d is not among the %d answers", example, t.Examples())
	}
	if n := t.Places(example); place < 0 || place >= n {
		return nil, nil, fmt.Errorf("example %d: the teacher's probabilities end after %d tokens, and token %d is to be learned", example, n, place)
	}
	from, to := t.start[t.first[example]+place], t.start[t.first[example]+place+1]
	if from == to {
		return nil, nil, nil
	}
	return t.ids[from:to:to], t.logProbs[from:to:to], nil
}
