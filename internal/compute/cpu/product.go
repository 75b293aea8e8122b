package cpu

// product is one call of the matrix kernel: C (m,n) = alpha·A·B, or C plus
// that when add. n is at most panelWidth, k at least 1. Each value of C is summed over k in
// ascending order into one float32, whatever m and n are, so it does not
// depend on how a matrix was cut into products.
type product struct {
	c       []float32 // (i,j) at i·ldc+j
	ldc     int
	a       []float32 // (i,k) at i·rowStep+k·step
	rowStep int
	step    int
	b       []float32 // (k,j) at k·ldb+j
	ldb     int
	m, n, k int
	alpha   float32
	add     bool
}

// panelGo is the portable matrix kernel: tiles of 2 × 4 sums in registers.
func panelGo(p product) {
	i := 0
	for ; i+2 <= p.m; i += 2 {
		j := 0
		for ; j+4 <= p.n; j += 4 {
			p.tile2x4(i, j)
		}
		for ; j < p.n; j++ {
			p.tile1x1(i, j)
			p.tile1x1(i+1, j)
		}
	}
	if i < p.m {
		for j := range p.n {
			p.tile1x1(i, j)
		}
	}
}

func (p *product) tile2x4(i, j int) {
	var s00, s01, s02, s03, s10, s11, s12, s13 float32
	a0, a1 := p.a[i*p.rowStep:], p.a[(i+1)*p.rowStep:]
	b := p.b[j:]
	for k, at := 0, 0; k < p.k; k, at = k+1, at+p.step {
		row := b[k*p.ldb : k*p.ldb+4 : k*p.ldb+4]
		x, y := a0[at], a1[at]
		s00 += x * row[0]
		s01 += x * row[1]
		s02 += x * row[2]
		s03 += x * row[3]
		s10 += y * row[0]
		s11 += y * row[1]
		s12 += y * row[2]
		s13 += y * row[3]
	}
	p.store(i, j, s00)
	p.store(i, j+1, s01)
	p.store(i, j+2, s02)
	p.store(i, j+3, s03)
	p.store(i+1, j, s10)
	p.store(i+1, j+1, s11)
	p.store(i+1, j+2, s12)
	p.store(i+1, j+3, s13)
}

func (p *product) tile1x1(i, j int) {
	var s float32
	for k := range p.k {
		s += p.a[i*p.rowStep+k*p.step] * p.b[k*p.ldb+j]
	}
	p.store(i, j, s)
}

func (p *product) store(i, j int, s float32) {
	at := i*p.ldc + j
	if p.add {
		p.c[at] += p.alpha * s
	} else {
		p.c[at] = p.alpha * s
	}
}

// dotGo sums in four strands, which the processor adds at the same time.
func dotGo(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	for i := range a {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + (s2 + s3)
}
