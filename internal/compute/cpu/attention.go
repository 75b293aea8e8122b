package cpu

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// attention is one call: its memory, and the blocks of queries it is cut into.
// Scores exist only for one block at a time, and only from the first key that
// a row of the block sees to the last.
type attention struct {
	compute.AttentionShape
	kernels kernels
	q, k, v view
	blocks  []queryBlock
	// Packed keys and values for products with their transposes: panel p of
	// key/value head g holds rows 32p… as columns, (G, panels, E, panelWidth).
	// Nil for few queries, when packing costs more than it saves.
	keys, values []float32
	panels       int
}

// queryBlock is rows from ≤ i < to of the queries. They see keys first ≤ j <
// last at most.
type queryBlock struct{ from, to, first, last int }

// blockRows is the most queries of a block; blockEnds is from how many on a
// block ends where a new segment begins, so that a segment's queries are not
// multiplied with the keys of its neighbours.
const (
	blockRows = 64
	blockEnds = 12
)

// fewRows is up to how many queries packing the keys costs more than it saves.
const fewRows = 4

// Attention sets out (N,H·E) and logsumexp (N,H) from q (N,H·E) and k, v
// (KeyOffset+N, G·E).
func (d *Device) Attention(out, logsumexp, q, k, v compute.Mat, s compute.AttentionShape) {
	a := newAttention("Attention", q, k, v, s)
	vo, lse := viewOf("Attention out", out), viewOf("Attention logsumexp", logsumexp)
	sameShape("Attention out", a.q, vo)
	sameShape("Attention logsumexp", view{rows: a.q.rows, cols: s.Heads}, lse)
	a.kernels = d.kernels
	if a.q.rows > fewRows {
		a.keys = d.pack(a.k, a.KVHeads, a.HeadDim, keyPanels)
		a.panels = (a.k.rows + panelWidth - 1) / panelWidth
	}
	d.parallelIf(a.work() > d.kernels.grain, len(a.blocks)*s.Heads, func(w *worker, item int) {
		a.forward(w, vo, lse, a.blocks[item/s.Heads], item%s.Heads)
	})
}

// newAttention checks the shapes, which it panics over, and cuts the queries into blocks.
func newAttention(what string, q, k, v compute.Mat, s compute.AttentionShape) *attention {
	a := &attention{AttentionShape: s, q: viewOf(what+" q", q), k: viewOf(what+" k", k), v: viewOf(what+" v", v)}
	if s.Heads < 1 || s.KVHeads < 1 || s.HeadDim < 1 || s.Heads%s.KVHeads != 0 || s.KeyOffset < 0 || !(s.SoftCap >= 0) ||
		a.q.cols != s.Heads*s.HeadDim || a.k.cols != s.KVHeads*s.HeadDim ||
		len(s.From) != a.q.rows || s.To != nil && len(s.To) != a.q.rows || a.k.rows < s.KeyOffset+a.q.rows {
		panic(fmt.Sprintf("cpu: %s: q %s, k %s, %d of %d heads of %d, %d rows from %d on", what, q, k, s.Heads, s.KVHeads, s.HeadDim, len(s.From), s.KeyOffset))
	}
	sameShape(what+" v", a.k, a.v)
	for i, from := range s.From {
		if from < 0 || int(from) > s.KeyOffset+i {
			panic(fmt.Sprintf("cpu: %s: row %d sees keys from %d, itself key %d", what, i, from, s.KeyOffset+i))
		}
		if to := a.end(i); s.To != nil && (to <= s.KeyOffset+i || to > a.k.rows) {
			panic(fmt.Sprintf("cpu: %s: row %d sees keys to %d of %d, itself key %d", what, i, to, a.k.rows, s.KeyOffset+i))
		}
	}
	a.cut()
	return a
}

// end returns the key after the last one that query i sees.
func (a *attention) end(i int) int {
	if a.To == nil {
		return a.KeyOffset + i + 1
	}
	return int(a.To[i])
}

// cut makes the blocks of queries. They follow from From and To alone.
func (a *attention) cut() {
	for i, from := range a.From {
		key := a.KeyOffset + i
		last := len(a.blocks) - 1
		if last >= 0 {
			b := &a.blocks[last]
			rows, begins := b.to-b.from, int(from) == key
			if rows < blockRows && !(begins && rows >= blockEnds) {
				b.to, b.last, b.first = i+1, max(b.last, a.end(i)), min(b.first, int(from))
				continue
			}
		}
		a.blocks = append(a.blocks, queryBlock{i, i + 1, int(from), a.end(i)})
	}
}

