package cpu

import (
	"github.com/retort-ml/retort/internal/compute"
)

// squareRows × panelWidth values are dequantized at a time where they cannot be
// written to where they belong: 4 KB, which stay in the first-level cache.
const squareRows = 32

// packRows packs n rows of w, at most squareRows, beginning at row, as the
// columns of a panel: values from ≤ k < to of each. from is a multiple of the
// format's block and of panelWidth.
func (d *Device) packRows(k *worker, dst []float32, w *compute.Weight, row, n, from, to int) {
	if w.Format == compute.F32 {
		d.kernels.transpose(dst, w.Floats()[row*w.In+from:], w.In, n, to-from)
		return
	}
	for col := from; col < to; col += panelWidth {
		width := min(panelWidth, to-col)
		values := d.kernels.square(k, w, row, n, col, width)
		d.kernels.transpose(dst[(col-from)*panelWidth:], values, panelWidth, n, width)
	}
}

// packColumns packs rows from ≤ k < to of w, n of its columns beginning at col,
// as the rows of a panel. col is a multiple of panelWidth, and n is less only
// for the last columns.
func (d *Device) packColumns(k *worker, dst []float32, w *compute.Weight, col, n, from, to int) {
	if n == panelWidth {
		d.kernels.convert(dst[:(to-from)*panelWidth], w, from, col, true)
		return
	}
	for row := from; row < to; row += squareRows {
		rows := min(squareRows, to-row)
		values := d.kernels.square(k, w, row, rows, col, n)
		for i := range rows {
			copy(dst[(row-from+i)*panelWidth:][:n], values[i*panelWidth:])
		}
	}
}

// square returns width columns of n rows of w, at most panelWidth and
// squareRows, each row panelWidth values after the one before it. It is memory
// of k.
func (ks kernels) square(k *worker, w *compute.Weight, row, n, col, width int) []float32 {
	values := k.floats(unpacking, squareRows*panelWidth)
	skip := panelWidth - width
	if skip <= col { // always, but in the last columns of narrow matrices
		ks.convert(values[:n*panelWidth], w, row, col-skip, true)
		return values[skip:]
	}
	for i := range n {
		w.Part(values[i*panelWidth:][:width], row+i, col)
	}
	return values
}

// dequantize sets dst to the values of a row of w that begin at from, a
// multiple of panelWidth unless the format is plain.
func (ks kernels) dequantize(dst []float32, w *compute.Weight, row, from int) {
	whole := len(dst) &^ (panelWidth - 1)
	ks.convert(dst[:whole], w, row, from, false)
	w.Part(dst[whole:], row, from+whole)
}

// convertGo is the portable convert kernel.
func convertGo(dst []float32, w *compute.Weight, row, col int, down bool) {
	for ; len(dst) > 0; dst = dst[panelWidth:] {
		w.Part(dst[:panelWidth], row, col)
		if down {
			row++
		} else {
			col += panelWidth
		}
	}
}

// transposeGo is the portable transpose kernel.
func transposeGo(dst, rows []float32, stride, n, depth int) {
	transposeColumns(dst, rows, stride, 0, n, depth)
}

// transposeColumns packs rows from ≤ j < n, four at a time, so that four
// neighbours are written together.
func transposeColumns(dst, rows []float32, stride, from, n, depth int) {
	if depth == 0 {
		return
	}
	j := from
	for ; j+4 <= n; j += 4 {
		r0 := rows[j*stride:][:depth]
		r1 := rows[(j+1)*stride:][:depth]
		r2 := rows[(j+2)*stride:][:depth]
		r3 := rows[(j+3)*stride:][:depth]
		for k := range r0 {
			to := dst[k*panelWidth+j : k*panelWidth+j+4 : k*panelWidth+j+4]
			to[0], to[1], to[2], to[3] = r0[k], r1[k], r2[k], r3[k]
		}
	}
	for ; j < n; j++ {
		for k, v := range rows[j*stride:][:depth] {
			dst[k*panelWidth+j] = v
		}
	}
}
