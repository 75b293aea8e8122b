package cpu

import (
	"math"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

var activations = map[string]compute.Activation{"silu": compute.SiLU, "gelu": compute.GELUTanh,
	"exact gelu": compute.GELU, "relu": compute.ReLU}

func TestGLU(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for name, act := range activations {
			for _, spread := range []float32{1, 100} {
				for _, cols := range sizes {
					r := random()
					const rows = 3
					gateUp, out, dout, dgateUp := randomMat(r, rows, 2*cols), randomMat(r, rows, cols), randomMat(r, rows, cols), randomMat(r, rows, 2*cols)
					d.Scale(gateUp, spread)
					x, vd := doubles(valuesOf(t, gateUp)), doubles(valuesOf(t, dout))
					want, wantGrad := make([]float64, rows*cols), make([]float64, rows*2*cols)
					for i := range rows {
						for j := range cols {
							gate, up := &x[i*2*cols+j], x[i*2*cols+cols+j]
							y, dy := activationRef(act, *gate), vd[i*cols+j]
							want[i*cols+j] = y * up
							wantGrad[i*2*cols+j] = dy * up * slope(gate, func() float64 { return activationRef(act, *gate) })
							wantGrad[i*2*cols+cols+j] = dy * y
						}
					}
					d.GLU(out, gateUp, act)
					near(t, name, valuesOf(t, out), want, 2e-6*float64(spread), 2e-6)
					d.GLUGrad(dgateUp, dout, gateUp, act)
					near(t, name+" gradient", valuesOf(t, dgateUp), wantGrad, 4e-6*float64(spread), 4e-6)
				}
			}
		}
	})
}

func TestGLUFarOut(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for name, act := range activations {
			gateUp := matOf([]float32{-1e30, 1e30, -200, 200, 0, 2, 2, 2, 2, 2}, 1, 10, 0)
			atZero := 1.0 // half of an up of 2
			if act == compute.ReLU {
				atZero = 0
			}
			out, dgateUp := matOf(make([]float32, 5), 1, 5, 0), matOf(make([]float32, 10), 1, 10, 0)
			d.GLU(out, gateUp, act)
			near(t, name, valuesOf(t, out), []float64{0, 2e30, 0, 400, 0}, 1e-6, 1e-6)
			d.GLUGrad(dgateUp, matOf([]float32{1, 1, 1, 1, 1}, 1, 5, 0), gateUp, act)
			near(t, name+" gradient", valuesOf(t, dgateUp), []float64{0, 2, 0, 2, atZero, 0, 1e30, 0, 200, 0}, 1e-6, 1e-6)
		}
	})
}

func TestGLUPassesNaNOn(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for name, act := range activations {
			out := matOf(make([]float32, 1), 1, 1, 0)
			d.GLU(out, matOf([]float32{float32(math.NaN()), 1}, 1, 2, 0), act)
			near(t, name, valuesOf(t, out), []float64{math.NaN()}, 0, 0)
		}
		mustPanic(t, "activation", func() { d.GLU(compute.Mat{}, compute.Mat{}, 9) })
	})
}
