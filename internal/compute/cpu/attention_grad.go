package cpu

import (
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
// as in Dao et al. 2022, appendix B.4. A piece of work is a key/value head of a
// span of rows that nobody outside sees: it alone writes its rows of dk and dv,
// one block of queries after the other.
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
	spans := a.spans()
	d.parallelIf(a.work() > d.kernels.grain, len(spans)*s.KVHeads, func(w *worker, item int) {
		group := item % s.KVHeads
		for _, b := range spans[item/s.KVHeads] {
			for head := group * s.Heads / s.KVHeads; head < (group+1)*s.Heads/s.KVHeads; head++ {
				g.backward(w, b, head, group)
			}
		}
	})
}

// attentionGrad is one call of AttentionGrad.
type attentionGrad struct {
	*attention
	dq, dk, dv, dout, out, logsumexp view
}

// spans cuts the blocks where no later row sees an earlier key.
func (a *attention) spans() [][]queryBlock {
	var spans [][]queryBlock
	end, first := len(a.blocks), a.k.rows
	for i := len(a.blocks) - 1; i >= 0; i-- {
		first = min(first, a.blocks[i].first)
		if i == 0 || a.blocks[i-1].last <= first {
			spans = append(spans, a.blocks[i:end])
			end = i
		}
	}
	return spans
}

// backward adds what one head of one block of queries gives.
func (g *attentionGrad) backward(w *worker, b queryBlock, head, group int) {
	width := scoreWidth(b)
	p := w.floats(scores, (b.to-b.from)*width)
	ds := w.floats(slopes, (b.to-b.from)*width)
	g.times(p, width, g.q, head, g.k, g.keys, b, g.Scale)
	g.times(ds, width, g.dout, head, g.v, g.values, b, 1)
	for i := b.from; i < b.to; i++ {
		at := (i - b.from) * width
		seen := g.seen(p[at:at+b.last-b.first], b, i)
		g.kernels.exp(seen, seen, g.logsumexp.row(i)[head])
		from, to := head*g.HeadDim, (head+1)*g.HeadDim
		delta := g.kernels.dot(g.dout.row(i)[from:to], g.out.row(i)[from:to])
		g.kernels.softmaxGrad(g.seen(ds[at:at+b.last-b.first], b, i), seen, delta, g.Scale)
	}
	keys, rows := b.last-b.first, b.to-b.from
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
			c: g.dk.data[b.first*g.dk.stride+shared:], ldc: g.dk.stride,
			a: ds, rowStep: 1, step: width,
			b: g.q.data[b.from*g.q.stride+own:], ldb: g.q.stride,
			m: keys, n: n, k: rows, alpha: 1, add: true,
		})
		g.kernels.panel(product{ // dV
			c: g.dv.data[b.first*g.dv.stride+shared:], ldc: g.dv.stride,
			a: p, rowStep: 1, step: width,
			b: g.dout.data[b.from*g.dout.stride+own:], ldb: g.dout.stride,
			m: keys, n: n, k: rows, alpha: 1, add: true,
		})
	}
}
