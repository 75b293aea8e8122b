package cpu

import (
	"fmt"
	"slices"

	"github.com/retort-ml/retort/internal/compute"
)

// Rotate turns the heads of x (N, heads·E) in place by the angle of each row's
// position; back turns the other way. Columns beyond the pairs of r stay.
func (d *Device) Rotate(x compute.Mat, headDim int, positions []int32, r *compute.Rotation, back bool) {
	v := viewOf("Rotate", x)
	half := len(r.Frequencies)
	if half == 0 || headDim < 2*half || v.cols%headDim != 0 || len(positions) != v.rows {
		panic(fmt.Sprintf("cpu: Rotate: x %s, heads of %d, %d frequencies, %d positions", x, headDim, half, len(positions)))
	}
	if v.rows == 0 {
		return
	}
	if first := slices.Min(positions); first < 0 {
		panic(fmt.Sprintf("cpu: Rotate: position %d", first))
	}
	sign := float32(1)
	if back {
		sign = -1
	}
	table := r.Table(int(slices.Max(positions)) + 1)
	d.eachRows(v.rows, v.cols, func(from, to int) {
		for i := from; i < to; i++ {
			turns := table[int(positions[i])*2*half:][:2*half]
			for heads := v.row(i); len(heads) > 0; heads = heads[headDim:] {
				d.kernels.rotate(heads[:half], heads[half:2*half], turns[:half], turns[half:], sign)
			}
		}
	})
}
