package cpu

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

// MatMul sets y (N,Out) to alpha·x·wᵀ, or adds it when add. Every sum is taken
// in one order, so a row of y is the same bytes whatever rows are beside it:
// what a model generates does not depend on which prompts share its batch.
func (d *Device) MatMul(y, x compute.Mat, w *compute.Weight, alpha float32, add bool) {
	d.sums.begin()
	d.sums.sum(y, add)
	d.sums.term(compute.Term{X: x, W: w, Alpha: alpha})
	d.multiply()
}

// MatMulGrad sets dx (N,In) to alpha·dy·w, or adds it when add.
func (d *Device) MatMulGrad(dx, dy compute.Mat, w *compute.Weight, alpha float32, add bool) {
	d.sums.begin()
	d.sums.sum(dx, add)
	d.sums.term(compute.Term{X: dy, W: w, Alpha: alpha, Grad: true})
	d.multiply()
}

// MatMulSums sets each product's Y to the sum of its terms, or adds that. The
// panels of all products are one list of work, and the terms of a sum are
// multiplied one after another while their part of Y is near.
func (d *Device) MatMulSums(products []compute.Product) {
	d.sums.begin()
	for _, p := range products {
		d.sums.sum(p.Y, p.Add)
		for _, t := range p.Terms {
			d.sums.term(t)
		}
	}
	d.multiply()
}

// sums are the products of one call. The device has one, whose memory is used
// again, so that a call allocates nothing.
type sums struct {
	list  []sum
	terms []term
	item  func(w *worker, item int)
}

// sum is c (m,n) as the sum of terms, or with that added, and how it is cut:
// into spans of rows, and groups of panels.
type sum struct {
	c           view
	add         bool
	first, last int // its terms
	deepest     int // the longest of their sums

	group, span int // panels and rows of a piece
	spans       int
	items       int // pieces of this sum and of those before it
}

// term is alpha·a·B for a (m,depth) and B (depth,n): the transpose of w, or w itself.
type term struct {
	a     view
	w     *compute.Weight
	alpha float32
	grad  bool
}

func (s *sums) begin() { s.list, s.terms = s.list[:0], s.terms[:0] }

// end forgets the arrays, which may be freed.
func (s *sums) end() {
	clear(s.list)
	clear(s.terms)
}

func (s *sums) sum(y compute.Mat, add bool) {
	s.list = append(s.list, sum{c: viewOf("matrix product y", y), add: add, first: len(s.terms), last: len(s.terms)})
}

// term adds a term to the latest sum. It panics unless the shapes fit.
func (s *sums) term(t compute.Term) {
	a, c := viewOf("matrix product x", t.X), &s.list[len(s.list)-1]
	depth, out := t.W.In, t.W.Out
	if t.Grad {
		depth, out = out, depth
	}
	if a.rows != c.c.rows || a.cols != depth || c.c.cols != out {
		panic(fmt.Sprintf("cpu: matrix product: y (%d, %d), x %s, w (%d, %d), gradient: %v", c.c.rows, c.c.cols, t.X, t.W.Out, t.W.In, t.Grad))
	}
	s.terms = append(s.terms, term{a: a, w: t.W, alpha: t.Alpha, grad: t.Grad})
	c.last, c.deepest = len(s.terms), max(c.deepest, depth)
}

// panel returns where rows from ≤ k < to of B are, n columns from col on, and
// the distance of the rows: in place, or packed into dst.
func (t *term) panel(d *Device, w *worker, dst []float32, from, to, col, n int) (b []float32, ldb int) {
	switch {
	case !t.grad:
		d.packRows(w, dst, t.w, col, n, from, to)
	case t.inPlace():
		return t.w.Floats()[from*t.w.In+col:], t.w.In
	default:
		d.packColumns(w, dst, t.w, col, n, from, to)
	}
	return dst, panelWidth
}

// unpackedRows is up to how many rows float32 columns are better read where they are.
const unpackedRows = 64

func (t *term) inPlace() bool {
	return t.grad && t.w.Format == compute.F32 && t.a.rows <= unpackedRows
}
