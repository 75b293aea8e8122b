package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// layerNorm64 is the meaning of LayerNorm for one row.
func layerNorm64(x, gain, bias []float64, eps float64) []float64 {
	n, mean, variance := float64(len(x)), 0.0, 0.0
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / n
	}
	y := make([]float64, len(x))
	for j, v := range x {
		y[j] = (v-mean)/math.Sqrt(variance+eps)*gain[j] + bias[j]
	}
	return y
}

func TestLayerNorm(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, cols := range append([]int{3, 15, 16, 17, 40000}, sizes...) {
			for _, far := range []float32{0, 1000} {
				const rows = 3
				r := random()
				y, x := randomMat(r, rows, cols), randomMat(r, rows, cols)
				gain, bias := randomMat(r, 1, cols), randomMat(r, 1, cols)
				for i := range rows {
					for j, v := range viewOf("x", x).row(i) {
						viewOf("x", x).row(i)[j] = v + far
					}
				}
				vx, g, b := doubles(valuesOf(t, x)), doubles(valuesOf(t, gain)), doubles(valuesOf(t, bias))
				var want []float64
				for i := range rows {
					want = append(want, layerNorm64(vx[i*cols:(i+1)*cols], g, b, 1e-3)...)
				}
				d.LayerNorm(y, x, gain, bias, 1e-3)
				near(t, fmt.Sprintf("%d values around %v", cols, far), valuesOf(t, y), want, 2e-6*float64(1+far/10), 1e-5)
			}
		}
	})
}

func TestLayerNormOfUnusualRows(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		one, zero := matOf([]float32{1, 1, 1, 1}, 1, 4, 0), matOf([]float32{0, 0, 0, 0}, 1, 4, 0)
		far, huge, nan := float32(3e25), float32(1.5e38), float32(math.NaN())
		s := math.Sqrt(0.5)
		for _, c := range []struct {
			name string
			x    []float32
			want []float64
		}{
			{"equal values", []float32{7, 7, 7, 7}, []float64{0, 0, 0, 0}},
			{"large values", []float32{far, -far, 0, 0}, []float64{1 / s, -1 / s, 0, 0}},
			{"values with a large sum", []float32{huge, huge, -huge, huge}, []float64{1 / math.Sqrt(3), 1 / math.Sqrt(3), -math.Sqrt(3), 1 / math.Sqrt(3)}},
			{"a NaN", []float32{1, nan, 2, 3}, []float64{math.NaN(), math.NaN(), math.NaN(), math.NaN()}},
		} {
			y := randomMat(random(), 1, 4)
			d.LayerNorm(y, matOf(c.x, 1, 4, 0), one, zero, 1e-5)
			near(t, c.name, valuesOf(t, y), c.want, 1e-6, 1e-6)
		}
		mustPanic(t, "a gain that does not fit", func() { d.LayerNorm(one, one, one.ColRange(0, 3), zero, 1e-5) })
		mustPanic(t, "a bias that does not fit", func() { d.LayerNorm(one, one, one, zero.ColRange(0, 3), 1e-5) })
	})
}

func TestLayerNormGrad(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, shape := range [][2]int{{1, 1}, {3, 7}, {9, 33}, {2, 100}, {130, 5}} {
			for _, add := range []bool{false, true} {
				testLayerNormGrad(t, d, shape[0], shape[1], add)
			}
		}
	})
}

func testLayerNormGrad(t *testing.T, d *Device, rows, cols int, add bool) {
	r := random()
	x, dy, dx := randomMat(r, rows, cols), randomMat(r, rows, cols), randomMat(r, rows, cols)
	gain, dgain, dbias := randomMat(r, 1, cols), randomMat(r, 1, cols), randomMat(r, 1, cols)
	vx, g, b, vdy := doubles(valuesOf(t, x)), doubles(valuesOf(t, gain)), make([]float64, cols), valuesOf(t, dy)
	row := func(i int) float64 {
		return weighted(layerNorm64(vx[i*cols:(i+1)*cols], g, b, 0.1), vdy[i*cols:])
	}
	loss := func() float64 {
		sum := 0.0
		for i := range rows {
			sum += row(i)
		}
		return sum
	}
	var wantX []float64
	for i := range vx {
		wantX = append(wantX, slope(&vx[i], func() float64 { return row(i / cols) }))
	}
	wantGain, wantBias := gradient(g, loss), gradient(b, loss)
	for i, v := range valuesOf(t, dx) {
		if add {
			wantX[i] += float64(v)
		}
	}
	for i := range cols {
		wantGain[i] += float64(valuesOf(t, dgain)[i])
		wantBias[i] += float64(valuesOf(t, dbias)[i])
	}
	d.LayerNormGrad(dx, dgain, dbias, dy, x, gain, 0.1, add)
	what := fmt.Sprintf("(%d, %d), add %v: ", rows, cols, add)
	near(t, what+"dx", valuesOf(t, dx), wantX, 1e-5, 1e-5)
	near(t, what+"dgain", valuesOf(t, dgain), wantGain, 2e-5, 2e-5)
	near(t, what+"dbias", valuesOf(t, dbias), wantBias, 2e-5, 2e-5)
	if !add {
		before := valuesOf(t, dx)
		d.LayerNormGrad(dx, compute.Mat{}, compute.Mat{}, dy, x, gain, 0.1, false)
		near(t, what+"dx alone", valuesOf(t, dx), doubles(before), 0, 0)
	}
}

// Long rows go to assembly in pieces.
func TestNormSums(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, n := range append([]int{15, 16, 17, 40000}, sizes...) {
			r := random()
			x, dy, gain := normals(r, n), normals(r, n), normals(r, n)
			var sum, squares, sums, product float64
			for i := range n {
				z, g := float64(x[i])-0.5, float64(dy[i])*float64(gain[i])
				sum, squares, sums, product = sum+z, squares+z*z, sums+g, product+g*z
			}
			s, q := d.kernels.deviations(x, 0.5)
			a, b := d.kernels.normSums(dy, x, gain, 0.5)
			near(t, fmt.Sprint(n), []float32{s, q, a, b}, []float64{sum, squares, sums, product}, 2e-6*math.Sqrt(float64(n))*4, 2e-6)
		}
	})
}
