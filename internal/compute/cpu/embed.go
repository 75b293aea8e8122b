package cpu

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

// Embed sets row i of y (N,D) to row ids[i] of w (V,D), times scale; a negative id gives zeros.
func (d *Device) Embed(y compute.Mat, w *compute.Weight, ids []int32, factor float32) {
	v := viewOf("Embed", y)
	if v.cols != w.In || v.rows != len(ids) {
		panic(fmt.Sprintf("cpu: Embed: y %s, w (%d, %d), %d ids", y, w.Out, w.In, len(ids)))
	}
	checkIDs("Embed", ids, w.Out)
	d.eachRows(v.rows, v.cols, func(from, to int) {
		for i := from; i < to; i++ {
			if ids[i] < 0 {
				clear(v.row(i))
				continue
			}
			d.kernels.dequantize(v.row(i), w, int(ids[i]), 0)
			if factor != 1 {
				d.kernels.scale(v.row(i), factor)
			}
		}
	})
}

// EmbedGrad adds row i of dy (N,D), times scale, to row ids[i] of dw (V,D).
func (d *Device) EmbedGrad(dw, dy compute.Mat, ids []int32, factor float32) {
	w, y := viewOf("EmbedGrad dw", dw), viewOf("EmbedGrad dy", dy)
	if w.cols != y.cols || y.rows != len(ids) {
		panic(fmt.Sprintf("cpu: EmbedGrad: dw %s, dy %s, %d ids", dw, dy, len(ids)))
	}
	checkIDs("EmbedGrad", ids, w.rows)
	// An id may come many times: threads share the columns, not the rows.
	_, span := outerPieces(1, w.cols, len(d.workers))
	d.eachSpan(w.cols, span, func(_ *worker, from, to int) {
		for i, id := range ids {
			if id >= 0 {
				d.kernels.addScaled(w.row(int(id))[from:to], y.row(i)[from:to], factor)
			}
		}
	})
}

func checkIDs(what string, ids []int32, vocabulary int) {
	for i, id := range ids {
		if int(id) >= vocabulary {
			panic(fmt.Sprintf("cpu: %s: id %d at %d, with a vocabulary of %d", what, id, i, vocabulary))
		}
	}
}
