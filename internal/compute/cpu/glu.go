package cpu

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

// GLU sets out (N,F) to act(gate)·up of gateUp (N,2F).
func (d *Device) GLU(out, gateUp compute.Mat, act compute.Activation) {
	v, gate, up := gated("GLU", out, gateUp, act)
	value, _ := d.gate(act)
	d.eachRows(v.rows, v.cols, func(from, to int) {
		for i := from; i < to; i++ {
			value(v.row(i), gate.row(i), up.row(i))
		}
	})
}

// GLUGrad sets dgateUp (N,2F).
func (d *Device) GLUGrad(dgateUp, dout, gateUp compute.Mat, act compute.Activation) {
	v, gate, up := gated("GLUGrad", dout, gateUp, act)
	_, dgate, dup := gated("GLUGrad", dout, dgateUp, act)
	_, slope := d.gate(act)
	d.eachRows(v.rows, v.cols, func(from, to int) {
		for i := from; i < to; i++ {
			slope(dgate.row(i), dup.row(i), v.row(i), gate.row(i), up.row(i))
		}
	})
}

// gated returns the views of out (N,F) and of the two halves of gateUp (N,2F).
func gated(what string, out, gateUp compute.Mat, act compute.Activation) (v, gate, up view) {
	v, both := viewOf(what, out), viewOf(what, gateUp)
	if both.rows != v.rows || both.cols != 2*v.cols || act > compute.ReLU {
		panic(fmt.Sprintf("cpu: %s: %s and %s with activation %d", what, out, gateUp, act))
	}
	return v, both.columns(0, v.cols), both.columns(v.cols, 2*v.cols)
}

// gate returns the functions of a gated activation, and of its gradient.
func (d *Device) gate(act compute.Activation) (value func(out, gate, up []float32), slope func(dgate, dup, dout, gate, up []float32)) {
	switch act {
	case compute.SiLU:
		return d.kernels.silu, d.kernels.siluGrad
	case compute.GELUTanh:
		return d.kernels.gelu, d.kernels.geluGrad
	case compute.GELU:
		return geluExact, geluExactGrad
	default:
		return reluGate, reluGateGrad
	}
}

func sigmoid(x float32) float32 { return 1 / (1 + exp32(-x)) }

// siluGo is the portable silu kernel.
func siluGo(out, gate, up []float32) {
	for j, x := range gate {
		out[j] = x * sigmoid(x) * up[j]
	}
}

// siluGradGo is the portable siluGrad kernel: silu'(x) = s·(1 + x·(1−s)), s = sigmoid(x).
func siluGradGo(dgate, dup, dout, gate, up []float32) {
	for j, x := range gate {
		s := sigmoid(x)
		dup[j] = dout[j] * x * s
		dgate[j] = dout[j] * up[j] * s * (1 + x*(1-s))
	}
}

// geluSlope and geluCube are of u(x) = geluSlope·(x + geluCube·x³) in
// gelu(x) = x·(1+tanh(u))/2, which is x·sigmoid(2u) (Hendrycks and Gimpel 2016).
const (
	geluSlope = 0.7978845608028654 // sqrt(2/pi)
	geluCube  = 0.044715
)

// geluGo is the portable gelu kernel.
func geluGo(out, gate, up []float32) {
	for j, x := range gate {
		out[j] = x * geluSigmoid(x) * up[j]
	}
}

// geluGradGo is the portable geluGrad kernel.
func geluGradGo(dgate, dup, dout, gate, up []float32) {
	for j, x := range gate {
		s := geluSigmoid(x)
		dup[j] = dout[j] * x * s
		slope := s
		if far := s * (1 - s); far > 0 { // else the cubic may be infinite: 0·∞
			slope += x * far * 2 * geluSlope * (1 + 3*geluCube*x*x)
		}
		dgate[j] = dout[j] * up[j] * slope
	}
}

func geluSigmoid(x float32) float32 { return sigmoid(2 * geluSlope * (x + geluCube*x*x*x)) }
