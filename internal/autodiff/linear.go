package autodiff

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Linear is one or more matrices side by side over the same input: with the
// parts' outputs one after another in the columns of y,
//
//	y = x·Wᵀ + bias + scale·(dropout(x)·Aᵀ)·Bᵀ
//
// where the last term is a part's low-rank update, if it has one (LoRA, Hu et
// al. 2021, as PEFT computes it).
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

// LoRA is a low-rank update of a matrix: scale·B·A.
type LoRA struct {
	A, B    *Param // (r,in), (out,r)
	Scale   float32
	Dropout float32 // of the update's input, in training; 0 is none
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
		a, b := u.A.Value.Shape(), u.B.Value.Shape()
		if len(a) != 2 || !a.Eq(tensor.Shape{a[0], in}) || !b.Eq(tensor.Shape{out, a[0]}) {
			return fmt.Errorf("weight of part %d (%d, %d), low-rank A %v and B %v", i, out, in, a, b)
		}
		if !(u.Dropout >= 0 && u.Dropout < 1) {
			return fmt.Errorf("dropout of part %d: probability %v: want 0 to below 1", i, u.Dropout)
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

// Forward sets y (N,Out) for x (N,In), without dropout. The rows from generated
// on are tokens that a model generates, one of each sequence: their products
// are MatVec's. temp gives scratch memory of a shape, free until the call ends.
func (l *Linear) Forward(dev compute.Device, y, x compute.Mat, generated int, temp func(rows, cols int) compute.Mat) {
	multiply := func(y, x compute.Mat, w *compute.Weight, alpha float32, add bool) {
		if generated > 0 {
			dev.MatMul(y.RowRange(0, generated), x.RowRange(0, generated), w, alpha, add)
		}
		if generated < x.Rows {
			dev.MatVec(y.RowRange(generated, x.Rows), x.RowRange(generated, x.Rows), w, alpha, add)
		}
	}
	col := 0
	for _, p := range l.Parts {
		yp := y.ColRange(col, col+p.Weight.Out)
		col += p.Weight.Out
		multiply(yp, x, p.Weight, 1, false)
		if p.Bias != nil {
			dev.AddRow(yp, compute.Of(p.Bias))
		}
		if u := p.LoRA; u != nil {
			xa := temp(x.Rows, u.A.Value.Shape()[0])
			multiply(xa, x, u.A.weight(), 1, false)
			multiply(yp, xa, u.B.weight(), u.Scale, true)
		}
	}
}

// base sets y to x·Wᵀ + bias.
func (p *Part) base(dev compute.Device, y, x compute.Mat) {
	dev.MatMul(y, x, p.Weight, 1, false)
	if p.Bias != nil {
		dev.AddRow(y, compute.Of(p.Bias))
	}
}

// forward sets xa (N,R) to x·Aᵀ and adds scale·xa·Bᵀ to y.
func (u *LoRA) forward(dev compute.Device, y, xa, x compute.Mat) {
	dev.MatMul(xa, x, u.A.weight(), 1, false)
	dev.MatMul(y, xa, u.B.weight(), u.Scale, true)
}

// linearOp is a Linear in a graph.
type linearOp struct {
	*operation
	g    *Graph
	l    *Linear
	x, y *result
	xas  []*result // x·Aᵀ of each part with an update, which the gradient reads
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
	op := &linearOp{g: g, l: l, x: x.result, y: g.array(l.Out()), xas: make([]*result, len(l.Parts))}
	op.operation = &operation{name: "linear", out: []*result{op.y}, readsInput: l.trains(), wrt: []bool{x.active, trains}, run: op.forward}
	for i, p := range l.Parts {
		if p.LoRA == nil {
			continue
		}
		op.xas[i] = g.array(p.LoRA.A.Value.Shape()[0])
		op.xas[i].kept = true
		op.out = append(op.out, op.xas[i])
		if g.train {
			g.reserve("dxa", g.rows, op.xas[i].cols)
			if p.LoRA.Dropout > 0 {
				g.reserve("dropped", g.rows, x.cols())
			}
		}
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		var dx *result
		if x.active {
			dx = g.array(l.In())
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

func (op *linearOp) forward() error {
	x, y, dev := op.x.mat(), op.y.mat(), op.g.dev
	col := 0
	for i, p := range op.l.Parts {
		yp := y.ColRange(col, col+p.Weight.Out)
		col += p.Weight.Out
		p.base(dev, yp, x)
		if p.LoRA != nil {
			p.LoRA.forward(dev, yp, op.xas[i].mat(), op.dropped(x, i))
		}
	}
	return nil
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
func (op *linearOp) backward(result *result, dy compute.Mat) {
	dev, needDX := op.g.dev, result != nil
	var dx compute.Mat
	if needDX {
		dx = result.mat()
	}
	col := 0
	for i, p := range op.l.Parts {
		dyp := dy.ColRange(col, col+p.Weight.Out)
		col += p.Weight.Out
		if p.WeightParam != nil {
			dev.MatMulOuter(compute.Of(p.WeightParam.Grad), dyp, op.x.mat(), 1, true)
		}
		if p.BiasParam != nil {
			dev.SumRows(compute.Of(p.BiasParam.Grad), dyp)
		}
		if needDX {
			dev.MatMulGrad(dx, dyp, p.Weight, 1, i > 0)
		}
		if p.LoRA != nil {
			op.backwardLoRA(i, dx, dyp, needDX)
		}
	}
}

// backwardLoRA adds the gradients of part i's A and B, and its share of dx.
func (op *linearOp) backwardLoRA(i int, dx, dy compute.Mat, needDX bool) {
	g, dev, u := op.g, op.g.dev, op.l.Parts[i].LoRA
	xa := op.xas[i].mat()
	dev.MatMulOuter(compute.Of(u.B.Grad), dy, xa, u.Scale, true)
	dxa := g.temp("dxa", xa.Rows, xa.Cols)
	dev.MatMulGrad(dxa, dy, u.B.weight(), u.Scale, false)
	dev.MatMulOuter(compute.Of(u.A.Grad), dxa, op.dropped(op.x.mat(), i), 1, true)
	switch {
	case !needDX:
	case u.Dropout == 0:
		dev.MatMulGrad(dx, dxa, u.A.weight(), 1, true)
	default:
		d := g.temp("dropped", dx.Rows, dx.Cols)
		dev.MatMulGrad(d, dxa, u.A.weight(), 1, false)
		dev.Dropout(d, d, u.Dropout, op.key(i))
		dev.Add(dx, dx, d)
	}
}
