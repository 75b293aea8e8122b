package cpu

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

const (
	// outerRows × outerDepth values of dyᵀ stay in the second-level cache with
	// the panel of x.
	outerRows  = 112 // eight tiles of 14, four of 28
	outerDepth = 256
	// outerStride is up to how many values apart rows of dy are read where they
	// are. Those of a wider dy are up to pages apart, and no processor fetches
	// them ahead: they are copied to where their distances are small.
	outerStride = 512
	// leastRows is how many rows a piece has at least, and a divisor of how many it has: two tiles.
	leastRows = 28
)

// MatMulOuter sets dw (Out,In) to alpha·dyᵀ·x, or adds it when add. Both sides
// are read along their rows.
func (d *Device) MatMulOuter(dw, dy, x compute.Mat, alpha float32, add bool) {
	c, a, b := viewOf("MatMulOuter dw", dw), viewOf("MatMulOuter dy", dy), viewOf("MatMulOuter x", x)
	if a.rows != b.rows || a.cols != c.rows || b.cols != c.cols {
		panic(fmt.Sprintf("cpu: MatMulOuter: dw %s, dy %s, x %s", dw, dy, x))
	}
	if c.rows == 0 || c.cols == 0 {
		return
	}
	if a.rows == 0 {
		if !add {
			c.clear()
		}
		return
	}
	spans, width := outerPieces(c.rows, c.cols, len(d.workers))
	height := ((c.rows+spans-1)/spans + leastRows - 1) / leastRows * leastRows
	spans = (c.rows + height - 1) / height
	groups := (c.cols + width - 1) / width
	d.parallelIf(c.rows*c.cols*a.rows > d.kernels.grain, spans*groups, func(w *worker, item int) {
		first, col := item/groups*height, item%groups*width
		o := outer{
			c: view{data: c.data[first*c.stride+col:], rows: min(height, c.rows-first), cols: min(width, c.cols-col), stride: c.stride},
			a: a.columns(first, min(first+height, c.rows)), b: b.columns(col, min(col+width, c.cols)),
			alpha: alpha, add: add,
		}
		o.multiply(w, d.kernels.panel)
	})
}

// outerPieces cuts (rows,cols) into spans of rows and then into groups of width
// columns, whole panels: about four pieces for every thread.
func outerPieces(rows, cols, threads int) (spans, width int) {
	spans = (rows + outerRows - 1) / outerRows
	panels := (cols + panelWidth - 1) / panelWidth
	if threads == 1 {
		return spans, panels * panelWidth
	}
	pieces := 4 * threads
	even := (max(spans, pieces) + threads - 1) / threads * threads
	spans = max(spans, min(even, (rows+leastRows-1)/leastRows))
	groups := (pieces + spans - 1) / spans
	return spans, max(1, panels/groups) * panelWidth
}

// outer is a piece of MatMulOuter: c (m,n) gets alpha·aᵀ·b of a (k,m) and b (k,n).
type outer struct {
	c, a, b view
	alpha   float32
	add     bool
}

func (o outer) multiply(w *worker, panel func(p product)) {
	height := o.a.cols
	for from := 0; from < o.a.rows; from += outerDepth {
		depth := min(outerDepth, o.a.rows-from)
		a, step := o.a.data[from*o.a.stride:], o.a.stride
		if step > outerStride {
			a, step = w.floats(packing, depth*height), height
			for k := range depth {
				copy(a[k*height:], o.a.row(from+k))
			}
		}
		for col := 0; col < o.c.cols; col += panelWidth {
			panel(product{
				c: o.c.data[col:], ldc: o.c.stride,
				a: a, rowStep: 1, step: step,
				b: o.b.data[from*o.b.stride+col:], ldb: o.b.stride,
				m: height, n: min(panelWidth, o.c.cols-col), k: depth,
				alpha: o.alpha, add: o.add || from > 0,
			})
		}
	}
}