// work returns how many multiplications and additions all scores take.
func (a *attention) work() int {
	pairs := 0
	for _, b := range a.blocks {
		pairs += (b.to - b.from) * (b.last - b.first)
	}
	return pairs * a.Heads * a.HeadDim
}

// pack returns the rows of all key/value heads of x as panels' columns.
func (d *Device) pack(x view, heads, headDim int, p purpose) []float32 {
	panels := (x.rows + panelWidth - 1) / panelWidth
	size := headDim * panelWidth
	packed := d.shared.floats(p, heads*panels*size)
	d.parallelIf(len(packed) > 4*chunkValues, panels, func(_ *worker, i int) {
		n := min(panelWidth, x.rows-i*panelWidth)
		for g := range heads {
			d.kernels.transpose(packed[(g*panels+i)*size:][:size], x.data[i*panelWidth*x.stride+g*headDim:], x.stride, n, headDim)
		}
	})
	return packed
}

// forward computes one head of one block of queries.
func (a *attention) forward(w *worker, out, logsumexp view, b queryBlock, head int) {
	width := scoreWidth(b)
	s := w.floats(scores, (b.to-b.from)*width)
	stats := w.floats(statistics, 2*(b.to-b.from))
	a.times(s, width, a.q, head, a.k, a.keys, b, a.Scale)
	if a.SoftCap > 0 {
		a.kernels.capRows(s, width, b.to-b.from, b.last-b.first, a.SoftCap)
	}
	a.kernels.softmaxRows(s, width, b.last-b.first, a.seen(w, b), stats)
	a.sum(out, head, s, width, b)
	for i := b.from; i < b.to; i++ {
		largest, sum := stats[2*(i-b.from)], stats[2*(i-b.from)+1]
		logsumexp.row(i)[head] = largest + float32(math.Log(float64(sum)))
		a.kernels.scale(out.row(i)[head*a.HeadDim:(head+1)*a.HeadDim], 1/sum)
	}
}

// scoreWidth returns the distance of rows of scores, which keeps them off a
// multiple of 4096 bytes, where they would share cache sets.
func scoreWidth(b queryBlock) int { return (b.last-b.first+15)/16*16 + 16 }

// seen returns what the rows of a block see of its keys.
func (a *attention) seen(w *worker, b queryBlock) bounds {
	rows := b.to - b.from
	for i := range rows {
		w.from[i] = a.From[b.from+i] - int32(b.first)
		w.to[i] = int32(a.end(b.from+i) - b.first)
	}
	return bounds{w.from[:rows], w.to[:rows]}
}

// times sets s to alpha times the products of one head of x's rows b.from… with the
// rows b.first… of y (keys or values), of which packed has the panels, if any.
func (a *attention) times(s []float32, width int, x view, head int, y view, packed []float32, b queryBlock, alpha float32) {
	group := head / (a.Heads / a.KVHeads)
	xs := x.data[b.from*x.stride+head*a.HeadDim:]
	if packed == nil {
		for i := range b.to - b.from {
			for j := b.first; j < b.last; j++ {
				row := y.row(j)[group*a.HeadDim:][:a.HeadDim]
				s[i*width+j-b.first] = alpha * a.kernels.dot(xs[i*x.stride:][:a.HeadDim], row)
			}
		}
		return
	}
	size := a.HeadDim * panelWidth
	for j := b.first; j < b.last; {
		panel, skip := j/panelWidth, j%panelWidth
		n := min(panelWidth-skip, b.last-j)
		a.kernels.panel(product{
			c: s[j-b.first:], ldc: width,
			a: xs, rowStep: x.stride, step: 1,
			b: packed[(group*a.panels+panel)*size+skip:], ldb: panelWidth,
			m: b.to - b.from, n: n, k: a.HeadDim, alpha: alpha,
		})
		j += n
	}
}

// sum sets one head of the rows b.from… of out to s times the values.
func (a *attention) sum(out view, head int, s []float32, width int, b queryBlock) {
	group := head / (a.Heads / a.KVHeads)
	for col := 0; col < a.HeadDim; col += panelWidth {
		a.kernels.panel(product{
			c: out.data[b.from*out.stride+head*a.HeadDim+col:], ldc: out.stride,
			a: s, rowStep: width, step: 1,
			b: a.v.data[b.first*a.v.stride+group*a.HeadDim+col:], ldb: a.v.stride,
			m: b.to - b.from, n: min(panelWidth, a.HeadDim-col), k: b.last - b.first, alpha: 1,
		})
	}
}
