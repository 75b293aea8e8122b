package cpu

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// RMSNorm sets row i of y (N,D) to x_i / sqrt(mean(x_i²) + eps) · gain (1,D).
func (d *Device) RMSNorm(y, x, gain compute.Mat, eps float32) {
	vy, vx, g := viewOf("RMSNorm y", y), viewOf("RMSNorm x", x), gainRow("RMSNorm", gain, x)
	sameShape("RMSNorm", vy, vx)
	d.eachRows(vy.rows, vy.cols, func(from, to int) {
		for i := from; i < to; i++ {
			r := d.kernels.inverseRMS(vx.row(i), eps)
			d.kernels.normalize(vy.row(i), vx.row(i), g, float32(r))
		}
	})
}

// RMSNormGrad sets dx (N,D), or adds to it when add, and adds to dgain (1,D)
// unless dgain.Array is nil. With r_i = 1/sqrt(mean(x_i²) + eps),
//
//	dx_i    = r_i·(gain·dy_i) − x_i·r_i³/D·Σ(gain·dy_i·x_i)
//	dgain_j = Σ_i dy_ij·x_ij·r_i
func (d *Device) RMSNormGrad(dx, dgain, dy, x, gain compute.Mat, eps float32, add bool) {
	vdx, vdy, vx := viewOf("RMSNormGrad dx", dx), viewOf("RMSNormGrad dy", dy), viewOf("RMSNormGrad x", x)
	g := gainRow("RMSNormGrad", gain, x)
	sameShape("RMSNormGrad", vdx, vdy, vx)
	var sums [][]float32 // of dgain, by span
	if dgain.Array != nil {
		sums = make([][]float32, (vx.rows+gainRows-1)/gainRows)
	}
	d.eachSpan(vx.rows, gainRows, func(_ *worker, from, to int) {
		var sum []float32
		if sums != nil {
			sum = make([]float32, vx.cols)
			sums[from/gainRows] = sum
		}
		for i := from; i < to; i++ {
			r := d.kernels.inverseRMS(vx.row(i), eps)
			_, product := d.kernels.normSums(vdy.row(i), vx.row(i), g, 0)
			back := float64(product) * r * r * r / float64(vx.cols)
			d.kernels.normGrad(vdx.row(i), vdy.row(i), vx.row(i), g, normSlope{r: float32(r), back: float32(back)}, add)
			if sum != nil {
				d.kernels.normGain(sum, vdy.row(i), vx.row(i), 0, float32(r))
			}
		}
	})
	if sums != nil {
		addSums(gainRow("RMSNormGrad dgain", dgain, x), sums)
	}
}

// gainRows is how many rows' part of a gain's gradient is summed in float32.
// It is also a piece of work, whatever the number of threads.
const gainRows = 64

// addSums adds the sums to total in their order.
func addSums(total []float32, sums [][]float32) {
	for j := range total {
		t := float64(total[j])
		for _, sum := range sums {
			t += float64(sum[j])
		}
		total[j] = float32(t)
	}
}

// inverseRMS returns 1/sqrt(mean(x²) + eps). Squares that float32 does not
// hold are summed again in float64.
func (k kernels) inverseRMS(x []float32, eps float32) float64 {
	sum := float64(k.dot(x, x))
	if !(sum > 1e-20 && sum < 1e38) {
		sum = sumSquaresGo(x)
	}
	return 1 / math.Sqrt(sum/float64(len(x))+float64(eps))
}

// gainRow returns the memory of a gain (1,D) for rows like those of x.
func gainRow(what string, gain, x compute.Mat) []float32 {
	v := viewOf(what+" gain", gain)
	if v.rows != 1 || v.cols != x.Cols {
		panic(fmt.Sprintf("cpu: %s: gain %s for rows of %s", what, gain, x))
	}
	return v.row(0)
}
