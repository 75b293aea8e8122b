package autodiff

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
)

// GLU returns act(gate)·up of the packed columns gate | up (Shazeer 2020).
func (g *Graph) GLU(gateUp Value, act compute.Activation) Value {
	if g.err != nil {
		return Value{}
	}
	if gateUp.cols()%2 != 0 {
		return g.fail("gated activation: %d columns are not two halves", gateUp.cols())
	}
	y := gateUp.result.like(gateUp.cols() / 2)
	op := &operation{name: "glu", out: []*result{y}, readsInput: true, cheap: true, wrt: []bool{gateUp.active}}
	op.run = func() error {
		g.dev.GLU(y.mat(), gateUp.result.mat(), act)
		return nil
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, dout := gateUp.result.like(gateUp.cols()), g.arrayOf(dy)
		n, err := g.gradient(op, &operation{run: func() error {
			g.dev.GLUGrad(dx.mat(), dout.mat(), gateUp.result.mat(), act)
			return nil
		}}, dx, dy)
		return gorgonia.Nodes{n}, err
	}
	return g.record(op, gateUp.active, nil, gateUp)
}
