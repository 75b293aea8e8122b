package cpu

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

// Add sets y to a + b; y may be a or b.
func (d *Device) Add(y, a, b compute.Mat) {
	vy, va, vb := viewOf("Add y", y), viewOf("Add a", a), viewOf("Add b", b)
	sameShape("Add", vy, va, vb)
	d.eachRows(vy.rows, vy.cols, func(from, to int) {
		for i := from; i < to; i++ {
			d.kernels.add(vy.row(i), va.row(i), vb.row(i))
		}
	})
}

// AddRow adds row (1,C) to every row of y (N,C).
func (d *Device) AddRow(y, row compute.Mat) {
	vy, vr := viewOf("AddRow y", y), viewOf("AddRow row", row)
	if vr.rows != 1 || vr.cols != vy.cols {
		panic(fmt.Sprintf("cpu: AddRow: y %s, row %s", y, row))
	}
	r := vr.row(0)
	d.eachRows(vy.rows, vy.cols, func(from, to int) {
		for i := from; i < to; i++ {
			d.kernels.add(vy.row(i), vy.row(i), r)
		}
	})
}

// SumRows adds the sum of the rows of x (N,C) to y (1,C).
func (d *Device) SumRows(y, x compute.Mat) {
	vy, vx := viewOf("SumRows y", y), viewOf("SumRows x", x)
	if vy.rows != 1 || vy.cols != vx.cols {
		panic(fmt.Sprintf("cpu: SumRows: y %s, x %s", y, x))
	}
	d.eachSpan(vx.cols, panelWidth, func(w *worker, from, to int) {
		w.sums = [panelWidth]float64{}
		d.kernels.sumColumns(&w.sums, vx.columns(from, to))
		y := vy.row(0)[from:to]
		for j := range y {
			y[j] = float32(float64(y[j]) + w.sums[j])
		}
	})
}

// Scale multiplies x by s.
func (d *Device) Scale(x compute.Mat, s float32) {
	v := viewOf("Scale", x)
	d.eachRows(v.rows, v.cols, func(from, to int) {
		for i := from; i < to; i++ {
			d.kernels.scale(v.row(i), s)
		}
	})
}

// Clear sets x to zeros, whatever it was.
func (d *Device) Clear(x compute.Mat) {
	v := viewOf("Clear", x)
	d.eachRows(v.rows, v.cols, func(from, to int) {
		for i := from; i < to; i++ {
			clear(v.row(i))
		}
	})
}

// Copy sets y to x.
func (d *Device) Copy(y, x compute.Mat) {
	vy, vx := viewOf("Copy y", y), viewOf("Copy x", x)
	sameShape("Copy", vy, vx)
	d.eachRows(vy.rows, vy.cols, func(from, to int) {
		for i := from; i < to; i++ {
			copy(vy.row(i), vx.row(i))
		}
	})
}

// dealtParts is how many parts are worth more than one thread: what takes time
// is that each is somewhere else in memory.
const dealtParts = 8

// Deal copies the rows of x (N,C) to parts, which take them in turn.
func (d *Device) Deal(parts []compute.Mat, x compute.Mat) {
	vx, row := viewOf("Deal x", x), 0
	for _, p := range parts {
		row += p.Rows
	}
	if row != vx.rows {
		panic(fmt.Sprintf("cpu: Deal: %d rows to parts of %d", vx.rows, row))
	}
	if len(parts) < dealtParts {
		row = 0
		for _, p := range parts {
			d.Copy(p, x.RowRange(row, row+p.Rows))
			row += p.Rows
		}
		return
	}
	threads := min(len(d.workers), len(parts))
	d.parallel(threads, func(_ *worker, t int) {
		row, to := 0, (t+1)*len(parts)/threads
		for i, p := range parts[:to] {
			if i >= t*len(parts)/threads {
				vp := viewOf("Deal part", p)
				for j := range vp.rows {
					copy(vp.row(j), vx.row(row+j))
				}
			}
			row += p.Rows
		}
	})
}

// Gather sets row i of y (n,C) to row rows[i] of x.
func (d *Device) Gather(y, x compute.Mat, rows []int32) {
	vy, vx := viewOf("Gather y", y), viewOf("Gather x", x)
	checkRows("Gather", vx, vy, rows)
	d.eachRows(vy.rows, vy.cols, func(from, to int) {
		for i := from; i < to; i++ {
			copy(vy.row(i), vx.row(int(rows[i])))
		}
	})
}

// Scatter sets row rows[i] of y to row i of x (n,C); rows has no value twice.
func (d *Device) Scatter(y, x compute.Mat, rows []int32) {
	vy, vx := viewOf("Scatter y", y), viewOf("Scatter x", x)
	checkRows("Scatter", vy, vx, rows)
	d.eachRows(vx.rows, vx.cols, func(from, to int) {
		for i := from; i < to; i++ {
			copy(vy.row(int(rows[i])), vx.row(i))
		}
	})
}

// checkRows panics unless rows has a row of the large view for each of the small one.
func checkRows(what string, large, small view, rows []int32) {
	if len(rows) != small.rows || small.cols != large.cols {
		panic(fmt.Sprintf("cpu: %s: %d rows between (%d, %d) and (%d, %d)", what, len(rows), large.rows, large.cols, small.rows, small.cols))
	}
	for i, r := range rows {
		if r < 0 || int(r) >= large.rows {
			panic(fmt.Sprintf("cpu: %s: row %d at %d, of %d", what, r, i, large.rows))
		}
	}
}

// SumSquares returns Σ x², summed in float64 in a fixed order.
func (d *Device) SumSquares(x compute.Mat) float64 {
	v := viewOf("SumSquares", x)
	if v.cols == 0 {
		return 0
	}
	// The spans do not depend on the threads, so neither does the sum.
	span := max(1, chunkValues/v.cols)
	partial := make([]float64, (v.rows+span-1)/span)
	d.eachSpan(v.rows, span, func(_ *worker, from, to int) {
		sum := 0.0
		for i := from; i < to; i++ {
			sum += d.kernels.sumSquares(v.row(i))
		}
		partial[from/span] = sum
	})
	total := 0.0
	for _, sum := range partial {
		total += sum
	}
	return total
}
