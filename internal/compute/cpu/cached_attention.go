package cpu

import (
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/retort-ml/retort/internal/compute"
)

// A row's keys are taken in chunks of keyChunk, counted from the sequence's
// first key. What a chunk gives is joined with what the chunks before it gave,
// in their order. Nothing else decides the bytes of a row: not how many rows
// there are, nor in which way they are computed.
const keyChunk = 128

// fewCached is up to how many rows of a sequence are computed one by one, from
// the keys where they are. More rows are worth packing the keys.
const fewCached = 8

// cached is one call of AttentionCached and the memory that calls use again.
type cached struct {
	compute.AttentionShape
	kernels kernels
	out, q  view
	group   int // query heads to a head of keys
	parts   []cachedPart
	rows    []cachedRow
	items   []cachedItem
	left    []atomic.Int32 // items not done, of each row and head of keys
	sums    []float32      // of items, (items, group, E)
	stats   []float32      // of items, (items, group, 2): the largest score, and Σ exp(score − largest)
	body    func(w *worker, item int)
}

// cachedPart is rows from first on of a sequence's keys and values.
type cachedPart struct {
	keys, values view
	first        int
}

// cachedRow is row of q and of out, which sees the keys sees ≤ j < keys of the
// parts from ≤ i < to; first is its first item.
type cachedRow struct{ row, from, to, sees, keys, first int }

// chunks are those with keys that the row sees: begin ≤ i < end.
func (r *cachedRow) chunks() (begin, end int) {
	return r.sees / keyChunk, (r.keys + keyChunk - 1) / keyChunk
}

// cachedItem is a chunk of the keys of a row and a head of keys; at is where
// its sums are.
type cachedItem struct{ row, group, chunk, at int }

// AttentionCached sets out (N,H·E) to causal attention of each sequence's
// newest rows over all its keys and values: q (N,H·E).
func (d *Device) AttentionCached(out, q compute.Mat, sequences []compute.CachedSequence, s compute.AttentionShape) {
	c := &d.cached
	c.begin(d.kernels, viewOf("AttentionCached out", out), viewOf("AttentionCached q", q), s)
	row := 0
	for i, sequence := range sequences {
		if sequence.Rows < 0 || sequence.Rows > c.q.rows-row {
			panic(fmt.Sprintf("cpu: AttentionCached: sequence %d of %d rows at row %d of %d", i, sequence.Rows, row, c.q.rows))
		}
		from := len(c.parts)
		keys := c.addParts(sequence.Parts)
		if keys < sequence.Rows || sequence.Window < 0 {
			panic(fmt.Sprintf("cpu: AttentionCached: sequence %d has %d rows, %d keys and a window of %d", i, sequence.Rows, keys, sequence.Window))
		}
		window := keys // as no window
		if sequence.Window > 0 {
			window = sequence.Window
		}
		if sequence.Rows > fewCached || s.HeadDim%scoreColumns != 0 {
			d.attendBlocks(row, sequence.Rows, c.parts[from:], keys, window)
		} else {
			for r := range sequence.Rows {
				n := keys - sequence.Rows + r + 1
				c.rows = append(c.rows, cachedRow{row: row + r, from: from, to: len(c.parts), sees: max(0, n-window), keys: n})
			}
		}
		row += sequence.Rows
	}
	if row != c.q.rows {
		panic(fmt.Sprintf("cpu: AttentionCached: q %s, sequences of %d rows", q, row))
	}
	work := c.plan()
	d.parallelIf(work > d.kernels.grain, len(c.items), c.body)
	clear(c.parts) // views keep what they view
	c.out, c.q = view{}, view{}
}

// begin checks the shapes and empties what the last call left.
func (c *cached) begin(k kernels, out, q view, s compute.AttentionShape) {
	if s.Heads < 1 || s.KVHeads < 1 || s.HeadDim < 1 || s.Heads%s.KVHeads != 0 || q.cols != s.Heads*s.HeadDim || !(s.SoftCap >= 0) {
		panic(fmt.Sprintf("cpu: AttentionCached: q (%d, %d), %d of %d heads of %d", q.rows, q.cols, s.KVHeads, s.Heads, s.HeadDim))
	}
	sameShape("AttentionCached out", q, out)
	c.AttentionShape, c.kernels, c.out, c.q, c.group = s, k, out, q, s.Heads/s.KVHeads
	c.parts, c.rows, c.items = c.parts[:0], c.rows[:0], c.items[:0]
	if c.body == nil {
		c.body = c.attend
	}
}

// addParts returns how many keys the parts have together.
func (c *cached) addParts(parts []compute.KV) int {
	keys := 0
	for _, p := range parts {
		part := cachedPart{viewOf("AttentionCached keys", p.Keys), viewOf("AttentionCached values", p.Values), keys}
		sameShape("AttentionCached values", part.keys, part.values)
		if part.keys.cols != c.KVHeads*c.HeadDim {
			panic(fmt.Sprintf("cpu: AttentionCached: keys %s for %d heads of %d", p.Keys, c.KVHeads, c.HeadDim))
		}
		keys += part.keys.rows
		c.parts = append(c.parts, part)
	}
	return keys
}

