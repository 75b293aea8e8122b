package model

import (
	"errors"
	"fmt"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// Text is a sequence to classify.
type Text struct {
	Tokens []int32 // with the special tokens that the model expects, [CLS] first
	Types  []int32 // of each token, 0 of the first text of a pair and 1 of the second; nil means all 0
}

// classifyRows is about how many tokens go through a classifier at a time.
const classifyRows = 1024

// leastRows is enough for attention to go the way of many rows: a text's bytes
// do not depend on how many others there are.
const leastRows = 16

// Logits returns the logits of each text, one for each of the classifier's
// labels. Texts are packed side by side without padding between them, and what is
// beside a text changes nothing of its own.
func (c *Classifier) Logits(texts []Text) ([][]float32, error) {
	longest, total := 0, 0
	for i, t := range texts {
		if err := c.check(t); err != nil {
			return nil, fmt.Errorf("classify: text %d: %w", i, err)
		}
		longest, total = max(longest, len(t.Tokens)), total+len(t.Tokens)
	}
	if len(texts) == 0 {
		return nil, nil
	}
	n := max(longest, min(total, classifyRows), leastRows)
	g, err := c.Graph(n, false, 0)
	if err != nil {
		return nil, err
	}
	all := make([][]float32, 0, len(texts))
	for at := 0; at < len(texts); {
		p := newPacking(n)
		for at < len(texts) && p.add(texts[at]) {
			at++
		}
		p.in.Loss = func(dev compute.Device, logits compute.Mat, _, _ int) (float64, error) {
			for i := range logits.Rows {
				all = append(all, append([]float32(nil), dev.Host(logits.RowRange(i, i+1))...))
			}
			return 0, nil
		}
		if _, err := g.Run(p.in); err != nil {
			return nil, fmt.Errorf("classify: %w", err)
		}
	}
	return all, nil
}

// check compares a text with the sizes of the model.
func (c *Classifier) check(t Text) error {
	if len(t.Tokens) == 0 {
		return errors.New("no tokens")
	}
	if len(t.Tokens) > c.Config.MaxPositionEmbeddings {
		return fmt.Errorf("%d tokens, the model has positions for %d", len(t.Tokens), c.Config.MaxPositionEmbeddings)
	}
	for i, id := range t.Tokens {
		if id < 0 || int(id) >= c.Config.VocabSize {
			return fmt.Errorf("token %d: id %d is outside the vocabulary of %d", i, id, c.Config.VocabSize)
		}
	}
	if t.Types == nil {
		return nil
	}
	if len(t.Types) != len(t.Tokens) {
		return fmt.Errorf("%d types for %d tokens", len(t.Types), len(t.Tokens))
	}
	for i, id := range t.Types {
		if id < 0 || int(id) >= max(1, c.Config.TypeVocabSize) { // without types, all are 0
			return fmt.Errorf("token %d: type %d, the model has %d", i, id, c.Config.TypeVocabSize)
		}
	}
	return nil
}

// packing lays texts out as the rows of a graph.
type packing struct {
	in   autodiff.Inputs
	used int
}

// newPacking has n rows of padding.
func newPacking(n int) *packing {
	ints := make([]int32, 5*n)
	p := &packing{in: autodiff.Inputs{Tokens: ints[:n], Positions: ints[n : 2*n], From: ints[2*n : 3*n], To: ints[3*n : 4*n], Types: ints[4*n:]}}
	for i := range n {
		p.in.Tokens[i], p.in.From[i], p.in.To[i] = -1, int32(i), int32(i+1)
	}
	return p
}

// add puts a text into the next rows, of which the first is supervised, or
// tells that there is no room.
func (p *packing) add(t Text) bool {
	first, end := p.used, p.used+len(t.Tokens)
	if end > len(p.in.Tokens) {
		return false
	}
	copy(p.in.Tokens[first:], t.Tokens)
	copy(p.in.Types[first:], t.Types)
	for i := first; i < end; i++ {
		p.in.Positions[i], p.in.From[i], p.in.To[i] = int32(i-first), int32(first), int32(end)
	}
	p.in.Rows = append(p.in.Rows, int32(first))
	p.used = end
	return true
}
