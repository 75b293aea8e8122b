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

func normalizeGradGo(dx, dy, x, gain []float32, r, back float32) {
	for j := range dx {
		dx[j] += r*gain[j]*dy[j] - x[j]*back
	}
}

func addProductGo(sum, a, b []float32, s float32) {
	for j := range sum {
		sum[j] += a[j] * (b[j] * s)
	}
}

func softmaxGradGo(ds, p []float32, delta, s float32) {
	for j := range ds {
		ds[j] = s * p[j] * (ds[j] - delta)
	}
}

func rotateGo(a, b, cos, sin []float32, sign float32) {
	for j := range a {
		c, s := cos[j], sign*sin[j]
		a[j], b[j] = a[j]*c-b[j]*s, b[j]*c+a[j]*s
	}
}
