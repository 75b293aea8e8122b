package cpu

import (
	"math"
	"testing"
)

func TestSoftCap(t *testing.T) {
	d, r := New(2), random()
	for _, limit := range []float32{0.5, 30} {
		for _, cols := range sizes {
			const rows = 3
			x, dx := randomMat(r, rows, cols), randomMat(r, rows, cols)
			d.Scale(x, 3*limit)
			values, want, wantGrad := doubles(valuesOf(t, x)), make([]float64, rows*cols), doubles(valuesOf(t, dx))
			capped := func(v float64) float64 { return float64(limit) * math.Tanh(v/float64(limit)) }
			for i, v := range values {
				want[i] = capped(v)
				wantGrad[i] *= slope(&v, func() float64 { return capped(v) })
			}
			d.SoftCap(x, limit)
			near(t, "capped", valuesOf(t, x), want, 0, 5e-7)
			d.SoftCapGrad(dx, x, limit)
			near(t, "gradient", valuesOf(t, dx), wantGrad, 2e-6, 2e-6)
		}
	}
	x := matOf([]float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1e-30}, 1, 4, 0)
	d.SoftCap(x, 2)
	near(t, "far out", valuesOf(t, x), []float64{2, -2, math.NaN(), 1e-30}, 0, 1e-6)
	mustPanic(t, "at 0", func() { d.SoftCap(x, 0) })
	mustPanic(t, "at NaN", func() { d.SoftCapGrad(x, x, float32(math.NaN())) })
}
