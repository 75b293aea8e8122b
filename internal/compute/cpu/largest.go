package cpu

import (
	"fmt"
	"math"
	"slices"

	"github.com/retort-ml/retort/internal/compute"
)

// Largest sets at[i] to the column of the largest value of row i of x, the
// first of equals. NaNs do not count: a row of nothing else gives 0.
func (d *Device) Largest(x compute.Mat, at []int32) {
	v := viewOf("Largest", x)
	if len(at) != v.rows {
		panic(fmt.Sprintf("cpu: Largest: %d results for x %s", len(at), x))
	}
	d.eachRows(v.rows, v.cols, func(from, to int) {
		for i := from; i < to; i++ {
			at[i] = int32(d.kernels.largest(v.row(i)))
		}
	})
}

// largest finds the part of x that has the largest value before it looks where
// in that part it is.
func (k kernels) largest(x []float32) int {
	const part = 1024
	first, top := 0, float32(math.Inf(-1))
	for i := 0; i < len(x); i += part {
		if most := k.maximum(x[i:min(i+part, len(x))]); most > top {
			first, top = i, most
		}
	}
	return first + max(0, slices.Index(x[first:], top))
}
