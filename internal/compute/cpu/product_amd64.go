//go:build !purego

package cpu

// tile is a matrix kernel in assembly, of a fixed number of rows: C (rows,n)
// gets alpha·A·B, or that is added. Distances are in float32 values, k is over 0.
type tile func(c *float32, ldc int, a *float32, rowStep, step int, b *float32, ldb, n, k int, alpha float32, add bool)

// tiles are the kernels for up to columns columns, by rows less one.
type tiles struct {
	columns int
	byRows  []tile
	highest tile // of high rows, more than byRows has; nil if there is none
	high    int
}

// maxCallDepth bounds k of one call in assembly, which the scheduler cannot
// interrupt: 28 × 16 × 4096 operations take 20 µs.
const maxCallDepth = 4096

// multiply does a product of at most t.columns columns.
func (t tiles) multiply(p product) {
	if p.m == 0 || p.n == 0 {
		return
	}
	// The kernels do not check: this panics where they would leave the slices.
	if p.k < 1 {
		panic("cpu: a product over nothing")
	}
	_ = p.c[(p.m-1)*p.ldc+p.n-1]
	_ = p.a[(p.m-1)*p.rowStep+(p.k-1)*p.step]
	_ = p.b[(p.k-1)*p.ldb+p.n-1]
	for p.k > maxCallDepth {
		part := p
		part.k = maxCallDepth
		t.rows(&part)
		p.a, p.b = p.a[maxCallDepth*p.step:], p.b[maxCallDepth*p.ldb:]
		p.k -= maxCallDepth
		p.add = true
	}
	t.rows(&p)
}

// rows cuts the rows into tiles of about one height. Sums do not depend on the height.
func (t tiles) rows(p *product) {
	i := 0
	if t.highest != nil {
		for ; p.m-i >= t.high; i += t.high {
			t.highest.at(p, i)
		}
	}
	rest := p.m - i
	if rest == 0 {
		return
	}
	count := (rest + len(t.byRows) - 1) / len(t.byRows)
	low, taller := t.byRows[rest/count-1:], rest%count
	height := rest / count
	for range taller {
		low[1].at(p, i)
		i += height + 1
	}
	for ; i < p.m; i += height {
		low[0].at(p, i)
	}
}

// at does the tile that begins at row i. It is not inlined because the
// scheduler stops goroutines where Go functions begin, and nowhere in assembly.
//
//go:noinline
func (kernel tile) at(p *product, i int) {
	kernel(&p.c[i*p.ldc], p.ldc, &p.a[i*p.rowStep], p.rowStep, p.step, &p.b[0], p.ldb, p.n, p.k, p.alpha, p.add)
}

// right returns the product without its first n columns.
func (p product) right(n int) product {
	p.n -= n
	if p.m > 0 && p.n > 0 {
		p.c, p.b = p.c[n:], p.b[n:]
	}
	return p
}
