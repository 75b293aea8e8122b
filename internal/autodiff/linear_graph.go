package autodiff

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
)

// linearOp is a Linear in a graph.
type linearOp struct {
	*operation
	g    *Graph
	l    *Linear
	x, y *result
	low  *result // (N,rank) x·Aᵀ of the parts with an update, which the gradient reads
}

// Linear applies l to x.
func (g *Graph) Linear(x Value, l *Linear) Value {
	if g.err != nil {
		return Value{}
	}
	if err := l.check(x.cols()); err != nil {
		return g.fail("linear: %w", err)
	}
	trains := g.train && l.trains()
	op := &linearOp{g: g, l: l, x: x.result, y: x.result.like(l.Out())}
	op.operation = &operation{name: "linear", out: []*result{op.y}, readsInput: l.trains(), wrt: []bool{x.active, trains}, run: op.forward}
	if rank := l.rank(); rank > 0 {
		op.low = x.result.like(rank)
		op.low.kept = true
		op.out = append(op.out, op.low)
		if g.train {
			g.reserve("gradient of low rank", g.rows, rank)
			if l.dropout() {
				g.reserve("dropped", g.rows, x.cols())
			}
		}
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		var dx *result
		if x.active {
			dx = x.result.like(l.In())
		}
		dout := g.arrayOf(dy)
		n, err := g.gradient(op.operation, &operation{run: func() error {
			op.backward(dx, dout.mat())
			return nil
		}}, dx, dy)
		return gorgonia.Nodes{n, n}, err
	}
	return g.record(op.operation, x.active || trains, g.handle(trains), x)
}

// dropout tells whether the input of any part's update is dropped in training.
func (l *Linear) dropout() bool {
	for _, p := range l.Parts {
		if p.LoRA != nil && p.LoRA.Dropout > 0 {
			return true
		}
	}
	return false
}

func (op *linearOp) forward() error {
	dev, s, x, y := op.g.dev, &op.g.sums, op.x.mat(), op.y.mat()
	var low compute.Mat
	if op.low != nil {
		low = op.low.mat()
		op.reduce(low, x)
	}
	op.l.multiply(dev, s, y, x, low)
	op.l.addBias(dev, y)
	return nil
}

// reduce sets low to x·Aᵀ of the parts with an update, x being dropped for
// each of them by itself.
func (op *linearOp) reduce(low, x compute.Mat) {
	if !op.g.train || !op.l.dropout() {
		op.l.reduce(op.g.dev, &op.g.sums, low, x)
		return
	}
	op.l.each(func(i int, p *Part, _, cols columns) {
		if p.LoRA != nil {
			op.g.dev.MatMul(cols.of(low), op.dropped(x, i), p.LoRA.A.weight(), 1, false)
		}
	})
}

// dropped is x after the dropout of part i's update.
func (op *linearOp) dropped(x compute.Mat, i int) compute.Mat {
	p := op.l.Parts[i].LoRA.Dropout
	if p == 0 || !op.g.train {
		return x
	}
	d := op.g.temp("dropped", x.Rows, x.Cols)
	op.g.dev.Dropout(d, x, p, op.key(i))
	return d
}

func (op *linearOp) key(part int) uint64 { return op.g.key(op.id<<8 | uint64(part)) }

// backward adds to the parameters' gradients, and sets dx unless it is nil.
func (op *linearOp) backward(dx *result, dy compute.Mat) {
	dev := op.g.dev
	op.l.each(func(_ int, p *Part, out, _ columns) {
		if p.WeightParam != nil {
			dev.MatMulOuter(compute.Of(p.WeightParam.Grad), out.of(dy), op.x.mat(), 1, true)
		}
		if p.BiasParam != nil {
			dev.SumRows(compute.Of(p.BiasParam.Grad), out.of(dy))
		}
	})
	var dlow compute.Mat
	if op.low != nil {
		dlow = op.backwardUpdates(dy)
	}
	if dx == nil {
		return
	}
	s := &op.g.sums
	s.begin()
	s.product(dx.mat(), false)
	op.l.each(func(_ int, p *Part, out, cols columns) {
		s.term(compute.Term{X: out.of(dy), W: p.Weight, Alpha: 1, Grad: true})
		if p.LoRA != nil && p.LoRA.Dropout == 0 {
			s.term(compute.Term{X: cols.of(dlow), W: p.LoRA.A.weight(), Alpha: 1, Grad: true})
		}
	})
	dev.MatMulSums(s.products)
	op.addDropped(dx.mat(), dlow)
}

// backwardUpdates adds the gradients of the parts' A and B, and returns that
// of x·Aᵀ.
func (op *linearOp) backwardUpdates(dy compute.Mat) compute.Mat {
	g, dev, low, s := op.g, op.g.dev, op.low.mat(), &op.g.sums
	dlow := g.temp("gradient of low rank", low.Rows, low.Cols)
	s.begin()
	op.l.each(func(_ int, p *Part, out, cols columns) {
		if p.LoRA != nil {
			s.product(cols.of(dlow), false)
			s.term(compute.Term{X: out.of(dy), W: p.LoRA.B.weight(), Alpha: p.LoRA.Scale, Grad: true})
		}
	})
	dev.MatMulSums(s.products)
	op.l.each(func(i int, p *Part, out, cols columns) {
		if u := p.LoRA; u != nil {
			dev.MatMulOuter(compute.Of(u.B.Grad), out.of(dy), cols.of(low), u.Scale, true)
			dev.MatMulOuter(compute.Of(u.A.Grad), cols.of(dlow), op.dropped(op.x.mat(), i), 1, true)
		}
	})
	return dlow
}

// addDropped adds what comes to dx through updates whose input was dropped.
func (op *linearOp) addDropped(dx, dlow compute.Mat) {
	g, dev := op.g, op.g.dev
	op.l.each(func(i int, p *Part, _, cols columns) {
		if p.LoRA == nil || p.LoRA.Dropout == 0 {
			return
		}
		d := g.temp("dropped", dx.Rows, dx.Cols)
		dev.MatMulGrad(d, cols.of(dlow), p.LoRA.A.weight(), 1, false)
		dev.Dropout(d, d, p.LoRA.Dropout, op.key(i))
		dev.Add(dx, dx, d)
	})
}
