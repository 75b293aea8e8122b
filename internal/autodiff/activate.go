package autodiff

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
)

// Activate returns act(x), value by value.
func (g *Graph) Activate(x Value, act compute.Activation) Value {
	if g.err != nil {
		return Value{}
	}
	y := x.result.like(x.cols())
	op := &operation{name: "activation", out: []*result{y}, readsInput: true, cheap: true, wrt: []bool{x.active}}
	op.run = func() error {
		g.dev.Activate(y.mat(), x.result.mat(), act)
		return nil
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, dout := x.result.like(x.cols()), g.arrayOf(dy)
		n, err := g.gradient(op, &operation{run: func() error {
			g.dev.ActivateGrad(dx.mat(), dout.mat(), x.result.mat(), act)
			return nil
		}}, dx, dy)
		return gorgonia.Nodes{n}, err
	}
	return g.record(op, x.active, nil, x)
}
