package autodiff

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Dropout keeps each element with probability 1−p and divides it by 1−p, in
// training; otherwise, and for p = 0, it is x itself.
func (g *Graph) Dropout(x Value, p float32) Value {
	if !(p >= 0 && p < 1) {
		return g.fail("dropout: probability %v: want 0 to below 1", p)
	}
	if g.err != nil || p == 0 || !g.train {
		return x
	}
	y, dx := g.dev.New(g.rows, x.cols), (*tensor.Dense)(nil)
	op := &operation{name: "dropout", wrt: []bool{x.active}}
	op.run = func(in []gorgonia.Value) (gorgonia.Value, error) {
		g.dev.Dropout(compute.Of(y), mat(in[0]), p, g.key(op.id))
		return y, nil
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx = g.dev.New(g.rows, x.cols)
		n, err := g.gradient(op, x.cols, func(in []gorgonia.Value) (gorgonia.Value, error) {
			g.dev.Dropout(compute.Of(dx), mat(in[0]), p, g.key(op.id))
			return dx, nil
		}, dy)
		return gorgonia.Nodes{n}, err
	}
	return g.record(op, x.cols, x.active, x.node)
}
