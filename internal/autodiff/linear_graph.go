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
	z    *result // (N,Out) y without DoRA's row scales and biases, which the gradient reads; or nil
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
	op.operation = &operation{name: "linear", out: []*result{op.y}, readsInput: l.trains(), wrt: []bool{x.active, trains}, run: func() error {
		r := op.applied()
		r.forward()
		return nil
	}}
	if rank := l.rank(); rank > 0 {
		op.low = x.result.like(rank)
		op.low.kept = true
		op.out = append(op.out, op.low)
		g.reserveBiases(l)
		g.reserveUpdates(l, g.rows)
	}
	if l.dora() {
		op.z = x.result.like(l.Out())
		op.z.kept = true
		op.out = append(op.out, op.z)
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		var dx *result
		if x.active {
			dx = x.result.like(l.In())
		}
		dout := g.arrayOf(dy)
		n, err := g.gradient(op.operation, &operation{run: func() error {
			var d compute.Mat
			if dx != nil {
				d = dx.mat()
			}
			r := op.applied()
			r.backward(d, dout.mat())
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

// reserveBiases asks for the memory that biases of l's updates need.
func (g *Graph) reserveBiases(l *Linear) {
	for _, p := range l.Parts {
		if p.LoRA != nil && p.LoRA.Bias != nil {
			g.reserve("bias of low rank", 1, p.Weight.Out)
		}
	}
}

// reserveUpdates asks for the memory that the gradients of l's updates need
// for so many rows.
func (g *Graph) reserveUpdates(l *Linear, rows int) {
	if !g.train {
		return
	}
	g.reserve("gradient of low rank", rows, l.rank())
	if l.dropout() {
		g.reserve("dropped", rows, l.In())
	}
	if l.dora() {
		g.reserve("scaled rows", rows, l.Out())
	}
}

func (op *linearOp) applied() applied {
	r := applied{g: op.g, l: op.l, id: op.id, x: op.x.mat(), y: op.y.mat()}
	if op.low != nil {
		r.low = op.low.mat()
	}
	if op.z != nil {
		r.z = op.z.mat()
	}
	return r
}
