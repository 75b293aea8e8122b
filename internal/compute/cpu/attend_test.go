package cpu

import (
	"fmt"
	"slices"
	"testing"
)

// The kernels of one row give the bytes of the matrix kernel, which rows of
// prompts are computed with.
func TestScoreIsPanel(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, depth := range []int{4, 8, 12, 16, 24, 64, 80, 100, 256} {
			for _, keys := range []int{16, 17, 23, 24, 31, 32, 33, 128, 300} {
				for _, heads := range []int{1, 2, 3, 4, 5, 9} {
					r := random()
					k, q, s := viewOf("k", randomMat(r, keys, depth)), normals(r, heads*depth), randomMat(r, heads, keys)
					vs := viewOf("s", s)
					d.kernels.score(vs.data, vs.stride, q, k, 0.3)
					want := make([]float32, heads*keys)
					panel := make([]float32, depth*panelWidth)
					for j := 0; j < keys; j += panelWidth {
						n := min(panelWidth, keys-j)
						d.kernels.transpose(panel, k.data[j*k.stride:], k.stride, n, depth)
						d.kernels.panel(product{c: want[j:], ldc: keys, a: q, rowStep: depth, step: 1, b: panel, ldb: panelWidth, m: heads, n: n, k: depth, alpha: 0.3})
					}
					near(t, fmt.Sprintf("%d heads of %d, %d keys", heads, depth, keys), valuesOf(t, s), doubles(want), 0, 0)
				}
			}
		}
	})
}

func TestWeighIsPanelAndMayBeCut(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, width := range []int{1, 7, 8, 9, 16, 24, 33, 64, 80, 100, 256} {
			for _, rows := range []int{1, 2, 7, 31, 600} {
				for _, heads := range []int{1, 2, 3, 4, 5, 9} {
					r := random()
					v, p := viewOf("v", randomMat(r, rows, width)), normals(r, heads*rows)
					c, want := matOf(make([]float32, heads*width), 1, heads*width, 0), make([]float32, heads*width)
					for j := 0; j < width; j += panelWidth {
						n := min(panelWidth, width-j)
						d.kernels.panel(product{c: want[j:], ldc: width, a: p, rowStep: rows, step: 1, b: v.data[j:], ldb: v.stride, m: heads, n: n, k: rows, alpha: 1})
					}
					cut := r.IntN(rows)
					sums := viewOf("c", c).row(0)
					if cut > 0 {
						d.kernels.weigh(sums, p, rows, v.rowsFrom(0, cut))
					}
					d.kernels.weigh(sums, p[cut:], rows, v.rowsFrom(cut, rows))
					near(t, fmt.Sprintf("%d heads of %d, %d rows cut at %d", heads, width, rows, cut), valuesOf(t, c), doubles(want), 0, 0)
				}
			}
		}
	})
}

func TestAttendKernelsOutsideTheirSlicesPanic(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		k := view{data: normals(r, 20*8), rows: 20, cols: 8, stride: 8}
		q, s, c := normals(r, 3*8), make([]float32, 3*20), make([]float32, 3*8)
		d.kernels.score(s, 20, q, k, 1)
		d.kernels.weigh(c, s, 20, k)
		short := k
		short.data = slices.Clip(k.data[:len(k.data)-1])
		mustPanic(t, "keys", func() { d.kernels.score(s, 20, q, short, 1) })
		mustPanic(t, "scores", func() { d.kernels.score(s[:59:59], 20, q, k, 1) })
		mustPanic(t, "values", func() { d.kernels.weigh(c, s, 20, short) })
		mustPanic(t, "weights", func() { d.kernels.weigh(c, s[:59:59], 20, k) })
	})
}
