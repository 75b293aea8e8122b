package cpu

import (
	"fmt"
	"math"
	"testing"
)

// Tile edges of all kernels: rows of 2, 6, 14 and 28, columns of 4, 16 and 32.
func TestPanel(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, m := range []int{0, 1, 2, 6, 7, 13, 14, 15, 28, 29, 33, 47} {
			for _, n := range []int{0, 1, 4, 7, 8, 9, 15, 16, 17, 24, 31, 32} {
				for _, k := range []int{1, 7, 33} {
					testPanel(t, d, m, n, k)
				}
			}
		}
	})
}

func TestPanelOfLongSums(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, k := range []int{4096, 4097} {
			testPanel(t, d, 3, 17, k)
		}
	})
}

// testPanel multiplies with rows side by side and with columns side by side,
// with and without adding, all strided and between guards.
func testPanel(t *testing.T, d *Device, m, n, k int) {
	t.Helper()
	r := random()
	for _, transposed := range []bool{false, true} {
		for _, add := range []bool{false, true} {
			a, b, c := randomMat(r, m, k), randomMat(r, k, n), randomMat(r, m, n)
			if transposed {
				a = randomMat(r, k, m)
			}
			va, vb, vc := viewOf("a", a), viewOf("b", b), viewOf("c", c)
			p := product{
				c: vc.data, ldc: vc.stride, a: va.data, rowStep: va.stride, step: 1, b: vb.data, ldb: vb.stride,
				m: m, n: n, k: k, alpha: 0.75, add: add,
			}
			if transposed {
				p.rowStep, p.step = 1, va.stride
			}
			reference := p
			reference.c = append([]float32(nil), vc.data...)
			productRef(reference)
			d.kernels.panel(p)
			var want []float32
			for i := 0; i < m && n > 0; i++ {
				want = append(want, reference.c[i*vc.stride:][:n]...)
			}
			what := fmt.Sprintf("(%d, %d) over %d, transposed %v, add %v", m, n, k, transposed, add)
			near(t, what, valuesOf(t, c), doubles(want), 1e-5*math.Sqrt(float64(k)), 1e-5)
		}
	}
}

// A value does not depend on the tile that it is computed in, so that batches
// of any size give one row the same bytes.
func TestPanelCutAnywhereGivesTheSameBytes(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		const m, n, k = 61, 32, 77
		a, b := normals(r, m*k), normals(r, k*n)
		whole := make([]float32, m*n)
		p := product{c: whole, ldc: n, a: a, rowStep: k, step: 1, b: b, ldb: n, m: m, n: n, k: k, alpha: 1.1}
		d.kernels.panel(p)
		for range 50 {
			i, j := r.IntN(m), r.IntN(n)
			rows, columns := 1+r.IntN(m-i), 1+r.IntN(n-j)
			part := make([]float32, m*n)
			q := p
			q.c, q.a, q.b, q.m, q.n = part[i*n+j:], a[i*k:], b[j:], rows, columns
			d.kernels.panel(q)
			for y := i; y < i+rows; y++ {
				for x := j; x < j+columns; x++ {
					if part[y*n+x] != whole[y*n+x] {
						t.Fatalf("(%d, %d) in %d × %d from (%d, %d): %v, alone %v", y, x, rows, columns, i, j, whole[y*n+x], part[y*n+x])
					}
				}
			}
		}
	})
}

// The kernels in assembly do not check where they read and write: what calls them does.
func TestPanelOutsideItsSlicesPanics(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for name, change := range map[string]func(p *product){
			"c": func(p *product) { p.c = p.c[1:] },
			"a": func(p *product) { p.a = p.a[1:] },
			"b": func(p *product) { p.b = p.b[1:] },
		} {
			p := product{c: make([]float32, 35), ldc: 7, a: make([]float32, 15), rowStep: 3, step: 1, b: make([]float32, 21), ldb: 7, m: 5, n: 7, k: 3, alpha: 1}
			d.kernels.panel(p)
			change(&p)
			mustPanic(t, name, func() { d.kernels.panel(p) })
		}
	})
}
