package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// matmulShapes are N, Out, In: around tiles of 2, 6, 14 and 28 rows, of 16 and
// 32 columns, and around maxDepth.
var matmulShapes = [][3]int{
	{0, 3, 5}, {3, 1, 1}, {1, 1, 1}, {1, 9, 31}, {4, 33, 100}, {5, 8, 7}, {13, 31, 9}, {14, 32, 8}, {15, 33, 1},
	{28, 16, 33}, {29, 15, 16}, {6, 47, 13}, {7, 48, 14}, {12, 49, 15}, {64, 64, 28}, {65, 65, 64}, {31, 1, 1000},
	{33, 7, 1025}, {6, 40, 2100}, {200, 17, 30}, {130, 16, 40},
	{3, 40, 64}, {33, 64, 96}, {17, 5, 1056}, {9, 20, 2112}, {7, 35, 512}, {5, 33, 1280}, {3, 65, 288},
}

func TestMatMul(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for i, shape := range matmulShapes {
			n, out, in := shape[0], shape[1], shape[2]
			for _, f := range formats {
				if in%f.BlockValues() != 0 {
					continue
				}
				w, values := randomWeight(t, r, f, out, in)
				add := (i+int(f))%2 == 0
				alpha := float32(1.5)
				x, y := randomMat(r, n, in), randomMat(r, n, out)
				want := valuesOf(t, y)
				transposed := make([]float32, in*out)
				for i := range out {
					for j := range in {
						transposed[j*out+i] = values[i*in+j]
					}
				}
				productRef(product{c: want, ldc: out, a: valuesOf(t, x), rowStep: in, step: 1, b: transposed, ldb: out, m: n, n: out, k: in, alpha: alpha, add: add})
				d.MatMul(y, x, w, alpha, add)
				near(t, fmt.Sprintf("%s %v add %v", f, shape, add), valuesOf(t, y), doubles(want), 1e-5*math.Sqrt(float64(1+shape[2])), 1e-5)
			}
		}
	})
}

func TestMatMulGrad(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for i, shape := range matmulShapes {
			n, out, in := shape[0], shape[1], shape[2]
			for _, f := range formats {
				if in%f.BlockValues() != 0 {
					continue
				}
				w, values := randomWeight(t, r, f, out, in)
				add := (i+int(f))%2 == 0
				dy, dx := randomMat(r, n, out), randomMat(r, n, in)
				want := valuesOf(t, dx)
				productRef(product{c: want, ldc: in, a: valuesOf(t, dy), rowStep: out, step: 1, b: values, ldb: in, m: n, n: in, k: out, alpha: -0.5, add: add})
				d.MatMulGrad(dx, dy, w, -0.5, add)
				near(t, fmt.Sprintf("%s %v add %v", f, shape, add), valuesOf(t, dx), doubles(want), 1e-5*math.Sqrt(float64(1+shape[1])), 1e-5)
			}
		}
	})
}

// outerShapes are Out, In, N on both sides of outerStride, of several spans and
// groups, and summed in several depths.
var outerShapes = [][3]int{{outerStride, 40, 257}, {outerStride + 1, 33, 257}, {25, 100, 600}, {113, 300, 20}}

func TestMatMulOuter(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for _, shape := range append(outerShapes, matmulShapes...) {
			out, in, n := shape[0], shape[1], shape[2] // the longest is the one summed over
			for _, add := range []bool{false, true} {
				dy, x, dw := randomMat(r, n, out), randomMat(r, n, in), randomMat(r, out, in)
				want := valuesOf(t, dw)
				productRef(product{c: want, ldc: in, a: valuesOf(t, dy), rowStep: 1, step: out, b: valuesOf(t, x), ldb: in, m: out, n: in, k: n, alpha: 2, add: add})
				d.MatMulOuter(dw, dy, x, 2, add)
				near(t, fmt.Sprintf("%v add %v", shape, add), valuesOf(t, dw), doubles(want), 1e-5*math.Sqrt(float64(1+shape[2])), 1e-5)
			}
		}
	})
}

// A sum over nothing is zero, and with add it changes nothing.
func TestMatMulOverNothing(t *testing.T) {
	d := New(2)
	for _, add := range []bool{false, true} {
		dw := randomMat(random(), 3, 4)
		want := make([]float32, 12)
		if add {
			want = valuesOf(t, dw)
		}
		d.MatMulOuter(dw, compute.Mat{Cols: 3}, compute.Mat{Cols: 4}, 1, add)
		near(t, fmt.Sprintf("add %v", add), valuesOf(t, dw), doubles(want), 0, 0)
	}
}

// A weight that shares an array follows what is written there.
func TestMatMulFollowsASharedArray(t *testing.T) {
	d := New(1)
	array := d.New(2, 3)
	w := compute.SharedF32(array)
	x, y := matOf([]float32{1, 2, 3}, 1, 3, 0), matOf(make([]float32, 2), 1, 2, 0)
	copy(d.Host(compute.Of(array)), []float32{1, 1, 1, 0, 1, 0})
	d.MatMul(y, x, w, 1, false)
	near(t, "y", valuesOf(t, y), []float64{6, 2}, 0, 0)
	d.Host(compute.Of(array))[0] = 5
	d.MatMul(y, x, w, 1, false)
	near(t, "y after a change", valuesOf(t, y), []float64{10, 2}, 0, 0)
}

func TestMatMulShapesThatDoNotFitPanic(t *testing.T) {
	d, r := New(1), random()
	w, _ := randomWeight(t, r, compute.F32, 3, 4)
	mustPanic(t, "MatMul", func() { d.MatMul(randomMat(r, 2, 3), randomMat(r, 2, 5), w, 1, false) })
	mustPanic(t, "MatMulGrad", func() { d.MatMulGrad(randomMat(r, 2, 3), randomMat(r, 2, 4), w, 1, false) })
	mustPanic(t, "MatMulOuter", func() { d.MatMulOuter(randomMat(r, 2, 3), randomMat(r, 5, 2), randomMat(r, 4, 3), 1, false) })
}

func TestTranspose(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for _, depth := range sizes {
			for _, n := range []int{1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 32} {
				rows := randomMat(r, n, depth)
				v := viewOf("rows", rows)
				// The views are of n columns: those after them are guards.
				dst, want := matOf(make([]float32, depth*n), depth, n, panelWidth-n), matOf(make([]float32, depth*n), depth, n, panelWidth-n)
				transposeRef(viewOf("want", want).data, v.data, v.stride, n, depth)
				d.kernels.transpose(viewOf("dst", dst).data, v.data, v.stride, n, depth)
				near(t, fmt.Sprintf("%d rows of %d", n, depth), valuesOf(t, dst), doubles(valuesOf(t, want)), 0, 0)
			}
		}
	})
}

func TestDot(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for _, n := range append([]int{15, 16, 17, 63, 64, 65, 127, 128, 129}, sizes...) {
			a, b := viewOf("a", randomMat(r, 1, n)).row(0), viewOf("b", randomMat(r, 1, n)).row(0)
			near(t, fmt.Sprint(n), []float32{d.kernels.dot(a, b)}, []float64{dotRef(a, b)}, 1e-5, 1e-5)
		}
	})
}
