package cpu

// The portable elementwise kernels; kernels says what each means.

func addGo(y, a, b []float32) {
	for j := range y {
		y[j] = a[j] + b[j]
	}
}

func scaleGo(x []float32, s float32) {
	for j := range x {
		x[j] *= s
	}
}

func normalizeGo(y, x, gain []float32, r float32) {
	for j := range y {
		y[j] = x[j] * r * gain[j]
	}
}

func addScaledGo(sum, a []float32, s float32) {
	for j := range sum {
		sum[j] += a[j] * s
	}
}

func rotateGo(a, b, cos, sin []float32, sign float32) {
	for j := range a {
		c, s := cos[j], sign*sin[j]
		a[j], b[j] = a[j]*c-b[j]*s, b[j]*c+a[j]*s
	}
}

func subtractGo(x []float32, s, t float32) {
	for j := range x {
		x[j] = x[j] - s - t
	}
}

// sumSquaresGo sums in four strands, which the processor adds at the same time.
func sumSquaresGo(x []float32) float64 {
	var s0, s1, s2, s3 float64
	for len(x) >= 4 {
		s0 += float64(x[0]) * float64(x[0])
		s1 += float64(x[1]) * float64(x[1])
		s2 += float64(x[2]) * float64(x[2])
		s3 += float64(x[3]) * float64(x[3])
		x = x[4:]
	}
	for _, v := range x {
		s0 += float64(v) * float64(v)
	}
	return s0 + s1 + (s2 + s3)
}

func sumColumnsGo(sums *[panelWidth]float64, x view) {
	for i := range x.rows {
		for j, v := range x.row(i) {
			sums[j] += float64(v)
		}
	}
}
