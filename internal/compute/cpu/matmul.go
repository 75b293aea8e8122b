package cpu

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

const (
	// maxDepth is how much of a sum is packed at a time: 1024 × panelWidth
	// floats stay in the second-level cache. It is a whole number of blocks.
	maxDepth = 1024
	// fewRows is up to how many rows packing costs more than it saves.
	fewRows = 4
	// unpackedRows is up to how many rows float32 columns are better read where they are.
	unpackedRows = 64
	// minRows is how many rows a piece of work has at least when the columns
	// alone do not keep all threads busy: each piece packs its panel again.
	minRows = 56
)

// MatMul sets y (N,Out) to alpha·x·wᵀ, or adds it when add.
func (d *Device) MatMul(y, x compute.Mat, w *compute.Weight, alpha float32, add bool) {
	c, a := viewOf("MatMul y", y), viewOf("MatMul x", x)
	if a.rows != c.rows || a.cols != w.In || c.cols != w.Out {
		panic(fmt.Sprintf("cpu: MatMul: y %s, x %s, w (%d, %d)", y, x, w.Out, w.In))
	}
	if c.rows <= fewRows {
		d.multiplyFew(c, a, w, alpha, add)
		return
	}
	d.multiply(c, left{a.data, a.stride, 1}, w.In, alpha, add, nil, func(k *worker, dst []float32, from, to, col, n int) {
		d.packRows(k, dst, w, col, n, from, to)
	})
}

// MatMulGrad sets dx (N,In) to alpha·dy·w, or adds it when add.
func (d *Device) MatMulGrad(dx, dy compute.Mat, w *compute.Weight, alpha float32, add bool) {
	c, a := viewOf("MatMulGrad dx", dx), viewOf("MatMulGrad dy", dy)
	if a.rows != c.rows || a.cols != w.Out || c.cols != w.In {
		panic(fmt.Sprintf("cpu: MatMulGrad: dx %s, dy %s, w (%d, %d)", dx, dy, w.Out, w.In))
	}
	var inPlace []float32
	if w.Format == compute.F32 && c.rows <= unpackedRows {
		inPlace = w.Floats()
	}
	d.multiply(c, left{a.data, a.stride, 1}, w.Out, alpha, add, inPlace, func(_ *worker, dst []float32, from, to, col, n int) {
		d.packColumns(dst, w, col, n, from, to)
	})
}

// left is the left-hand matrix of a product: (i,k) at i·rowStep+k·step.
type left struct {
	data          []float32
	rowStep, step int
}

// packer fills dst with rows from ≤ k < to of the right-hand matrix, n of its
// columns beginning at col, as a panel: (k−from)·panelWidth + column.
type packer func(w *worker, dst []float32, from, to, col, n int)

// multiply sets c (m,n) to alpha·a·B, or adds it, with B (depth,n) in place, its
// rows side by side, or packed by pack if inPlace is nil.
func (d *Device) multiply(c view, a left, depth int, alpha float32, add bool, inPlace []float32, pack packer) {
	if c.rows == 0 || c.cols == 0 {
		return
	}
	if depth == 0 {
		d.scaleTo(c, add)
		return
	}
	panels := (c.cols + panelWidth - 1) / panelWidth
	span := rowSpan(c.rows, panels, len(d.workers))
	spans := (c.rows + span - 1) / span
	d.parallelIf(c.rows*c.cols*depth > d.kernels.grain, panels*spans, func(w *worker, item int) {
		col, first := item/spans*panelWidth, item%spans*span
		n, m := min(panelWidth, c.cols-col), min(span, c.rows-first)
		for from := 0; from < depth; from += maxDepth {
			to := min(depth, from+maxDepth)
			panel, ldb := []float32(nil), panelWidth
			if inPlace != nil {
				panel, ldb = inPlace[from*c.cols+col:], c.cols
			} else {
				panel = w.floats(packing, (to-from)*panelWidth)
				pack(w, panel, from, to, col, n)
			}
			d.kernels.panel(product{
				c: c.data[first*c.stride+col:], ldc: c.stride,
				a: a.data[first*a.rowStep+from*a.step:], rowStep: a.rowStep, step: a.step,
				b: panel, ldb: ldb,
				m: m, n: n, k: to - from, alpha: alpha, add: add || from > 0,
			})
		}
	})
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

// multiplyFew is MatMul for a few rows: each row of w is dequantized and
// multiplied with each row of a, so w is read once and nothing is packed.
func (d *Device) multiplyFew(c, a view, w *compute.Weight, alpha float32, add bool) {
	if c.rows == 0 {
		return
	}
	size := max(1, chunkValues/max(1, w.In))
	d.eachSpan(w.Out, size, func(k *worker, from, to int) {
		for j := from; j < to; j++ {
			row := d.rowOf(k, w, j, 0, w.In)
			for i := range c.rows {
				at := i*c.stride + j
				sum := alpha * d.kernels.dot(a.row(i), row)
				if add {
					sum += c.data[at]
				}
				c.data[at] = sum
			}
		}
	})
}