// plan makes the items of c.rows and returns how many multiplications and
// additions they take. Rows that share keys follow one another chunk by
// chunk, while the chunk is in the cache.
func (c *cached) plan() int {
	items, first, chunks, keys := 0, math.MaxInt, 0, 0
	for i := range c.rows {
		r := &c.rows[i]
		r.first = items
		begin, end := r.chunks()
		items, keys = items+(end-begin)*c.KVHeads, keys+r.keys-begin*keyChunk
		first, chunks = min(first, begin), max(chunks, end)
	}
	for chunk := first; chunk < chunks; chunk++ {
		for group := range c.KVHeads {
			for i, r := range c.rows {
				if begin, end := r.chunks(); begin <= chunk && chunk < end {
					c.items = append(c.items, cachedItem{i, group, chunk, r.first + group*(end-begin) + chunk - begin})
				}
			}
		}
	}
	c.left = slices.Grow(c.left[:0], len(c.rows)*c.KVHeads)[:len(c.rows)*c.KVHeads]
	for i := range c.left {
		begin, end := c.rows[i/c.KVHeads].chunks()
		c.left[i].Store(int32(end - begin))
	}
	c.sums = slices.Grow(c.sums[:0], items*c.group*c.HeadDim)[:items*c.group*c.HeadDim]
	c.stats = slices.Grow(c.stats[:0], items*c.group*2)[:items*c.group*2]
	return 2 * keys * c.Heads * c.HeadDim
}

// attend does an item, and joins all of its row's head of keys when it is the last of them.
func (c *cached) attend(w *worker, item int) {
	it := c.items[item]
	r := &c.rows[it.row]
	width := c.group * c.HeadDim
	q := c.q.row(r.row)[it.group*width : (it.group+1)*width]
	sums := c.sums[it.at*width : (it.at+1)*width]
	stats := c.stats[it.at*c.group*2 : (it.at+1)*c.group*2]
	first := it.chunk * keyChunk
	n := min(keyChunk, r.keys-first)
	p := w.floats(scores, c.group*keyChunk)
	for _, part := range c.parts[r.from:r.to] {
		if keys, at := part.keys.between(part.first, first, first+n); keys.rows > 0 {
			c.score(w, p[at:], q, keys.head(it.group, c.HeadDim))
		}
	}
	if c.SoftCap > 0 {
		c.kernels.capRows(p, keyChunk, c.group, n, c.SoftCap)
	}
	for h := 0; h < c.group; h += blockRows {
		heads := min(blockRows, c.group-h)
		c.kernels.softmaxRows(p[h*keyChunk:], keyChunk, n, w.bounds(heads, r.sees-first, n, 0, n), stats[2*h:])
	}
	clear(sums)
	for _, part := range c.parts[r.from:r.to] {
		if values, at := part.values.between(part.first, first, first+n); values.rows > 0 {
			c.kernels.weigh(sums, p[at:], keyChunk, values.head(it.group, c.HeadDim))
		}
	}
	if c.left[it.row*c.KVHeads+it.group].Add(-1) == 0 {
		c.join(r, it.group)
	}
}

// score sets p to the scores of a row's heads and some keys.
func (c *cached) score(w *worker, p, q []float32, keys view) {
	if keys.rows >= minScored {
		c.kernels.score(p, keyChunk, q, keys, c.Scale)
		return
	}
	panel := w.floats(packing, keys.cols*panelWidth)
	c.kernels.transpose(panel, keys.data, keys.stride, keys.rows, keys.cols)
	c.kernels.panel(product{
		c: p, ldc: keyChunk, a: q, rowStep: keys.cols, step: 1, b: panel, ldb: panelWidth,
		m: c.group, n: keys.rows, k: keys.cols, alpha: c.Scale,
	})
}

// join joins the chunks of a row's heads in their order.
func (c *cached) join(r *cachedRow, group int) {
	begin, end := r.chunks()
	for h := range c.group {
		e := c.HeadDim
		out := c.out.row(r.row)[(group*c.group+h)*e:][:e]
		var s softmaxSum
		for i := range end - begin {
			at := (r.first+group*(end-begin)+i)*c.group + h
			values, largest, sum := c.sums[at*e:(at+1)*e], c.stats[2*at], c.stats[2*at+1]
			if i == 0 {
				copy(out, values)
				s = softmaxSum{largest, sum}
				continue
			}
			s.add(c.kernels, out, values, largest, sum)
		}
		c.kernels.scale(out, 1/s.sum)
	}
}

// softmaxSum is the largest score so far and Σ exp(score − largest). The
// sum of values weighted like that is kept elsewhere.
type softmaxSum struct{ largest, sum float32 }

// add joins a later chunk, whose weighted values are added to out.
func (s *softmaxSum) add(k kernels, out, values []float32, largest, sum float32) {
	if largest > s.largest {
		w := exp32(s.largest - largest)
		k.scale(out, w)
		k.addScaled(out, values, 1)
		s.largest, s.sum = largest, s.sum*w+sum
		return
	}
	w := exp32(largest - s.largest)
	k.addScaled(out, values, w)
	s.sum += w * sum
}

// between returns the rows of a part which are rows from ≤ i < to of the whole,
// when its own first row is that of the whole, and where they begin after from.
func (v view) between(first, from, to int) (part view, at int) {
	begin, end := max(first, from), min(first+v.rows, to)
	if begin >= end {
		return view{}, 0
	}
	return v.rowsFrom(begin-first, end-first), begin - from
}

// head returns the columns of a head of that width.
func (v view) head(i, width int) view { return v.columns(i*width, (i+1)*width) }

// bounds returns what up to blockRows rows see of width values: the first of
// them the values from ≤ j < to, and each step later than the one before it.
func (w *worker) bounds(rows, from, to, step, width int) bounds {
	for i := range rows {
		w.from[i], w.to[i] = int32(max(0, from)), int32(min(to, width))
		from, to = from+step, to+step
	}
	return bounds{w.from[:rows], w.to[:rows]}
}
