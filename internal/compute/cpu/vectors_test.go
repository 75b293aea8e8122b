package cpu

import (
	"fmt"
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
	{"normalizeGrad", 4, func(k kernels, x [][]float32) { k.normalizeGrad(x[0], x[1], x[2], x[3], 1.5, 0.25) },
		func(x []float64) { x[0] += 1.5*x[3]*x[1] - x[2]*0.25 }},
	{"addProduct", 3, func(k kernels, x [][]float32) { k.addProduct(x[0], x[1], x[2], -2) },
		func(x []float64) { x[0] += x[1] * x[2] * -2 }},
	{"softmaxGrad", 2, func(k kernels, x [][]float32) { k.softmaxGrad(x[0], x[1], 0.5, 3) },
		func(x []float64) { x[0] = 3 * x[1] * (x[0] - 0.5) }},
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
