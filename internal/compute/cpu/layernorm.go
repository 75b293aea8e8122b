package cpu

import (
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// LayerNorm sets row i of y (N,D) to (x_i − mean(x_i)) / sqrt(var(x_i) + eps) ·
// gain (1,D) + bias (1,D).
func (d *Device) LayerNorm(y, x, gain, bias compute.Mat, eps float32) {
	vy, vx := viewOf("LayerNorm y", y), viewOf("LayerNorm x", x)
	g, b := gainRow("LayerNorm", gain, x), gainRow("LayerNorm bias", bias, x)
	sameShape("LayerNorm", vy, vx)
	d.eachRows(vy.rows, vy.cols, func(from, to int) {
		for i := from; i < to; i++ {
			mean, r := d.kernels.moments(vx.row(i), eps)
			d.kernels.standardize(vy.row(i), vx.row(i), g, b, mean, r)
		}
	})
}

// LayerNormGrad sets dx (N,D), or adds to it when add, and adds to dgain and
// dbias (1,D), each unless its Array is nil. With r = 1/sqrt(var + eps),
// g = gain·dy and z = x − mean,
//
//	dx    = r·(g − mean(g)) − z·r³·mean(g·z)
//	dgain = Σ dy·z·r over the rows
//	dbias = Σ dy
func (d *Device) LayerNormGrad(dx, dgain, dbias, dy, x, gain compute.Mat, eps float32, add bool) {
	vdx, vdy, vx := viewOf("LayerNormGrad dx", dx), viewOf("LayerNormGrad dy", dy), viewOf("LayerNormGrad x", x)
	g := gainRow("LayerNormGrad", gain, x)
	sameShape("LayerNormGrad", vdx, vdy, vx)
	spans := (vx.rows + gainRows - 1) / gainRows
	var gains, biases [][]float32 // sums by span
	if dgain.Array != nil {
		gains = make([][]float32, spans)
	}
	if dbias.Array != nil {
		biases = make([][]float32, spans)
	}
	d.eachSpan(vx.rows, gainRows, func(_ *worker, from, to int) {
		dgain, dbias := spanSum(gains, from, vx.cols), spanSum(biases, from, vx.cols)
		for i := from; i < to; i++ {
			x, dy := vx.row(i), vdy.row(i)
			s := d.kernels.layerSlope(dy, x, g, eps)
			d.kernels.normGrad(vdx.row(i), dy, x, g, s, add)
			if dgain != nil {
				d.kernels.normGain(dgain, dy, x, s.mean, s.r)
			}
			if dbias != nil {
				d.kernels.add(dbias, dbias, dy)
			}
		}
	})
	if gains != nil {
		addSums(gainRow("LayerNormGrad dgain", dgain, x), gains)
	}
	if biases != nil {
		addSums(gainRow("LayerNormGrad dbias", dbias, x), biases)
	}
}

// spanSum returns the sum of the span that begins at row from, nil of no sums.
func spanSum(sums [][]float32, from, cols int) []float32 {
	if sums == nil {
		return nil
	}
	sum := make([]float32, cols)
	sums[from/gainRows] = sum
	return sum
}

// layerSlope returns the numbers of a row's gradient.
func (k kernels) layerSlope(dy, x, gain []float32, eps float32) normSlope {
	mean, r := k.moments(x, eps)
	sum, product := k.normSums(dy, x, gain, mean)
	n, r64 := float64(len(x)), float64(r)
	return normSlope{
		mean: mean, r: r,
		back:  float32(float64(product) * r64 * r64 * r64 / n),
		level: float32(r64 * float64(sum) / n),
	}
}

// moments returns the mean of a row and 1/sqrt(var + eps). Deviations are
// taken from a first estimate of the mean, so that rows far from 0 lose no
// digits; squares that float32 does not hold are summed again in float64.
func (k kernels) moments(x []float32, eps float32) (mean, r float32) {
	if len(x) == 0 {
		return 0, 0
	}
	n := float64(len(x))
	sum, _ := k.deviations(x, 0)
	estimate := float32(float64(sum) / n)
	rest, squares := k.deviations(x, estimate)
	off := float64(rest) / n
	variance := float64(squares)/n - off*off
	if !(squares > 1e-20 && squares < 1e38) {
		estimate, off, variance = moments64(x)
	}
	return float32(float64(estimate) + off), float32(1 / math.Sqrt(max(variance, 0)+float64(eps)))
}

// moments64 is moments of any values, in float64: mean as the sum of two parts, and variance.
func moments64(x []float32) (mean float32, rest, variance float64) {
	sum, squares := 0.0, 0.0
	for _, v := range x {
		sum += float64(v)
	}
	m := sum / float64(len(x))
	for _, v := range x {
		squares += (float64(v) - m) * (float64(v) - m)
	}
	return float32(m), m - float64(float32(m)), squares / float64(len(x))
}
