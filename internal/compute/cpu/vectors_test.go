package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// vectorKernels are the elementwise kernels, each with its meaning for one
// element of its arrays in float64.
var vectorKernels = []struct {
	name   string
	arrays int
	run    func(k kernels, x [][]float32)
	ref    func(x []float64)
}{
	{"add", 3, func(k kernels, x [][]float32) { k.add(x[0], x[1], x[2]) },
		func(x []float64) { x[0] = x[1] + x[2] }},
	{"scale", 1, func(k kernels, x [][]float32) { k.scale(x[0], 0.7) },
		func(x []float64) { x[0] *= float64(float32(0.7)) }},
	{"normalize", 3, func(k kernels, x [][]float32) { k.normalize(x[0], x[1], x[2], 1.5) },
		func(x []float64) { x[0] = x[1] * 1.5 * x[2] }},
	{"standardize", 4, func(k kernels, x [][]float32) { k.standardize(x[0], x[1], x[2], x[3], 0.5, 1.5) },
		func(x []float64) { x[0] = (x[1]-0.5)*1.5*x[2] + x[3] }},
	{"normGrad", 4, func(k kernels, x [][]float32) {
		k.normGrad(x[0], x[1], x[2], x[3], normSlope{0.5, 1.5, 0.25, 2}, false)
	},
		func(x []float64) { x[0] = 1.5*x[3]*x[1] - (x[2]-0.5)*0.25 - 2 }},
	{"normGrad, adding", 4, func(k kernels, x [][]float32) { k.normGrad(x[0], x[1], x[2], x[3], normSlope{0.5, 1.5, 0.25, 2}, true) },
		func(x []float64) { x[0] += 1.5*x[3]*x[1] - (x[2]-0.5)*0.25 - 2 }},
	{"normGain", 3, func(k kernels, x [][]float32) { k.normGain(x[0], x[1], x[2], 0.5, -2) },
		func(x []float64) { x[0] += x[1] * (x[2] - 0.5) * -2 }},
	{"addScaled", 2, func(k kernels, x [][]float32) { k.addScaled(x[0], x[1], -2) },
		func(x []float64) { x[0] += x[1] * -2 }},
	{"subtract", 1, func(k kernels, x [][]float32) { k.subtract(x[0], 3, -0.5) },
		func(x []float64) { x[0] -= 2.5 }},
	{"rotate", 4, func(k kernels, x [][]float32) { k.rotate(x[0], x[1], x[2], x[3], -1) },
		func(x []float64) { x[0], x[1] = x[0]*x[2]+x[1]*x[3], x[1]*x[2]-x[0]*x[3] }},
}

func TestVectorKernels(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, c := range vectorKernels {
			r := random()
			for _, n := range append([]int{3, 15, 16, 17, 24, 63, 65, 17000}, sizes...) {
				var mats []compute.Mat
				var slices [][]float32
				want := make([][]float64, c.arrays)
				for i := range c.arrays {
					mats = append(mats, randomMat(r, 1, n))
					slices = append(slices, viewOf(c.name, mats[i]).row(0))
					want[i] = doubles(slices[i])
				}
				for j := range n {
					element := make([]float64, c.arrays)
					for i := range element {
						element[i] = want[i][j]
					}
					c.ref(element)
					for i := range element {
						want[i][j] = element[i]
					}
				}
				c.run(d.kernels, slices)
				for i := range mats {
					near(t, fmt.Sprintf("%s of %d, array %d", c.name, n, i), valuesOf(t, mats[i]), want[i], 1e-6, 1e-6)
				}
			}
		}
	})
}

// Long rows go to assembly in pieces.
func TestReductionsOfLongRows(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		x := normals(random(), 50001)
		x[50000] = 20
		near(t, "maximum", []float32{d.kernels.maximum(x)}, []float64{20}, 0, 0)
		near(t, "dot", []float32{d.kernels.dot(x, x)}, []float64{dotRef(x, x)}, 0, 1e-5)
		want := make([]float32, len(x))
		sum := expRef(want, x, 20)
		near(t, "sum of exp", []float32{d.kernels.exp(x, x, 20)}, []float64{float64(sum)}, 0, 1e-6)
		near(t, "exp", x, doubles(want), 0, 3e-7)
	})
}

// Which elements are dropped does not depend on the kernels.
func TestDropoutKernels(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for _, n := range append([]int{15, 16, 17, 63, 64, 65, 576, 40001}, sizes...) {
			for _, drop := range []int32{0, 1, 30000, 65535} {
				x, y, state := randomMat(r, 1, n), randomMat(r, 1, n), r.Uint64()
				want := make([]float32, n)
				row := viewOf("x", x).row(0)
				for j, v := range row {
					bits := mix(state+uint64(j/4)*splitMixStep) >> (16 * (j % 4)) & 0xffff
					if int32(bits) >= drop {
						want[j] = v * 1.25
					}
				}
				d.kernels.dropout(viewOf("y", y).row(0), row, state, drop, 1.25)
				near(t, fmt.Sprintf("%d, drop %d", n, drop), valuesOf(t, y), doubles(want), 0, 0)
			}
		}
	})
}

func TestSumKernels(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for _, n := range append([]int{15, 16, 17, 40001}, sizes...) {
			x := normals(r, n)
			want := 0.0
			for _, v := range x {
				want += float64(v) * float64(v)
			}
			if got := d.kernels.sumSquares(x); !(math.Abs(got-want) <= 1e-13*want) {
				t.Errorf("sum of %d squares is %v, want %v", n, got, want)
			}
		}
		for _, shape := range [][2]int{{0, 32}, {1, 32}, {3, 31}, {1000, 32}, {7, 1}} {
			x, sums := viewOf("x", randomMat(r, shape[0], shape[1])), [panelWidth]float64{1, 2, 3}
			want := sums
			for i := range x.rows {
				for j, v := range x.row(i) {
					want[j] += float64(v)
				}
			}
			if d.kernels.sumColumns(&sums, x); sums != want {
				t.Errorf("sums of %v: %v, want %v", shape, sums, want)
			}
		}
	})
}
