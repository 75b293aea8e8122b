package cpu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// sumShape is a sum of N rows and C columns: the depth of each term, negative
// for one that multiplies with w itself.
type sumShape struct {
	n, c  int
	terms []int
	add   bool
}

// sumLists are products that go together: parts of a linear layer with and
// without low-rank terms, gradients of several parts, sums of nothing, and
// sums deeper than what is packed at a time.
var sumLists = [][]sumShape{
	{{n: 7, c: 33, terms: []int{40}}},
	{{n: 30, c: 64, terms: []int{40, 16}}, {n: 30, c: 16, terms: []int{40, 3}, add: true}, {n: 30, c: 5, terms: []int{40}}},
	{{n: 65, c: 40, terms: []int{-33, -16, -64}}},
	{{n: 3, c: 9, terms: nil}, {n: 3, c: 9, terms: nil, add: true}, {n: 0, c: 4, terms: []int{3}}, {n: 5, c: 70, terms: []int{-1}, add: true}},
	{{n: 20, c: 70, terms: []int{-9000, 16}}, {n: 20, c: 33, terms: []int{1100}}},
}

// make makes the products and what they give in float64.
func (s sumShape) make(t *testing.T, r *rand.Rand) (compute.Product, []float64) {
	y := randomMat(r, s.n, s.c)
	p := compute.Product{Y: y, Add: s.add}
	want := make([]float64, s.n*s.c)
	if s.add {
		want = doubles(valuesOf(t, y))
	}
	for i, depth := range s.terms {
		grad := depth < 0
		out, in := s.c, depth
		if grad {
			out, in = -depth, s.c
		}
		w, values := randomWeight(t, r, compute.F32, out, in)
		x := randomMat(r, s.n, max(depth, -depth))
		alpha := float32(i) - 0.5
		p.Terms = append(p.Terms, compute.Term{X: x, W: w, Alpha: alpha, Grad: grad})
		left := valuesOf(t, x)
		for row := range s.n {
			for col := range s.c {
				for k := range x.Cols {
					at := col*in + k
					if grad {
						at = k*in + col
					}
					want[row*s.c+col] += float64(alpha) * float64(left[row*x.Cols+k]) * float64(values[at])
				}
			}
		}
	}
	return p, want
}

func TestMatMulSums(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for i, list := range sumLists {
			r := random()
			var products []compute.Product
			var wants [][]float64
			for _, s := range list {
				p, want := s.make(t, r)
				products, wants = append(products, p), append(wants, want)
			}
			d.MatMulSums(products)
			for j, p := range products {
				near(t, fmt.Sprintf("list %d, product %d", i, j), valuesOf(t, p.Y), wants[j], 1e-3, 1e-4)
			}
		}
	})
}

// The bytes depend neither on the threads nor on the rows beside a row.
func TestMatMulSumsBytes(t *testing.T) {
	for i, list := range sumLists {
		var want [][]float32
		for _, threads := range []int{1, 2, 5} {
			d, r := parallelDevice(threads), random()
			var products []compute.Product
			for _, s := range list {
				p, _ := s.make(t, r)
				products = append(products, p)
			}
			d.MatMulSums(products)
			for j, p := range products {
				got := valuesOf(t, p.Y)
				if len(want) <= j {
					want = append(want, got)
				}
				if !slices.Equal(got, want[j]) {
					t.Errorf("list %d, product %d: %d threads give other bytes than one", i, j, threads)
				}
			}
		}
		r := random()
		for j, s := range list {
			p, _ := s.make(t, r)
			if s.n == 0 {
				continue
			}
			last := s.n - 1
			alone := compute.Product{Y: p.Y.RowRange(last, s.n), Add: s.add}
			for _, term := range p.Terms {
				term.X = term.X.RowRange(last, s.n)
				alone.Terms = append(alone.Terms, term)
			}
			New(1).MatMulSums([]compute.Product{alone})
			if got := valuesOf(t, p.Y)[last*s.c:]; !slices.Equal(got, want[j][last*s.c:]) {
				t.Errorf("list %d, product %d: the last row alone has other bytes", i, j)
			}
		}
	}
}

func TestMatMulSumsThatDoNotFitPanic(t *testing.T) {
	d, r := New(1), random()
	w, _ := randomWeight(t, r, compute.F32, 3, 4)
	mustPanic(t, "columns", func() {
		d.MatMulSums([]compute.Product{{Y: randomMat(r, 2, 4), Terms: []compute.Term{{X: randomMat(r, 2, 4), W: w, Alpha: 1}}}})
	})
	mustPanic(t, "rows of a gradient", func() {
		d.MatMulSums([]compute.Product{{Y: randomMat(r, 2, 4), Terms: []compute.Term{{X: randomMat(r, 3, 3), W: w, Alpha: 1, Grad: true}}}})
	})
}
