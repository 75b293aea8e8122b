package cpu

import (
	"slices"

	"github.com/retort-ml/retort/internal/compute"
)

// AttentionGrad sets dq, dk, dv. With P the probabilities, which are computed
// again from logsumexp, and S the scaled scores,
//
//	dV = Pᵀ·dOut
//	dS = P ∘ (dOut·Vᵀ − rowsum(dOut ∘ Out))
//	dQ = Scale·dS·K
//	dK = Scale·dSᵀ·Q
//
// as in Dao et al. 2022, appendix B.4. Where scores are capped, P and dS are of
// the capped ones, and dS is multiplied by the slope of the cap. A piece of work is a key/value head of
// a gradPart, which alone writes its rows of dk and dv.
func (d *Device) AttentionGrad(dq, dk, dv, dout, out, logsumexp, q, k, v compute.Mat, s compute.AttentionShape) {
	a := newAttention("AttentionGrad", q, k, v, s)
	g := attentionGrad{
		attention: a,
		dq:        viewOf("AttentionGrad dq", dq), dk: viewOf("AttentionGrad dk", dk), dv: viewOf("AttentionGrad dv", dv),
		dout: viewOf("AttentionGrad dout", dout), out: viewOf("AttentionGrad out", out),
		logsumexp: viewOf("AttentionGrad logsumexp", logsumexp),
	}
	sameShape("AttentionGrad dq, dout, out", a.q, g.dq, g.dout, g.out)
	sameShape("AttentionGrad dk, dv", a.k, g.dk, g.dv)
	sameShape("AttentionGrad logsumexp", view{rows: a.q.rows, cols: s.Heads}, g.logsumexp)
	a.kernels = d.kernels
	for _, v := range []view{g.dk, g.dv} {
		d.eachRows(v.rows, v.cols, func(from, to int) {
			for i := from; i < to; i++ {
				clear(v.row(i))
			}
		})
	}
	a.panels = (a.k.rows + panelWidth - 1) / panelWidth
	a.keys = d.pack(a.k, a.KVHeads, a.HeadDim, keyPanels)
	a.values = d.pack(a.v, a.KVHeads, a.HeadDim, valuePanels)
	parts := g.parts(d)
	d.parallelIf(a.work() > d.kernels.grain, len(parts)*s.KVHeads, func(w *worker, item int) {
		g.partBackward(w, parts[item/s.KVHeads], item%s.KVHeads)
	})
	d.parallelIf(a.work() > d.kernels.grain, s.KVHeads*2, func(_ *worker, item int) {
		for _, p := range parts {
			if p.sums != nil {
				g.addPart(p, item/2, item%2)
			}
		}
	})
}

// attentionGrad is one call of AttentionGrad.
type attentionGrad struct {
	*attention
	dq, dk, dv, dout, out, logsumexp view
}

// gradPieces is how many pieces of work a gradient has at least, where it can:
// enough for many threads, and the same for any number, as sums depend on it.
const gradPieces = 12

// gradPart is a part of a span, which is rows that nobody outside sees. Its
// steps are the blocks of queries of the first query head of each group, then
// those of the second: step i is block i mod len(blocks).
type gradPart struct {
	blocks      []queryBlock
	from, to    int       // steps
	first, keys int       // keys that its blocks see
	sums        []float32 // of dk and dv, (G, 2, keys, E), added to the result at the end; nil for the result itself
}

// parts cuts the spans into parts of about equal work if they are few. All
// parts of a span but the first have sums of their own.
func (g *attentionGrad) parts(d *Device) []gradPart {
	var parts []gradPart
	spans := g.spans()
	per := g.Heads / g.KVHeads
	cuts := (gradPieces + len(spans)*g.KVHeads - 1) / max(1, len(spans)*g.KVHeads)
	values := 0
	for _, blocks := range spans {
		steps := per * len(blocks)
		work := 0
		for _, b := range blocks {
			work += per * (b.to - b.from) * (b.last - b.first)
		}
		first := slices.MinFunc(blocks, func(a, b queryBlock) int { return a.first - b.first }).first
		last := slices.MaxFunc(blocks, func(a, b queryBlock) int { return a.last - b.last }).last
		p := gradPart{blocks: blocks, first: first, keys: last - first}
		done, cut := 0, 0
		for i := range steps {
			b := blocks[i%len(blocks)]
			done += (b.to - b.from) * (b.last - b.first)
			if i < steps-1 && done*cuts < work*(cut+1) {
				continue
			}
			p.to = i + 1
			parts = append(parts, p)
			if p.from > 0 {
				values += 2 * p.keys * g.dk.cols
			}
			p.from, cut = i+1, done*cuts/work
		}
	}
	memory := d.shared.floats(gradSums, values)
	for i := range parts {
		if p := &parts[i]; p.from > 0 {
			n := 2 * p.keys * g.dk.cols
			p.sums, memory = memory[:n:n], memory[n:]
		}
	}
	return parts
}

