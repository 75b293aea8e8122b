package cpu

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

const (
	// outerRows × outerDepth values of dyᵀ are copied to where their distances
	// are small: rows of a wide dy are pages apart, and no processor fetches
	// those ahead. With the panel of x they stay in the second-level cache.
	outerRows  = 112 // eight tiles of 14, four of 28
	outerDepth = 256
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
	spans := (c.rows + outerRows - 1) / outerRows
	width := columnSpan(c.cols, spans, len(d.workers))
	groups := (c.cols + width - 1) / width
	d.parallelIf(c.rows*c.cols*a.rows > d.kernels.grain, spans*groups, func(w *worker, item int) {
		first, col := item/groups*outerRows, item%groups*width
		o := outer{
			c: view{data: c.data[first*c.stride+col:], rows: min(outerRows, c.rows-first), cols: min(width, c.cols-col), stride: c.stride},
			a: a.columns(first, min(first+outerRows, c.rows)), b: b.columns(col, min(col+width, c.cols)),
			alpha: alpha, add: add,
		}
		o.multiply(w, d.kernels.panel)
	})
}

// columnSpan returns how many of n columns, whole panels, one piece of work
// takes, so that there are about four pieces for every thread.
func columnSpan(n, spans, threads int) int {
	panels := (n + panelWidth - 1) / panelWidth
	if threads > 1 {
		pieces := (4*threads + spans - 1) / spans
		panels = max(1, panels/pieces)
	}
	return max(1, panels) * panelWidth
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
		copied := w.floats(packing, depth*height)
		for k := range depth {
			copy(copied[k*height:], o.a.row(from+k))
		}
		for col := 0; col < o.c.cols; col += panelWidth {
			panel(product{
				c: o.c.data[col:], ldc: o.c.stride,
				a: copied, rowStep: 1, step: height,
				b: o.b.data[from*o.b.stride+col:], ldb: o.b.stride,
				m: height, n: min(panelWidth, o.c.cols-col), k: depth,
				alpha: o.alpha, add: o.add || from > 0,
			})
		}
	}
}
