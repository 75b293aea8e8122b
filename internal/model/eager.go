package model

import (
	"slices"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// eager executes an architecture's operations at once: it is the ops of the Decoder.
type eager struct {
	dev       compute.Device
	tokens    []int32
	positions []int32
	runs      []added
	generated int // the first row of a generated run

	arrays map[slot]*tensor.Dense
	block  int // number of At calls so far
	index  int // number of arrays used since
	layer  int // number of Attention calls so far

	sums      autodiff.Sums
	sequences []compute.CachedSequence
	parts     []compute.KV
	keys      []compute.Mat // where the step's go
	values    []compute.Mat
}

// added is a run of the step: its rows are the newest of the cache.
type added struct {
	cache *Cache
	rows  int
}

// slot names an array that is used again in every step. Blocks take turns, so
// that a block's results last while the next one reads them.
type slot struct {
	name          string
	parity, index int
}

func newEager(dev compute.Device) eager { return eager{dev: dev, arrays: map[slot]*tensor.Dense{}} }

// begin starts a step.
func (e *eager) begin() {
	e.tokens, e.positions, e.runs = e.tokens[:0], e.positions[:0], e.runs[:0]
	e.generated = 0
	e.block, e.index, e.layer = 0, 0, 0
}

// add appends a run's tokens to its cache and to the step, and returns its
// first row. Generated runs come after all others. From then on the cache can
// be forked: in every layer, all keys and values are written before any is read.
//
// A run that makes its sequence a long one has the rows of all its tokens.
func (e *eager) add(r Run) int {
	tokens := r.Tokens
	if r.Cache.outgrows(len(tokens)) {
		tokens = r.Cache.restart(tokens)
	}
	row := len(e.tokens) + len(tokens) - len(r.Tokens)
	for j := range tokens {
		e.positions = append(e.positions, int32(r.Cache.length+j))
	}
	e.tokens = append(e.tokens, tokens...)
	e.runs = append(e.runs, added{r.Cache, len(tokens)})
	r.Cache.note(tokens)
	r.Cache.extend(len(tokens))
	if !r.Generated {
		e.generated = len(e.tokens)
	}
	return row
}

// array returns rows × cols of the slot's array, grown when needed.
func (e *eager) array(s slot, rows, cols int) compute.Mat { return e.spaced(s, rows, cols, cols) }

// spaced is array with rows that are stride values apart.
func (e *eager) spaced(s slot, rows, cols, stride int) compute.Mat {
	a := e.arrays[s]
	if a == nil || a.Shape().TotalSize() < rows*stride {
		a = e.dev.New(rows * stride)
		e.arrays[s] = a
	}
	return compute.Mat{Array: a, Rows: rows, Cols: cols, Stride: stride}
}

// next is the array of the block's next result.
func (e *eager) next(cols int) compute.Mat {
	e.index++
	return e.spaced(slot{parity: e.block % 2, index: e.index}, len(e.tokens), cols, compute.Stride(cols))
}

// At starts a block.
func (e *eager) At(string) { e.block, e.index = e.block+1, 0 }

// Begin does nothing: there are no gradients.
func (e *eager) Begin() {}

// End does nothing.
func (e *eager) End() {}

// Embed looks up the step's tokens.
func (e *eager) Embed(t *autodiff.Table) compute.Mat {
	y := e.next(t.Weight.In)
	t.Lookup(e.dev, y, e.tokens, e.lowRank)
	return y
}

// RMSNorm normalizes the rows of x.
func (e *eager) RMSNorm(x compute.Mat, gain *autodiff.Gain, eps float32) compute.Mat {
	y := e.next(x.Cols)
	e.dev.RMSNorm(y, x, e.scales(gain), eps)
	return y
}

func (e *eager) scales(gain *autodiff.Gain) compute.Mat {
	return gain.Scales(e.dev, func(cols int) compute.Mat { return e.array(slot{name: "gain"}, 1, cols) })
}

// HeadNorm normalizes the heads of queries and keys.
func (e *eager) HeadNorm(qkv compute.Mat, a *autodiff.Attention, n *autodiff.HeadNorms) compute.Mat {
	y := e.next(qkv.Cols)
	n.Forward(e.dev, y, qkv, a, e.scales)
	return y
}

// Linear applies l to x.
func (e *eager) Linear(x compute.Mat, l *autodiff.Linear) compute.Mat {
	y := e.next(l.Out())
	l.Forward(e.dev, &e.sums, y, x, e.generated, e.lowRank)
	return y
}

// lowRank is the array for the inner values of low-rank updates.
func (e *eager) lowRank(rows, cols int) compute.Mat {
	return e.array(slot{name: "low rank"}, rows, cols)
}

// Attention appends keys and values to the caches of this layer, and attends
// within each sequence.
func (e *eager) Attention(qkv compute.Mat, a *autodiff.Attention) compute.Mat {
	q, k, v := a.Split(qkv)
	e.rotate(q, k, a)
	e.keys, e.values = e.keys[:0], e.values[:0]
	for _, r := range e.runs {
		first := len(e.keys)
		r.cache.newest(r.rows, func(p part) {
			kv := r.cache.memory.kv(p, e.layer)
			e.keys, e.values = append(e.keys, kv.Keys), append(e.values, kv.Values)
		})
		slices.Reverse(e.keys[first:])
		slices.Reverse(e.values[first:])
	}
	e.dev.Deal(e.keys, k)
	e.dev.Deal(e.values, v)
	y := e.next(q.Cols)
	e.dev.AttentionCached(y, q, e.cached(a.Window), compute.AttentionShape{
		Heads: a.Heads, KVHeads: a.KVHeads, HeadDim: a.HeadDim, Scale: a.Scale, SoftCap: a.SoftCap})
	e.layer++
	return y
}

// rotate turns queries and keys by their positions.
func (e *eager) rotate(q, k compute.Mat, a *autodiff.Attention) {
	if a.Long == nil {
		e.dev.Rotate(q, a.HeadDim, e.positions, a.Rotation, false)
		e.dev.Rotate(k, a.HeadDim, e.positions, a.Rotation, false)
		return
	}
	row := 0
	for _, r := range e.runs {
		next, rotation := row+r.rows, a.RotationOf(r.cache.turned)
		for _, x := range []compute.Mat{q, k} {
			e.dev.Rotate(x.RowRange(row, next), a.HeadDim, e.positions[row:next], rotation, false)
		}
		row = next
	}
}

// cached lists this layer's keys and values of every run, seen in a window.
func (e *eager) cached(window int) []compute.CachedSequence {
	e.sequences, e.parts = e.sequences[:0], e.parts[:0]
	for _, r := range e.runs {
		for _, p := range r.cache.parts {
			e.parts = append(e.parts, r.cache.memory.kv(p, e.layer))
		}
	}
	rest := e.parts
	for _, r := range e.runs {
		n := len(r.cache.parts)
		e.sequences = append(e.sequences, compute.CachedSequence{Rows: r.rows, Parts: rest[:n:n], Window: window})
		rest = rest[n:]
	}
	return e.sequences
}

// Select keeps all rows: callers choose among them.
func (e *eager) Select(x compute.Mat) compute.Mat { return x }

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