// sumsOf returns where a part sums dk and dv of a group: (keys,E) of sums.
func (g *attentionGrad) sumsOf(p gradPart, group int) (dk, dv view) {
	n := p.keys * g.HeadDim
	dk = view{rows: p.keys, cols: g.HeadDim, stride: g.HeadDim}
	dv = dk
	sums := p.sums[2*group*n:]
	dk.data, dv.data = sums[:n], sums[n:2*n]
	return dk, dv
}

// partBackward does the steps of a part for one key/value head.
func (g *attentionGrad) partBackward(w *worker, p gradPart, group int) {
	dk, dv := g.dk.head(group, g.HeadDim), g.dv.head(group, g.HeadDim)
	first := 0
	if p.sums != nil {
		dk, dv = g.sumsOf(p, group)
		first = p.first
		clear(dk.data)
		clear(dv.data)
	}
	for i := p.from; i < p.to; i++ {
		b, head := p.blocks[i%len(p.blocks)], group*g.Heads/g.KVHeads+i/len(p.blocks)
		rows := b.first - first
		g.backward(w, b, head, group, dk.rowsFrom(rows, rows+b.last-b.first), dv.rowsFrom(rows, rows+b.last-b.first))
	}
}

// addPart adds what a part has summed of dk, or of dv, of a group.
func (g *attentionGrad) addPart(p gradPart, group, which int) {
	dk, dv := g.sumsOf(p, group)
	sums, result := dk, g.dk
	if which > 0 {
		sums, result = dv, g.dv
	}
	result = result.head(group, g.HeadDim)
	for i := range sums.rows {
		row := result.row(p.first + i)
		g.kernels.add(row, row, sums.row(i))
	}
}

// spans cuts the blocks where no later row sees a key that an earlier one does.
func (a *attention) spans() [][]queryBlock {
	var spans [][]queryBlock
	before := make([]int, len(a.blocks)) // the end of the keys that the blocks before see
	for i := 1; i < len(a.blocks); i++ {
		before[i] = max(before[i-1], a.blocks[i-1].last)
	}
	end, first := len(a.blocks), a.k.rows
	for i := len(a.blocks) - 1; i >= 0; i-- {
		first = min(first, a.blocks[i].first)
		if i == 0 || before[i] <= first {
			spans = append(spans, a.blocks[i:end])
			end = i
		}
	}
	return spans
}

// backward sets what one head of one block of queries gives of dq, and adds
// what it gives of dk and dv (keys of the block,E).
func (g *attentionGrad) backward(w *worker, b queryBlock, head, group int, dk, dv view) {
	width := scoreWidth(b)
	keys, rows := b.last-b.first, b.to-b.from
	p, ds := w.floats(scores, rows*width), w.floats(slopes, rows*width)
	g.times(p, width, g.q, head, g.k, g.keys, b, g.Scale)
	g.times(ds, width, g.dout, head, g.v, g.values, b, 1)
	var slopes []float32 // of the cap
	if g.SoftCap > 0 {
		g.kernels.capRows(p, width, rows, keys, g.SoftCap)
		slopes = w.floats(capSlopes, rows*width)
		capSlopeRows(slopes, p, width, rows, keys, g.SoftCap)
	}
	stats := w.floats(statistics, 2*rows)
	dout, out := g.dout.head(head, g.HeadDim), g.out.head(head, g.HeadDim)
	for i := range rows {
		stats[2*i] = g.logsumexp.row(b.from + i)[head]
		stats[2*i+1] = g.kernels.dot(dout.row(b.from+i), out.row(b.from+i))
	}
	g.kernels.softmaxGradRows(p, ds, width, keys, g.seen(w, b), stats, g.Scale)
	if g.SoftCap > 0 {
		multiplyRows(ds, slopes, width, rows, keys)
	}
	for col := 0; col < g.HeadDim; col += panelWidth {
		n := min(panelWidth, g.HeadDim-col)
		own, shared := head*g.HeadDim+col, group*g.HeadDim+col
		g.kernels.panel(product{ // dQ
			c: g.dq.data[b.from*g.dq.stride+own:], ldc: g.dq.stride,
			a: ds, rowStep: width, step: 1,
			b: g.k.data[b.first*g.k.stride+shared:], ldb: g.k.stride,
			m: rows, n: n, k: keys, alpha: 1,
		})
		g.kernels.panel(product{ // dK
			c: dk.data[col:], ldc: dk.stride,
			a: ds, rowStep: 1, step: width,
			b: g.q.data[b.from*g.q.stride+own:], ldb: g.q.stride,
			m: keys, n: n, k: rows, alpha: 1, add: true,
		})
		g.kernels.panel(product{ // dV
			c: dv.data[col:], ldc: dv.stride,
			a: p, rowStep: 1, step: width,
			b: g.dout.data[b.from*g.dout.stride+own:], ldb: g.dout.stride,
			m: keys, n: n, k: rows, alpha: 1, add: true,
		})
	}
}
