package cpu

import (
	"math"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

var unaryActivations = map[string]compute.Activation{
	"silu": compute.SiLU, "gelu_new": compute.GELUTanh, "gelu": compute.GELU, "relu": compute.ReLU, "tanh": compute.Tanh,
}

func TestActivate(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for name, act := range unaryActivations {
			for _, spread := range []float32{1, 10} {
				for _, cols := range sizes {
					r := random()
					const rows = 17
					x, y, dy, dx := randomMat(r, rows, cols), randomMat(r, rows, cols), randomMat(r, rows, cols), randomMat(r, rows, cols)
					d.Scale(x, spread)
					vx, vdy := doubles(valuesOf(t, x)), doubles(valuesOf(t, dy))
					want, wantGrad := make([]float64, len(vx)), make([]float64, len(vx))
					for i := range vx {
						want[i] = activationRef(act, vx[i])
						wantGrad[i] = vdy[i] * slope(&vx[i], func() float64 { return activationRef(act, vx[i]) })
					}
					d.Activate(y, x, act)
					near(t, name, valuesOf(t, y), want, 1e-6*float64(spread), 2e-6)
					d.ActivateGrad(dx, dy, x, act)
					near(t, name+" gradient", valuesOf(t, dx), wantGrad, 3e-6*float64(spread), 4e-6)
				}
			}
		}
	})
}

// The exact GELU is within some 2e-7 of its meaning everywhere, and its slope too.
func TestGELUIsExact(t *testing.T) {
	d := New(1)
	for x := float32(-12); x <= 12; x += 0.001 {
		y, dx := matOf([]float32{0}, 1, 1, 0), matOf([]float32{0}, 1, 1, 0)
		m := matOf([]float32{x}, 1, 1, 0)
		d.Activate(y, m, compute.GELU)
		d.ActivateGrad(dx, matOf([]float32{1}, 1, 1, 0), m, compute.GELU)
		v := float64(x)
		near(t, "gelu", valuesOf(t, y), []float64{activationRef(compute.GELU, v)}, 3e-7*max(1, math.Abs(v)), 1e-7)
		slope := math.Erfc(-v/math.Sqrt2)/2 + v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi)
		near(t, "its slope", valuesOf(t, dx), []float64{slope}, 5e-7, 0)
	}
}

func TestActivateFarOut(t *testing.T) {
	nan := math.NaN()
	x := []float32{-1e30, 1e30, -200, 200, float32(nan)}
	for name, c := range map[string]struct {
		act   compute.Activation
		want  []float64
		slope []float64
	}{
		"silu":     {compute.SiLU, []float64{0, 1e30, 0, 200, nan}, []float64{0, 1, 0, 1, nan}},
		"gelu_new": {compute.GELUTanh, []float64{0, 1e30, 0, 200, nan}, []float64{0, 1, 0, 1, nan}},
		"gelu":     {compute.GELU, []float64{0, 1e30, 0, 200, nan}, []float64{0, 1, 0, 1, nan}},
		"relu":     {compute.ReLU, []float64{0, 1e30, 0, 200, nan}, []float64{0, 1, 0, 1, 0}},
		"tanh":     {compute.Tanh, []float64{-1, 1, -1, 1, nan}, []float64{0, 0, 0, 0, nan}},
	} {
		eachKernels(t, func(t *testing.T, d *Device) {
			y, dx, dy := matOf(make([]float32, 5), 1, 5, 0), matOf(make([]float32, 5), 1, 5, 0), matOf([]float32{1, 1, 1, 1, 1}, 1, 5, 0)
			d.Activate(y, matOf(x, 1, 5, 0), c.act)
			near(t, name, valuesOf(t, y), c.want, 1e-30, 1e-6)
			d.ActivateGrad(dx, dy, matOf(x, 1, 5, 0), c.act)
			near(t, name+" gradient", valuesOf(t, dx)[:4], c.slope[:4], 1e-6, 1e-6)
		})
	}
	mustPanic(t, "activation", func() { New(1).Activate(compute.Mat{}, compute.Mat{}, 9) })
}

func TestActivateThreadsGiveTheSameBytes(t *testing.T) {
	for name, act := range unaryActivations {
		run := func(threads int) []float32 {
			d, r := parallelDevice(threads), random()
			x, y, dx := randomMat(r, 50, 1000), randomMat(r, 50, 1000), randomMat(r, 50, 1000)
			d.Activate(y, x, act)
			d.ActivateGrad(dx, y, x, act)
			return append(valuesOf(t, y), valuesOf(t, dx)...)
		}
		near(t, name, run(3), doubles(run(1)), 0, 0)
	}
}
