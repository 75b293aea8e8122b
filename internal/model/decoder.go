package model

import (
	"errors"
	"fmt"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// Decoder runs a model forward over cached sequences. It is for one goroutine
// at a time.
type Decoder struct {
	m     *Model
	eager eager
}

// NewDecoder makes a Decoder of m, whose weights must not change while it is used.
func NewDecoder(m *Model) *Decoder {
	d := &Decoder{m: m}
	d.eager = eager{dev: m.dev, arrays: map[slot]*tensor.Dense{}}
	return d
}

// NewCache returns an empty cache with room for n tokens.
func (d *Decoder) NewCache(n int) *Cache {
	layers := len(d.m.Layers)
	c := &Cache{dev: d.m.dev, width: d.m.Config.NumKeyValueHeads * d.m.Config.HeadDim,
		keys: make([]*tensor.Dense, layers), values: make([]*tensor.Dense, layers)}
	c.grow(max(n, 1))
	return c
}

// Run is tokens that continue the sequence of a cache.
type Run struct {
	Cache  *Cache
	Tokens []int32
}

// Step appends every run's tokens to its cache and returns the rows (N,D) that
// the head reads, run after run. They are valid until the next Step. Two runs
// must not share a cache. No tokens, a token outside the vocabulary, or a
// sequence longer than the model's positions is an error, and the caches are
// then unchanged.
func (d *Decoder) Step(runs []Run) (compute.Mat, error) {
	if len(runs) == 0 {
		return compute.Mat{}, errors.New("no sequences to continue")
	}
	e := &d.eager
	e.begin()
	for i, r := range runs {
		if err := d.checkTokens(r.Tokens, r.Cache.length); err != nil {
			return compute.Mat{}, fmt.Errorf("run %d: %w", i, err)
		}
		for j := range r.Tokens {
			e.positions = append(e.positions, int32(r.Cache.length+j))
		}
		e.tokens = append(e.tokens, r.Tokens...)
		e.runs = append(e.runs, r)
	}
	for _, r := range runs {
		r.Cache.grow(len(r.Tokens))
	}
	h := hidden(e, d.m, 0)
	for _, r := range runs {
		r.Cache.length += len(r.Tokens)
	}
	return h, nil
}

// checkTokens refuses tokens that cannot follow length others: none, too many,
// or one that is outside the vocabulary.
func (d *Decoder) checkTokens(tokens []int32, length int) error {
	c := &d.m.Config
	if len(tokens) == 0 {
		return errors.New("no tokens")
	}
	if n := length + len(tokens); n > c.MaxPositionEmbeddings {
		return fmt.Errorf("%d tokens, the model has %d positions", n, c.MaxPositionEmbeddings)
	}
	for i, id := range tokens {
		if id < 0 || int(id) >= c.VocabSize {
			return fmt.Errorf("token %d: id %d is outside the vocabulary of %d", i, id, c.VocabSize)
		}
	}
	return nil
}

// Logits returns the logits (n,V) of the rows of h, as Step returned it. They
// are valid until the next call.
func (d *Decoder) Logits(h compute.Mat, rows []int32) compute.Mat {
	e := &d.eager
	x := e.array(slot{name: "head rows"}, len(rows), h.Cols)
	e.dev.Gather(x, h, rows)
	y := e.array(slot{name: "logits"}, len(rows), d.m.Head.Weight.Out)
	e.dev.MatMul(y, x, d.m.Head.Weight, 1, false)
	return y
}

// eager executes an architecture's operations at once: it is the ops of the Decoder.
type eager struct {
	dev       compute.Device
	tokens    []int32
	positions []int32
	from      []int32
	runs      []Run

	arrays map[slot]*tensor.Dense
	block  int // number of At calls so far
	index  int // number of arrays used since
	layer  int // number of Attention calls so far
}

// slot names an array that is used again in every step. Blocks take turns, so
// that a block's results last while the next one reads them.
type slot struct {
	name          string
	parity, index int
}

func (e *eager) begin() {
	e.tokens, e.positions, e.runs = e.tokens[:0], e.positions[:0], e.runs[:0]
	e.block, e.index, e.layer = 0, 0, 0
}

// array returns rows × cols of the slot's array, grown when needed.
func (e *eager) array(s slot, rows, cols int) compute.Mat {
	a := e.arrays[s]
	if a == nil || a.Shape().TotalSize() < rows*cols {
		a = e.dev.New(rows * cols)
		e.arrays[s] = a
	}
	return compute.Mat{Array: a, Rows: rows, Cols: cols, Stride: cols}
}

// next is the array of the block's next result.
func (e *eager) next(cols int) compute.Mat {
	e.index++
	return e.array(slot{parity: e.block % 2, index: e.index}, len(e.tokens), cols)
}

// At starts a block.
func (e *eager) At(string) { e.block, e.index = e.block+1, 0 }

// Embed looks up the step's tokens.
func (e *eager) Embed(t *autodiff.Table) compute.Mat {
	y := e.next(t.Weight.In)
	e.dev.Embed(y, t.Weight, e.tokens, 1)
	return y
}

// RMSNorm normalizes the rows of x.
func (e *eager) RMSNorm(x compute.Mat, gain *autodiff.Gain, eps float32) compute.Mat {
	y := e.next(x.Cols)
	e.dev.RMSNorm(y, x, compute.Of(gain.Values), eps)
	return y
}

// Linear applies l to x.
func (e *eager) Linear(x compute.Mat, l *autodiff.Linear) compute.Mat {
	y := e.next(l.Out())
	l.Forward(e.dev, y, x, func(rows, cols int) compute.Mat {
		return e.array(slot{name: "low rank"}, rows, cols)
	})
	return y
}

// Attention appends keys and values to the caches of this layer, and attends
// within each sequence.
func (e *eager) Attention(qkv compute.Mat, a *autodiff.Attention) compute.Mat {
	q, k, v := a.Split(qkv)
	e.dev.Rotate(q, a.HeadDim, e.positions, a.Rotation, false)
	e.dev.Rotate(k, a.HeadDim, e.positions, a.Rotation, false)
	y := e.next(q.Cols)
	lse := e.array(slot{name: "logsumexp"}, len(e.tokens), a.Heads)
	row := 0
	for _, r := range e.runs {
		n, from := len(r.Tokens), r.Cache.length
		keys, values := compute.Of(r.Cache.keys[e.layer]), compute.Of(r.Cache.values[e.layer])
		e.dev.Copy(keys.RowRange(from, from+n), k.RowRange(row, row+n))
		e.dev.Copy(values.RowRange(from, from+n), v.RowRange(row, row+n))
		e.dev.Attention(y.RowRange(row, row+n), lse.RowRange(row, row+n), q.RowRange(row, row+n),
			keys.RowRange(0, from+n), values.RowRange(0, from+n), e.shape(a, n, from))
		row += n
	}
	e.layer++
	return y
}

// shape is the attention of n new rows over a cache of offset rows before them.
func (e *eager) shape(a *autodiff.Attention, n, offset int) compute.AttentionShape {
	for len(e.from) < n {
		e.from = append(e.from, 0)
	}
	return compute.AttentionShape{Heads: a.Heads, KVHeads: a.KVHeads, HeadDim: a.HeadDim, Scale: a.Scale,
		From: e.from[:n], KeyOffset: offset}
}

// GLU is the gated activation.
func (e *eager) GLU(gateUp compute.Mat, act compute.Activation) compute.Mat {
	y := e.next(gateUp.Cols / 2)
	e.dev.GLU(y, gateUp, act)
	return y
}

// Add returns x + branch.
func (e *eager) Add(x, branch compute.Mat) compute.Mat {
	y := e.next(x.Cols)
	e.dev.Add(y, x, branch)
	return y
}

// Dropout does nothing: a Decoder does not train.
func (e *eager) Dropout(x compute.Mat, _ float32) compute.Mat { return x }

// Block is f(x).
func (e *eager) Block(x compute.Mat, f func(x compute.Mat) compute.Mat) compute.Mat { return f(x) }
