package cpu

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

// GLU sets out (N,F) to act(gate)·up of gateUp (N,2F).
func (d *Device) GLU(out, gateUp compute.Mat, act compute.Activation) {
	v, gate, up := gated("GLU", out, gateUp, act)
	d.eachRows(v.rows, v.cols, func(from, to int) {
		for i := from; i < to; i++ {
			if act == compute.SiLU {
				d.kernels.silu(v.row(i), gate.row(i), up.row(i))
			} else {
				d.kernels.gelu(v.row(i), gate.row(i), up.row(i))
			}
		}
	})
}

// GLUGrad sets dgateUp (N,2F).
func (d *Device) GLUGrad(dgateUp, dout, gateUp compute.Mat, act compute.Activation) {
	v, gate, up := gated("GLUGrad", dout, gateUp, act)
	_, dgate, dup := gated("GLUGrad", dout, dgateUp, act)
	d.eachRows(v.rows, v.cols, func(from, to int) {
		for i := from; i < to; i++ {
			if act == compute.SiLU {
				d.kernels.siluGrad(dgate.row(i), dup.row(i), v.row(i), gate.row(i), up.row(i))
			} else {
				d.kernels.geluGrad(dgate.row(i), dup.row(i), v.row(i), gate.row(i), up.row(i))
			}
		}
	})
}

// gated returns the views of out (N,F) and of the two halves of gateUp (N,2F).
func gated(what string, out, gateUp compute.Mat, act compute.Activation) (v, gate, up view) {
	v, both := viewOf(what, out), viewOf(what, gateUp)
	if both.rows != v.rows || both.cols != 2*v.cols || act > compute.GELUTanh {
		panic(fmt.Sprintf("cpu: %s: %s and %s with activation %d", what, out, gateUp, act))
	}
	return v, both.columns(0, v.cols), both.columns(v.cols, 2*v.cols)
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
