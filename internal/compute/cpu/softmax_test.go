package cpu

import (
	"fmt"
	"math"
	"testing"
)

// boundsCases returns for rows of a width: what is seen of them is all, one
// value, and anything between.
func boundsCases(rows, width int) bounds {
	r, b := random(), bounds{}
	for i := range rows {
		from, to := 0, width
		switch {
		case i%5 == 1:
			from = r.IntN(width)
			to = from + 1
		case i%5 > 1:
			from = r.IntN(width)
			to = from + 1 + r.IntN(width-from)
		}
		b.from, b.to = append(b.from, int32(from)), append(b.to, int32(to))
	}
	return b
}

func TestSoftmaxRows(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, width := range []int{1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 1000, 20000} {
			for _, spread := range []float32{1, 60} {
				const rows = 9
				r, b := random(), boundsCases(rows, width)
				x, stats := randomMat(r, rows, width), randomMat(r, 1, 2*rows)
				d.Scale(x, spread)
				values, v := valuesOf(t, x), viewOf("x", x)
				var want, wantStats []float64
				for i := range rows {
					row, e := values[i*width:(i+1)*width], make([]float32, width)
					seen := row[b.from[i]:b.to[i]]
					largest := maximumRef(seen)
					sum := expRef(e[b.from[i]:b.to[i]], seen, largest)
					want, wantStats = append(want, doubles(e)...), append(wantStats, float64(largest), float64(sum))
				}
				d.kernels.softmaxRows(v.data, v.stride, width, b, viewOf("stats", stats).row(0))
				near(t, fmt.Sprintf("%d × %v", width, spread), valuesOf(t, x), want, 0, 3e-7)
				near(t, fmt.Sprintf("statistics of %d × %v", width, spread), valuesOf(t, stats), wantStats, 0, 1e-6)
			}
		}
	})
}

func TestSoftmaxGradRows(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, width := range []int{1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 1000, 20000} {
			const rows, scale = 9, float32(0.3)
			r, b := random(), boundsCases(rows, width)
			p, stats := randomMat(r, rows, width), normals(r, 2*rows)
			vp := viewOf("p", p)
			ds := matOf(normals(r, rows*width), rows, width, vp.stride-width)
			values, slopes, vs := valuesOf(t, p), valuesOf(t, ds), viewOf("ds", ds)
			wantP, wantS := make([]float64, rows*width), make([]float64, rows*width)
			for i := range rows {
				for j := i*width + int(b.from[i]); j < i*width+int(b.to[i]); j++ {
					wantP[j] = math.Exp(float64(values[j] - stats[2*i]))
					wantS[j] = float64(scale) * wantP[j] * float64(slopes[j]-stats[2*i+1])
				}
			}
			d.kernels.softmaxGradRows(vp.data, vs.data, vp.stride, width, b, stats, scale)
			near(t, fmt.Sprintf("p of %d", width), valuesOf(t, p), wantP, 0, 3e-7)
			near(t, fmt.Sprintf("ds of %d", width), valuesOf(t, ds), wantS, 0, 1e-6)
		}
	})
}

func TestSoftmaxRowsPassNaNOn(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for at := range 40 {
			x, stats := make([]float32, 40), make([]float32, 2)
			x[at] = float32(math.NaN())
			d.kernels.softmaxRows(x, 40, 40, bounds{[]int32{0}, []int32{40}}, stats)
			near(t, fmt.Sprintf("NaN at %d", at), []float32{x[at], stats[1]}, []float64{math.NaN(), math.NaN()}, 0, 0)
		}
	})
}

func TestSoftmaxRowsOutsideTheirSlicesPanic(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		x, stats := make([]float32, 30), make([]float32, 6)
		run := func(x []float32, from, to int32, stats []float32) func() {
			b := bounds{[]int32{0, 0, from}, []int32{10, 10, to}}
			return func() {
				d.kernels.softmaxRows(x, 10, 10, b, stats)
				d.kernels.softmaxGradRows(x, x, 10, 10, b, stats, 1)
			}
		}
		run(x, 0, 10, stats)()
		mustPanic(t, "x", run(x[:29:29], 0, 10, stats))
		mustPanic(t, "statistics", run(x, 0, 10, stats[:5:5]))
		mustPanic(t, "to", run(x, 0, 11, stats))
		mustPanic(t, "from", run(x, -1, 10, stats))
		mustPanic(t, "order", run(x, 5, 4, stats))
	})
}
