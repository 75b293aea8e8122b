package autodiff

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// Linear is one or more matrices side by side over the same input: with the
// parts' outputs one after another in the columns of y,
//
//	y = x·Wᵀ + bias + scale·(dropout(x)·Aᵀ)·Bᵀ
//
// where the last term is a part's low-rank update, if it has one (LoRA, Hu et
// al. 2021, as PEFT computes it). With a magnitude it is a DoRA update, see LoRA.
type Linear struct {
	Parts []*Part
}

// Part is one matrix of a Linear.
type Part struct {
	Weight *compute.Weight // (out,in)
	Bias   *tensor.Dense   // (out), or nil
	LoRA   *LoRA           // nil without a low-rank update

	// The parameters that share Weight's and Bias's arrays when they are
	// trained; nil when frozen.
	WeightParam, BiasParam *Param
}

// Out is the sum of the parts' outputs.
func (l *Linear) Out() int {
	n := 0
	for _, p := range l.Parts {
		n += p.Weight.Out
	}
	return n
}

// In is the width of the input.
func (l *Linear) In() int { return l.Parts[0].Weight.In }

// check compares the shapes of l's parts with an input of cols columns.
func (l *Linear) check(cols int) error {
	for i, p := range l.Parts {
		out, in := p.Weight.Out, p.Weight.In
		if in != cols {
			return fmt.Errorf("input has %d columns, weight of part %d (%d, %d)", cols, i, out, in)
		}
		if p.Bias != nil && !p.Bias.Shape().Eq(tensor.Shape{out}) {
			return fmt.Errorf("weight of part %d (%d, %d), bias %v", i, out, in, p.Bias.Shape())
		}
		u := p.LoRA
		if u == nil {
			continue
		}
		if err := u.check(i, out, in); err != nil {
			return err
		}
	}
	return nil
}

// trains tells whether any parameter of l is trained.
func (l *Linear) trains() bool {
	for _, p := range l.Parts {
		if p.LoRA != nil || p.WeightParam != nil || p.BiasParam != nil {
			return true
		}
	}
	return false
}

// rank is the sum of the ranks of the parts' updates.
func (l *Linear) rank() int {
	n := 0
	for _, p := range l.Parts {
		if p.LoRA != nil {
			n += p.LoRA.rank()
		}
	}
	return n
}

// each calls f for every part with its columns of y, and those of its update,
// if it has one, in an array (N,rank).
func (l *Linear) each(f func(i int, p *Part, out, low columns)) {
	out, low := 0, 0
	for i, p := range l.Parts {
		r := 0
		if p.LoRA != nil {
			r = p.LoRA.rank()
		}
		f(i, p, columns{out, out + p.Weight.Out}, columns{low, low + r})
		out, low = out+p.Weight.Out, low+r
	}
}

// dora tells whether any part's update has a magnitude.
func (l *Linear) dora() bool {
	for _, p := range l.Parts {
		if p.LoRA != nil && p.LoRA.Magnitude != nil {
			return true
		}
	}
	return false
}

// columns is a range of columns of an array.
type columns struct{ from, to int }

func (c columns) of(m compute.Mat) compute.Mat { return m.ColRange(c.from, c.to) }

// addBias adds the parts' biases to y, and those of their updates. temp gives
// scratch memory of a shape.
func (l *Linear) addBias(dev compute.Device, y compute.Mat, temp func(rows, cols int) compute.Mat) {
	l.each(func(_ int, p *Part, out, _ columns) {
		if p.Bias != nil {
			dev.AddRow(out.of(y), compute.Of(p.Bias))
		}
		if u := p.LoRA; u != nil && u.Bias != nil {
			scaled := temp(1, p.Weight.Out)
			dev.Copy(scaled, compute.Of(u.Bias.Value))
			dev.Scale(scaled, u.Scale)
			dev.AddRow(out.of(y), scaled)
		}
	})
}

