package cpu

// productRef is the meaning of a product: C (m,n) = alpha·A·B, or C plus that
// when add. A is (m,k) with its values i·rowStep+k·step apart, B (k,n).
func productRef(p product) {
	for i := range p.m {
		for j := range p.n {
			sum := 0.0
			for k := range p.k {
				sum += float64(p.a[i*p.rowStep+k*p.step]) * float64(p.b[k*p.ldb+j])
			}
			sum *= float64(p.alpha)
			if p.add {
				sum += float64(p.c[i*p.ldc+j])
			}
			p.c[i*p.ldc+j] = float32(sum)
		}
	}
}

// dotRef is Σ a·b.
func dotRef(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
