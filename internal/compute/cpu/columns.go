package cpu

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

// MulRow sets y (N,C) to x with every row multiplied by row (1,C); y may be x.
func (d *Device) MulRow(y, x, row compute.Mat) {
	vy, vx, vr := viewOf("MulRow y", y), viewOf("MulRow x", x), viewOf("MulRow row", row)
	if vr.rows != 1 || vr.cols != vy.cols || vx.cols != vy.cols || vx.rows != vy.rows {
		panic(fmt.Sprintf("cpu: MulRow: y %s, x %s, row %s", y, x, row))
	}
	by := vr.row(0)
	d.eachRows(vy.rows, vy.cols, func(from, to int) {
		for i := from; i < to; i++ {
			out, in := vy.row(i), vx.row(i)
			for j := range out {
				out[j] = in[j] * by[j]
			}
		}
	})
}

// SumProducts adds to y (1,C) the sum over the rows of a·b, both (N,C), in float64.
func (d *Device) SumProducts(y, a, b compute.Mat) {
	vy, va, vb := viewOf("SumProducts y", y), viewOf("SumProducts a", a), viewOf("SumProducts b", b)
	if vy.rows != 1 || va.cols != vy.cols || vb.cols != vy.cols || va.rows != vb.rows {
		panic(fmt.Sprintf("cpu: SumProducts: y %s, a %s, b %s", y, a, b))
	}
	d.eachSpan(va.cols, panelWidth, func(w *worker, from, to int) {
		w.sums = [panelWidth]float64{}
		for i := range va.rows {
			ra, rb := va.row(i)[from:to], vb.row(i)[from:to]
			for j := range ra {
				w.sums[j] += float64(ra[j]) * float64(rb[j])
			}
		}
		out := vy.row(0)[from:to]
		for j := range out {
			out[j] = float32(float64(out[j]) + w.sums[j])
		}
	})
}

// GatherColumns sets row i of y (N,R) to column ids[i] of w (R,V); a negative id gives zeros.
func (d *Device) GatherColumns(y, w compute.Mat, ids []int32) {
	vy, vw := viewOf("GatherColumns y", y), viewOf("GatherColumns w", w)
	checkColumns("GatherColumns", vy, vw, ids)
	d.eachRows(vy.rows, vy.cols, func(from, to int) {
		for i := from; i < to; i++ {
			out := vy.row(i)
			for r := range out {
				out[r] = 0
				if ids[i] >= 0 {
					out[r] = vw.row(r)[ids[i]]
				}
			}
		}
	})
}

// GatherColumnsGrad adds row i of dy (N,R), times scale, to column ids[i] of
// dw (R,V), in the order of the rows; a negative id adds nothing.
func (d *Device) GatherColumnsGrad(dw, dy compute.Mat, ids []int32, scale float32) {
	vw, vy := viewOf("GatherColumnsGrad dw", dw), viewOf("GatherColumnsGrad dy", dy)
	checkColumns("GatherColumnsGrad", vy, vw, ids)
	d.eachRows(vw.rows, len(ids), func(from, to int) {
		for r := from; r < to; r++ {
			row := vw.row(r)
			for i, id := range ids {
				if id >= 0 {
					row[id] += scale * vy.row(i)[r]
				}
			}
		}
	})
}

// checkColumns panics unless ids has a column of w for each row of y.
func checkColumns(what string, y, w view, ids []int32) {
	if y.rows != len(ids) || y.cols != w.rows {
		panic(fmt.Sprintf("cpu: %s: %d ids, rows (%d, %d), matrix (%d, %d)", what, len(ids), y.rows, y.cols, w.rows, w.cols))
	}
	for i, id := range ids {
		if int(id) >= w.cols {
			panic(fmt.Sprintf("cpu: %s: column %d is %d of %d", what, i, id, w.cols))
		}
	}
}
