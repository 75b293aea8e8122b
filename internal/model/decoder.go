package model

import (
	"errors"
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

// Decoder runs a model forward over cached sequences. It is for one goroutine
// at a time.
type Decoder struct {
	m       *Model
	eager   eager
	memory  *cacheMemory
	sampler sampler
	rows    []int32 // that logits are of
	best    []int32 // the likeliest token of each, of greedy answers
}

// NewDecoder makes a Decoder of m. Refresh must be called when m's weights have changed.
func NewDecoder(m *Model) *Decoder {
	d := &Decoder{m: m, eager: newEager(m.dev), memory: newCacheMemory(m.dev, m.cacheWidths())}
	for _, l := range m.Layers {
		if l.attention.Long != nil {
			d.memory.longFrom, d.memory.keepsKeys = l.attention.LongFrom, l.attention.KeepsKeys
		}
	}
	d.Refresh()
	return d
}

// Refresh takes note that the model's weights have changed. Caches of before
// are not to be continued.
func (d *Decoder) Refresh() {
	for _, t := range d.m.allTargets() {
		if u := *d.m.slot(t); u != nil {
			u.Refresh(d.m.dev, d.m.weightOf(t))
		}
	}
}

// cacheWidths are the widths G·E of each layer's keys.
func (m *Model) cacheWidths() []int {
	widths := make([]int, len(m.Layers))
	for i := range m.Layers {
		widths[i] = m.Layers[i].attention.KVHeads * m.Config.HeadDim
	}
	return widths
}

// NewCache returns an empty cache with room for n tokens.
func (d *Decoder) NewCache(n int) *Cache { return &Cache{memory: d.memory, room: n} }

// Run is tokens that continue the sequence of a cache.
type Run struct {
	Cache  *Cache
	Tokens []int32
	// Generated says that the model chose the tokens itself, one at a time.
	// Their linear layers are products for generating (Device.MatVec), which
	// may round in another way, whatever else the step has.
	Generated bool
}

// Step appends every run's tokens to its cache and returns the rows (N,D) that
// the head reads, run after run, those of generated runs after all others. They
// are valid until the next Step. Two runs must not share a cache. No tokens, a
// token outside the vocabulary, or a sequence longer than the model's positions
// is an error, and the caches are then unchanged.
func (d *Decoder) Step(runs []Run) (compute.Mat, error) {
	if len(runs) == 0 {
		return compute.Mat{}, errors.New("no sequences to continue")
	}
	for i, r := range runs {
		if err := d.checkTokens(r.Tokens, r.Cache.length); err != nil {
			return compute.Mat{}, fmt.Errorf("run %d: %w", i, err)
		}
	}
	d.eager.begin()
	d.rows = d.rows[:0]
	for _, generated := range []bool{false, true} {
		for _, r := range runs {
			if r.Generated == generated {
				first := d.eager.add(r)
				for j := range r.Tokens {
					d.rows = append(d.rows, int32(first+j))
				}
			}
		}
	}
	h := d.run()
	if len(d.rows) == h.Rows {
		return h, nil
	}
	x := d.eager.array(slot{name: "step rows"}, len(d.rows), h.Cols)
	d.m.dev.Gather(x, h, d.rows)
	return x, nil
}

// run computes the runs that were added since the step began.
func (d *Decoder) run() compute.Mat { return hidden(&d.eager, d.m, 0) }

// checkTokens refuses tokens that cannot follow length others: none, too many,
// or one that is outside the vocabulary.
func (d *Decoder) checkTokens(tokens []int32, length int) error {
	if len(tokens) == 0 {
		return errors.New("no tokens")
	}
	if n := length + len(tokens); n > d.m.Positions() {
		return fmt.Errorf("%d tokens, the model has %d positions", n, d.m.Positions())
	}
	for i, id := range tokens {
		if id < 0 || int(id) >= d.m.Config.VocabSize {
			return fmt.Errorf("token %d: id %d is outside the vocabulary of %d", i, id, d.m.Config.VocabSize)
		}
	}
	return nil
}

// Logits returns the logits (n,V) of the rows of h, as Step returned it. They
// are valid until the next call.
func (d *Decoder) Logits(h compute.Mat, rows []int32) compute.Mat {
	x, y := d.headArrays(h, rows)
	d.m.Head.Logits(d.m.dev, &d.eager.sums, y, x, x.Rows, d.eager.lowRank)
	return d.softCap(y)
}

// nextLogits are Logits to choose a sequence's next token from: products for
// generating, one row of each sequence.
func (d *Decoder) nextLogits(h compute.Mat, rows []int32) compute.Mat {
	x, y := d.headArrays(h, rows)
	d.m.Head.Logits(d.m.dev, &d.eager.sums, y, x, 0, d.eager.lowRank)
	return d.softCap(y)
}

// softCap bounds logits as the head does.
func (d *Decoder) softCap(logits compute.Mat) compute.Mat {
	if limit := d.m.Head.SoftCap; limit > 0 {
		d.m.dev.SoftCap(logits, limit)
	}
	return logits
}

// headArrays returns the rows of h and an array for their logits.
func (d *Decoder) headArrays(h compute.Mat, rows []int32) (x, y compute.Mat) {
	e := &d.eager
	x = e.array(slot{name: "head rows"}, len(rows), h.Cols)
	e.dev.Gather(x, h, rows)
	return x, e.array(slot{name: "logits"}, len(rows), d.m.Head.Weight.Out)
}
