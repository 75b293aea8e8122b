package cpu

import (
	"fmt"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

func TestAdamW(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for _, n := range sizes {
			p, m, v := randomMat(r, 3, n), matOf(make([]float32, 3*n), 3, n, 1), matOf(make([]float32, 3*n), 3, n, 2)
			wantP, wantM, wantV := doubles(valuesOf(t, p)), make([]float64, 3*n), make([]float64, 3*n)
			for step := 1; step <= 20; step++ {
				o := compute.AdamW{Rate: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.1, Step: step, GradScale: 0.5}
				grad := randomMat(r, 3, n)
				for i, g := range valuesOf(t, grad) {
					wantP[i], wantM[i], wantV[i] = adamWRef(wantP[i], float64(g), wantM[i], wantV[i], o)
				}
				d.AdamW(p, grad, m, v, o)
			}
			near(t, fmt.Sprintf("param of %d", n), valuesOf(t, p), wantP, 1e-6, 1e-5)
			near(t, fmt.Sprintf("m of %d", n), valuesOf(t, m), wantM, 1e-6, 1e-5)
			near(t, fmt.Sprintf("v of %d", n), valuesOf(t, v), wantV, 1e-9, 1e-5)
		}
	})
}

// One step of ones, by hand: the corrected moments are 1, so the parameter
// goes from 2·(1 − 0.1·0.5) = 1.9 to 1.8.
func TestAdamWByHand(t *testing.T) {
	d := New(1)
	p, m, v := matOf([]float32{2}, 1, 1, 0), matOf([]float32{0}, 1, 1, 0), matOf([]float32{0}, 1, 1, 0)
	o := compute.AdamW{Rate: 0.1, Beta1: 0.9, Beta2: 0.99, Decay: 0.5, Step: 1, GradScale: 1}
	d.AdamW(p, matOf([]float32{1}, 1, 1, 0), m, v, o)
	near(t, "param, m, v", append(append(valuesOf(t, p), valuesOf(t, m)...), valuesOf(t, v)...), []float64{1.8, 0.1, 0.01}, 1e-6, 0)
	o.Step = 0
	mustPanic(t, "step 0", func() { d.AdamW(p, p, m, v, o) })
}
