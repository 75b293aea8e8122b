package cpu

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

const (
	// maxDepth is how much of a sum is packed at a time: 1024 × panelWidth
	// floats stay in the second-level cache. It is a whole number of blocks.
	maxDepth = 1024
	// unpackedRows is up to how many rows float32 columns are better read where they are.
	unpackedRows = 64
	// minRows is how many rows a piece of work has at least when the columns
	// alone do not keep all threads busy: each piece packs its panel again.
	minRows = 56
)

// MatMul sets y (N,Out) to alpha·x·wᵀ, or adds it when add. Every sum is taken
// in one order, so a row of y is the same bytes whatever rows are beside it:
// what a model generates does not depend on which prompts share its batch.
func (d *Device) MatMul(y, x compute.Mat, w *compute.Weight, alpha float32, add bool) {
	c, a := viewOf("MatMul y", y), viewOf("MatMul x", x)
	if a.rows != c.rows || a.cols != w.In || c.cols != w.Out {
		panic(fmt.Sprintf("cpu: MatMul: y %s, x %s, w (%d, %d)", y, x, w.Out, w.In))
	}
	pack := func(k *worker, dst []float32, from, to, col, n int) { d.packRows(k, dst, w, col, n, from, to) }
	d.multiply(multiplication{c: c, a: a, alpha: alpha, add: add, pack: pack})
}

// MatMulGrad sets dx (N,In) to alpha·dy·w, or adds it when add.
func (d *Device) MatMulGrad(dx, dy compute.Mat, w *compute.Weight, alpha float32, add bool) {
	c, a := viewOf("MatMulGrad dx", dx), viewOf("MatMulGrad dy", dy)
	if a.rows != c.rows || a.cols != w.Out || c.cols != w.In {
		panic(fmt.Sprintf("cpu: MatMulGrad: dx %s, dy %s, w (%d, %d)", dx, dy, w.Out, w.In))
	}
	pack := func(k *worker, dst []float32, from, to, col, n int) { d.packColumns(k, dst, w, col, n, from, to) }
	p := multiplication{c: c, a: a, alpha: alpha, add: add, pack: pack}
	if w.Format == compute.F32 && c.rows <= unpackedRows {
		p.inPlace, p.width = w.Floats(), w.In
	}
	d.multiply(p)
}

// packer fills dst with rows from ≤ k < to of the right-hand matrix, n of its
// columns beginning at col, as a panel: (k−from)·panelWidth + column.
type packer func(w *worker, dst []float32, from, to, col, n int)

// multiplication sets c (m,n) to alpha·a·B, or adds it, for a (m,depth). B
// (depth,n) lies in place, its rows side by side, or is packed by pack if
// inPlace is nil.
type multiplication struct {
	c, a    view
	alpha   float32
	add     bool
	inPlace []float32 // (depth,width)
	width   int
	pack    packer
}

// multiply cuts the work into panels times spans of rows.
func (d *Device) multiply(p multiplication) {
	if p.c.rows == 0 || p.c.cols == 0 {
		return
	}
	if p.a.cols == 0 {
		d.scaleTo(p.c, p.add)
		return
	}
	panels := (p.c.cols + panelWidth - 1) / panelWidth
	span := rowSpan(p.c.rows, panels, len(d.workers))
	spans := (p.c.rows + span - 1) / span
	large := p.c.rows*p.c.cols*p.a.cols > d.kernels.grain
	d.parallelIf(large, panels*spans, func(w *worker, item int) {
		col, first := item/spans*panelWidth, item%spans*span
		part := p
		part.c = p.c.columns(col, min(col+panelWidth, p.c.cols)).rowsFrom(first, min(first+span, p.c.rows))
		part.a = p.a.rowsFrom(first, part.c.rows+first)
		part.multiply(w, d.kernels.panel, col)
	})
}

// multiply does a part of a multiplication that is one panel wide and begins at col.
func (p multiplication) multiply(w *worker, kernel func(product), col int) {
	for from := 0; from < p.a.cols; from += maxDepth {
		to := min(p.a.cols, from+maxDepth)
		var b []float32
		ldb := panelWidth
		if p.inPlace != nil {
			b, ldb = p.inPlace[from*p.width+col:], p.width
		} else {
			b = w.floats(packing, (to-from)*panelWidth)
			p.pack(w, b, from, to, col, p.c.cols)
		}
		kernel(product{
			c: p.c.data, ldc: p.c.stride,
			a: p.a.data[from:], rowStep: p.a.stride, step: 1,
			b: b, ldb: ldb,
			m: p.c.rows, n: p.c.cols, k: to - from,
			alpha: p.alpha, add: p.add || from > 0,
		})
	}
}

// rowSpan returns how many of m rows one piece of work takes, so that there
// are about four pieces for every thread.
func rowSpan(m, panels, threads int) int {
	if threads == 1 {
		return m
	}
	pieces := (4*threads + panels - 1) / panels
	return min(m, max(minRows, (m+pieces-1)/pieces))
}

// scaleTo is a product over nothing: zeros, or what was there.
func (d *Device) scaleTo(c view, add bool) {
	if add {
		return
	}
	for i := range c.rows {
		clear(c.row(i))
	}
}
