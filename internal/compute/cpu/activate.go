package cpu

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// Activate sets y (N,C) to act(x), value by value.
func (d *Device) Activate(y, x compute.Mat, act compute.Activation) {
	vy, vx := viewOf("Activate y", y), viewOf("Activate x", x)
	sameShape("Activate", vy, vx)
	apply := d.activation(act, vx.cols).value
	d.eachRowOf(vx, func(w *worker, i int) { apply(w, vy.row(i), vx.row(i)) })
}

// ActivateGrad sets dx (N,C) to dy·act'(x).
func (d *Device) ActivateGrad(dx, dy, x compute.Mat, act compute.Activation) {
	vdx, vdy, vx := viewOf("ActivateGrad dx", dx), viewOf("ActivateGrad dy", dy), viewOf("ActivateGrad x", x)
	sameShape("ActivateGrad", vdx, vdy, vx)
	apply := d.activation(act, vx.cols).slope
	d.eachRowOf(vx, func(w *worker, i int) { apply(w, vdx.row(i), vdy.row(i), vx.row(i)) })
}

// eachRowOf calls body for every row of x, cut into pieces worth a thread.
func (d *Device) eachRowOf(x view, body func(w *worker, row int)) {
	span := max(1, chunkValues/max(1, x.cols))
	d.parallelIf(x.rows*x.cols >= 4*chunkValues, (x.rows+span-1)/span, func(w *worker, item int) {
		for i := item * span; i < min(x.rows, (item+1)*span); i++ {
			body(w, i)
		}
	})
}

// activation is an Activation on a row.
type activation struct {
	value func(w *worker, y, x []float32)
	slope func(w *worker, dx, dy, x []float32)
}

// activation returns the fastest functions for rows of cols values. What a
// gated MLP has a kernel for is that kernel with an up of ones.
func (d *Device) activation(act compute.Activation, cols int) activation {
	gated := func(value func(out, gate, up []float32), slope func(dgate, dup, dout, gate, up []float32)) activation {
		ones := make([]float32, cols)
		for j := range ones {
			ones[j] = 1
		}
		return activation{
			func(_ *worker, y, x []float32) { value(y, x, ones) },
			func(w *worker, dx, dy, x []float32) { slope(dx, w.floats(unread, len(x)), dy, x, ones) },
		}
	}
	switch act {
	case compute.SiLU:
		return gated(d.kernels.silu, d.kernels.siluGrad)
	case compute.GELUTanh:
		return gated(d.kernels.gelu, d.kernels.geluGrad)
	case compute.GELU:
		return activation{d.kernels.geluErf, d.kernels.geluErfGrad}
	case compute.ReLU:
		return activation{relu, reluGrad}
	case compute.Tanh:
		return activation{tanh, tanhGrad}
	}
	panic(fmt.Sprintf("cpu: activation %d", act))
}

// geluErf is x·Φ(x) with Φ(x) = (1 + erf(x/√2))/2.
func (k *kernels) geluErf(w *worker, y, x []float32) {
	bells := k.bells(w, x)
	for j, v := range x {
		y[j] = v * normalBelow(v, bells[j])
	}
}

// geluErfGrad multiplies by Φ(x) + x·φ(x), φ(x) = exp(−x²/2)/√(2π).
func (k *kernels) geluErfGrad(w *worker, dx, dy, x []float32) {
	bells := k.bells(w, x)
	for j, v := range x {
		dx[j] = dy[j] * (normalBelow(v, bells[j]) + v*bells[j]*bellScale)
	}
}

const bellScale = 1 / (math.Sqrt2 * math.SqrtPi)

// bells returns exp(−x²/2).
func (k *kernels) bells(w *worker, x []float32) []float32 {
	b := w.floats(unread, len(x))
	for j, v := range x {
		b[j] = -0.5 * v * v
	}
	k.exp(b, b, 0)
	return b
}

// normalBelow returns Φ(x) of the standard normal distribution, bell being
// exp(−x²/2). With z = |x|/√2, the tail Φ(−|x|) is bell·p(t)/2 for t =
// 1/(1+0.3275911·z), to 1e-7 (Abramowitz and Stegun 1964, 7.1.26).
func normalBelow(x, bell float32) float32 {
	const step = 0.3275911 * math.Sqrt2 / 2
	z := math.Float32frombits(math.Float32bits(x) &^ (1 << 31))
	t := 1 / (1 + step*z)
	p := t * (0.254829592 + t*(-0.284496736+t*(1.421413741+t*(-1.453152027+t*1.061405429))))
	tail := p * bell / 2
	if x > 0 {
		return 1 - tail
	}
	return tail
}

func relu(_ *worker, y, x []float32) {
	for j, v := range x {
		if v < 0 { // a NaN stays one
			v = 0
		}
		y[j] = v
	}
}

func reluGrad(_ *worker, dx, dy, x []float32) {
	for j, v := range x {
		if v > 0 {
			dx[j] = dy[j]
		} else {
			dx[j] = 0
		}
	}
}

func tanh(_ *worker, y, x []float32) {
	for j, v := range x {
		y[j] = float32(math.Tanh(float64(v)))
	}
}

// tanhGrad multiplies by 1 − tanh(x)².
func tanhGrad(_ *worker, dx, dy, x []float32) {
	for j, v := range x {
		t := math.Tanh(float64(v))
		dx[j] = float32(float64(dy[j]) * (1 - t*t))
	}
}
