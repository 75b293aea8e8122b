package autodiff

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// GLU returns act(gate)·up of the packed columns gate | up (Shazeer 2020).
func (g *Graph) GLU(gateUp Value, act compute.Activation) Value {
	if g.err != nil {
		return Value{}
	}
	if gateUp.cols%2 != 0 {
		return g.fail("gated activation: %d columns are not two halves", gateUp.cols)
	}
	y, dx := g.dev.New(g.rows, gateUp.cols/2), (*tensor.Dense)(nil)
	op := &operation{name: "glu", wrt: []bool{gateUp.active}, run: func(in []gorgonia.Value) (gorgonia.Value, error) {
		g.dev.GLU(compute.Of(y), mat(in[0]), act)
		return y, nil
	}}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx = g.dev.New(g.rows, gateUp.cols)
		n, err := g.gradient(op, gateUp.cols, func(in []gorgonia.Value) (gorgonia.Value, error) {
			g.dev.GLUGrad(compute.Of(dx), mat(in[1]), mat(in[0]), act)
			return dx, nil
		}, gateUp.node, dy)
		return gorgonia.Nodes{n}, err
	}
	return g.record(op, gateUp.cols/2, gateUp.active, gateUp.node)
}
