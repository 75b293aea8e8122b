package cpu

// normSlope is the numbers of a row that its normGrad needs.
type normSlope struct{ mean, r, back, level float32 }

// The portable kernels of RMSNorm and LayerNorm; kernels says what each means.

func deviationsGo(x []float32, mean float32) (sum, squares float32) {
	var s, q float64
	for _, v := range x {
		d := float64(v - mean)
		s += d
		q += d * d
	}
	return float32(s), float32(q)
}

func standardizeGo(y, x, gain, bias []float32, mean, r float32) {
	for j := range y {
		y[j] = (x[j]-mean)*r*gain[j] + bias[j]
	}
}

func normSumsGo(dy, x, gain []float32, mean float32) (sum, product float32) {
	var s, p float64
	for j, d := range dy {
		g := float64(d) * float64(gain[j])
		s += g
		p += g * float64(x[j]-mean)
	}
	return float32(s), float32(p)
}

func normGradGo(dx, dy, x, gain []float32, s normSlope, add bool) {
	for j := range dx {
		d := s.r*gain[j]*dy[j] - (x[j]-s.mean)*s.back - s.level
		if add {
			d += dx[j]
		}
		dx[j] = d
	}
}

func normGainGo(sum, dy, x []float32, mean, r float32) {
	for j := range sum {
		sum[j] += dy[j] * ((x[j] - mean) * r)
	}
}