// reduce sets low (N,rank) to x·Aᵀ of every part with an update.
func (l *Linear) reduce(dev compute.Device, s *Sums, low, x compute.Mat) {
	s.begin()
	l.each(func(_ int, p *Part, _, cols columns) {
		if p.LoRA != nil {
			s.product(cols.of(low), false)
			s.term(compute.Term{X: x, W: p.LoRA.A.weight(), Alpha: 1})
		}
	})
	dev.MatMulSums(s.products)
}

// multiply sets y to the parts' products with x and, of those with an update,
// with low (N,rank).
func (l *Linear) multiply(dev compute.Device, s *Sums, y, x, low compute.Mat) {
	s.begin()
	l.each(func(_ int, p *Part, out, cols columns) {
		s.product(out.of(y), false)
		s.term(compute.Term{X: x, W: p.Weight, Alpha: 1})
		if p.LoRA != nil {
			s.term(compute.Term{X: cols.of(low), W: p.LoRA.B.weight(), Alpha: p.LoRA.Scale})
		}
	})
	dev.MatMulSums(s.products)
}

// Sums lists products for a device. Its memory is used again.
type Sums struct {
	products []compute.Product
	terms    []compute.Term
}

func (s *Sums) begin() { s.products, s.terms = s.products[:0], s.terms[:0] }

func (s *Sums) product(y compute.Mat, add bool) {
	s.products = append(s.products, compute.Product{Y: y, Add: add})
}

// term adds a term to the latest product.
func (s *Sums) term(t compute.Term) {
	p := &s.products[len(s.products)-1]
	s.terms = append(s.terms, t)
	p.Terms = s.terms[len(s.terms)-1-len(p.Terms):]
}

// Forward sets y (N,Out) for x (N,In), without dropout. The rows from generated
// on are tokens that a model generates, one of each sequence: their products
// are MatVec's. temp gives scratch memory of a shape, free until the call ends.
func (l *Linear) Forward(dev compute.Device, s *Sums, y, x compute.Mat, generated int, temp func(rows, cols int) compute.Mat) {
	var low compute.Mat
	rank := l.rank()
	if rank > 0 {
		low = temp(x.Rows, rank)
	}
	if generated > 0 {
		y, x, low := y.RowRange(0, generated), x.RowRange(0, generated), low
		if rank > 0 {
			low = low.RowRange(0, generated)
			l.reduce(dev, s, low, x)
		}
		l.multiply(dev, s, y, x, low)
	}
	if generated < x.Rows {
		y, x, low := y.RowRange(generated, y.Rows), x.RowRange(generated, x.Rows), low
		if rank > 0 {
			low = low.RowRange(generated, low.Rows)
		}
		l.multiplyVectors(dev, y, x, low)
	}
	l.scaleRows(dev, y)
	l.addBias(dev, y, temp)
}

// scaleRows multiplies what parts with a DoRA update computed by its row scales.
func (l *Linear) scaleRows(dev compute.Device, y compute.Mat) {
	l.each(func(_ int, p *Part, out, _ columns) {
		u := p.LoRA
		if u == nil || u.Magnitude == nil {
			return
		}
		if u.dora == nil || u.dora.weight != p.Weight {
			u.Refresh(dev, p.Weight)
		}
		dev.MulRow(out.of(y), out.of(y), compute.Of(u.dora.gain))
	})
}

// multiplyVectors sets y to all products with x, by MatVec. low (N,rank) is scratch.
func (l *Linear) multiplyVectors(dev compute.Device, y, x, low compute.Mat) {
	l.each(func(_ int, p *Part, out, cols columns) {
		dev.MatVec(out.of(y), x, p.Weight, 1, false)
		if u := p.LoRA; u != nil {
			dev.MatVec(cols.of(low), x, u.A.weight(), 1, false)
			dev.MatVec(out.of(y), cols.of(low), u.B.weight(), u.Scale, true)
		}
	})
}
