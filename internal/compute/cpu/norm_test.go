package cpu

import (
	"math"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// rmsNorm64 is the meaning of RMSNorm for one row.
func rmsNorm64(x, gain []float64, eps float64) []float64 {
	mean := 0.0
	for _, v := range x {
		mean += v * v / float64(len(x))
	}
	y := make([]float64, len(x))
	for j, v := range x {
		y[j] = v / math.Sqrt(mean+eps) * gain[j]
	}
	return y
}

// slope returns the central difference of f in *x.
func slope(x *float64, f func() float64) float64 {
	const h = 1e-5
	at := *x
	*x = at + h
	above := f()
	*x = at - h
	below := f()
	*x = at
	return (above - below) / (2 * h)
}

// gradient returns the gradient of f in x.
func gradient(x []float64, f func() float64) []float64 {
	out := make([]float64, len(x))
	for i := range x {
		out[i] = slope(&x[i], f)
	}
	return out
}

// weighted returns Σ a·b: with b random, its gradient in a shows every output.
func weighted(a []float64, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * float64(b[i])
	}
	return sum
}

func TestRMSNorm(t *testing.T) {
	d := New(2)
	eachShape(t, func(t *testing.T, rows, cols int) {
		r := random()
		y, x, gain := randomMat(r, rows, cols), randomMat(r, rows, cols), randomMat(r, 1, cols)
		vx, g := doubles(valuesOf(t, x)), doubles(valuesOf(t, gain))
		var want []float64
		for i := range rows {
			want = append(want, rmsNorm64(vx[i*cols:(i+1)*cols], g, 1e-5)...)
		}
		d.RMSNorm(y, x, gain, 1e-5)
		near(t, "y", valuesOf(t, y), want, 1e-6, 1e-6)
	})
}

func TestRMSNormOfLargeValues(t *testing.T) {
	d := New(1)
	y := matOf(make([]float32, 2), 1, 2, 0)
	d.RMSNorm(y, matOf([]float32{3e25, -4e25}, 1, 2, 0), matOf([]float32{1, 1}, 1, 2, 0), 1e-5)
	near(t, "y", valuesOf(t, y), []float64{3 / math.Sqrt(12.5), -4 / math.Sqrt(12.5)}, 1e-6, 0)
}

func TestRMSNormGrad(t *testing.T) {
	d := New(2)
	for _, shape := range [][2]int{{1, 1}, {3, 7}, {9, 33}, {2, 100}} {
		rows, cols := shape[0], shape[1]
		for _, add := range []bool{false, true} {
			r := random()
			x, gain, dy := randomMat(r, rows, cols), randomMat(r, 1, cols), randomMat(r, rows, cols)
			dx, dgain := randomMat(r, rows, cols), randomMat(r, 1, cols)
			vx, g, vdy := doubles(valuesOf(t, x)), doubles(valuesOf(t, gain)), valuesOf(t, dy)
			loss := func() float64 {
				sum := 0.0
				for i := range rows {
					sum += weighted(rmsNorm64(vx[i*cols:(i+1)*cols], g, 0.1), vdy[i*cols:])
				}
				return sum
			}
			wantX, wantGain := gradient(vx, loss), gradient(g, loss)
			for i, v := range valuesOf(t, dx) {
				if add {
					wantX[i] += float64(v)
				}
			}
			for i, v := range valuesOf(t, dgain) {
				wantGain[i] += float64(v)
			}
			d.RMSNormGrad(dx, dgain, dy, x, gain, 0.1, add)
			near(t, "dx", valuesOf(t, dx), wantX, 1e-5, 1e-5)
			near(t, "dgain", valuesOf(t, dgain), wantGain, 1e-5, 1e-5)
			before := valuesOf(t, dx)
			d.RMSNormGrad(dx, compute.Mat{}, dy, x, gain, 0.1, false)
			if !add {
				near(t, "dx without dgain", valuesOf(t, dx), doubles(before), 0, 0)
			}
		}
	}
}
