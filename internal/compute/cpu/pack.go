package cpu

import (
	"github.com/retort-ml/retort/internal/compute"
)

// packRows packs n rows of w, beginning at row, as the columns of a panel:
// values from ≤ k < to of each. from is a multiple of the format's block.
func (d *Device) packRows(k *worker, dst []float32, w *compute.Weight, row, n, from, to int) {
	if w.Format == compute.F32 {
		d.kernels.transpose(dst, w.Floats()[row*w.In+from:], w.In, n, to-from)
		return
	}
	depth := to - from
	rows := k.floats(unpacking, n*depth)
	for j := range n {
		d.kernels.dequantize(rows[j*depth:(j+1)*depth], w, row+j, from)
	}
	d.kernels.transpose(dst, rows, depth, n, depth)
}

// packColumns packs rows from ≤ k < to of w, n of its columns beginning at col,
// as the rows of a panel. col is a multiple of panelWidth.
func (d *Device) packColumns(dst []float32, w *compute.Weight, col, n, from, to int) {
	switch {
	case n < panelWidth:
		for k := from; k < to; k++ {
			d.kernels.dequantize(dst[(k-from)*panelWidth:][:n], w, k, col)
		}
	case w.Format == compute.F32:
		values := w.Floats()
		for k := from; k < to; k++ {
			*(*[panelWidth]float32)(dst[(k-from)*panelWidth:]) = [panelWidth]float32(values[k*w.In+col:])
		}
	default:
		stride := w.Format.RowBytes(w.In)
		begin := from*stride + w.Format.RowBytes(col)
		d.kernels.convert(w.Format, dst[:(to-from)*panelWidth], w.Data()[begin:], stride)
	}
}

// dequantize sets dst to the values of a row of w that begin at from, a
// multiple of the format's block, as len(dst) is.
func (k kernels) dequantize(dst []float32, w *compute.Weight, row, from int) {
	if w.Format == compute.F32 {
		copy(dst, w.Floats()[row*w.In+from:(row+1)*w.In])
		return
	}
	data := w.Data()[row*w.Format.RowBytes(w.In)+w.Format.RowBytes(from):]
	whole := len(dst) &^ (panelWidth - 1)
	bytes := w.Format.RowBytes(whole)
	if whole > 0 {
		k.convert(w.Format, dst[:whole], data, w.Format.RowBytes(panelWidth))
	}
	compute.Dequantize(w.Format, dst[whole:], data[bytes:bytes+w.Format.RowBytes(len(dst)-whole)])
}

// convertGo is the portable convert kernel.
func convertGo(f compute.Format, dst []float32, data []byte, stride int) {
	bytes := f.RowBytes(panelWidth)
	for i := range len(dst) / panelWidth {
		compute.Dequantize(f, dst[i*panelWidth:(i+1)*panelWidth], data[i*stride:][:bytes])
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
