package cpu

import "math"

// Gated activations of few models have no kernels in assembly.

// geluExact is x·Φ(x)·up with Φ(x) = erfc(−x/√2)/2 (Hendrycks and Gimpel 2016).
func geluExact(out, gate, up []float32) {
	for j, x := range gate {
		out[j] = x * normalCDF(x) * up[j]
	}
}

// geluExactGrad has the slope Φ(x) + x·φ(x).
func geluExactGrad(dgate, dup, dout, gate, up []float32) {
	const density = 0.3989422804014327 // φ(0) = 1/√(2π)
	for j, x := range gate {
		cdf := normalCDF(x)
		dup[j] = dout[j] * x * cdf
		dgate[j] = dout[j] * up[j] * (cdf + x*density*exp32(-x*x/2))
	}
}

func normalCDF(x float32) float32 { return float32(math.Erfc(-float64(x)/math.Sqrt2) / 2) }

func reluGate(out, gate, up []float32) {
	for j, x := range gate {
		if x < 0 { // a NaN stays one
			x = 0
		}
		out[j] = x * up[j]
	}
}

func reluGateGrad(dgate, dup, dout, gate, up []float32) {
	for j, x := range gate {
		if !(x > 0) {
			dgate[j], dup[j] = 0, 0
			continue
		}
		dgate[j], dup[j] = dout[j]*up[j], dout[j]*x
	}
}
