package distill

import (
	"fmt"

	"github.com/retort-ml/retort/internal/model"
)

// TopTable holds a teacher's likeliest tokens, at most K, at every place of answers
// that are numbered from 0, and the mass of all others. A place may have none: the
// teacher's distribution is not known there. It is in memory, as NewTopTable and
// Append make it, or in a file, as Answers.TopK opens it. Once filled, it may be
// read by many goroutines.
type TopTable struct {
	k     int
	first []int64 // per answer, its first place; one more at the end

	file *topFile // or else, in memory:

	start    []int     // per place (N), its first alternative; one more at the end
	ids      []int32   // of all places, one after the other
	logProbs []float32 // nats, in the teacher's order
	rest     []float32 // per place (N), nats
	checker  topChecker
}

// Place is what a teacher says about a token of an answer: the log-probabilities,
// in nats, of the likeliest tokens and, together, of all others, which means nothing
// where there are no others. IDs are nil where the distribution is not known.
type Place struct {
	IDs      []int32
	LogProbs []float32
	Rest     float32
}

// NewTopTable makes an empty table of at most k alternatives per place. It panics
// unless k is from 1 to 1,048,576.
func NewTopTable(k int) *TopTable {
	if k < 1 || k > maxTopK {
		panic(fmt.Sprintf("distill: a table of %d alternatives", k))
	}
	return &TopTable{k: k, first: []int64{0}, start: []int{0}, checker: topChecker{k: k}}
}

// K is the greatest number of alternatives of a place.
func (t *TopTable) K() int { return t.k }

// Examples is the number of answers.
func (t *TopTable) Examples() int { return len(t.first) - 1 }

// Places is the number of tokens of an answer.
func (t *TopTable) Places(example int) int { return int(t.first[example+1] - t.first[example]) }

// Append adds the next answer to a table in memory. Its error names the place, and
// what is wrong: more than K alternatives, a number that is not finite, an id twice,
// probabilities of more than 1 together. The table is then as it was.
func (t *TopTable) Append(top []model.TopTokens) error {
	before := len(t.rest)
	for place, p := range top {
		rest, err := t.checker.rest(place, p)
		if err != nil {
			t.rest = t.rest[:before]
			return err
		}
		t.rest = append(t.rest, float32(rest))
	}
	for _, p := range top {
		t.ids, t.logProbs = append(t.ids, p.IDs...), append(t.logProbs, p.LogProbs...)
		t.start = append(t.start, len(t.ids))
	}
	t.first = append(t.first, int64(len(t.rest)))
	return nil
}

// Bytes is the memory that the table takes.
func (t *TopTable) Bytes() int64 {
	n := 8*int64(len(t.first)+len(t.start)+len(t.ids)) + 4*int64(len(t.rest))
	if t.file != nil {
		n += t.file.bytes()
	}
	return n
}

// Close closes the file, if the table is in one.
func (t *TopTable) Close() error {
	if t.file == nil {
		return nil
	}
	return t.file.close()
}

// At returns what the teacher says about a token of an answer.
func (t *TopTable) At(example, place int) (p Place, err error) {
	if err := t.check(example, place); err != nil {
		return p, err
	}
	err = t.read(example, place, 1, new(topScratch), func(_ int, at Place) { p = at })
	return p, err
}

// check tells whether the table has that place.
func (t *TopTable) check(example, place int) error {
	if example < 0 || example >= t.Examples() {
		return fmt.Errorf("example %d is not among the %d answers", example, t.Examples())
	}
	if n := t.Places(example); place < 0 || place >= n {
		return fmt.Errorf("example %d: the teacher's probabilities end after %d tokens, and token %d is to be learned", example, n, place)
	}
	return nil
}

// read calls set with n places of an answer, which there must be, from one on. What
// it gets belongs to the table, or to s until that is used again.
func (t *TopTable) read(example, place, n int, s *topScratch, set func(i int, p Place)) error {
	from := t.first[example] + int64(place)
	if t.file != nil {
		return t.file.read(from, int64(n), s, set)
	}
	for i := range n {
		at := int(from) + i
		p := Place{Rest: t.rest[at]}
		if a, b := t.start[at], t.start[at+1]; a < b {
			p.IDs, p.LogProbs = t.ids[a:b:b], t.logProbs[a:b:b]
		}
		set(i, p)
	}
	return nil
}
