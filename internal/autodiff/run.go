package autodiff

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
)

// ErrNotFinite is wrapped by the error of a run whose loss is NaN or infinite.
var ErrNotFinite = errors.New("not finite")

// Run computes the summed loss of in, in nats, and in a training graph adds the
// gradients to every Param's Grad. The first call compiles the graph; a graph
// can be run again and again, from one goroutine at a time.
func (g *Graph) Run(in Inputs) (float64, error) {
	if g.err != nil {
		return 0, g.err
	}
	if err := g.check(&in); err != nil {
		return 0, err
	}
	if g.machine == nil {
		if err := g.compile(); err != nil {
			return 0, err
		}
	}
	g.in = &in
	defer func() { g.in = nil }()
	g.machine.Reset()
	if err := g.machine.RunAll(); err != nil {
		return 0, err
	}
	return g.lossSum, nil
}

// compile differentiates the loss, when training, and makes the machine.
func (g *Graph) compile() error {
	if g.loss == nil {
		return errors.New("graph without a head")
	}
	if g.train {
		if len(g.handles) == 0 {
			return errors.New("nothing to train: every weight is frozen")
		}
		seed := gorgonia.NewScalar(g.graph, gorgonia.Float32, gorgonia.WithValue(float32(1)), gorgonia.WithName("seed"))
		if _, err := gorgonia.Backpropagate(gorgonia.Nodes{g.loss}, gorgonia.Nodes{seed}, g.handles); err != nil {
			return fmt.Errorf("differentiate: %w", err)
		}
	}
	g.machine = gorgonia.NewTapeMachine(g.graph)
	return nil
}

func (g *Graph) check(in *Inputs) error {
	for _, v := range []struct {
		name string
		n    int
	}{{"tokens", len(in.Tokens)}, {"positions", len(in.Positions)}, {"from", len(in.From)}} {
		if v.n != g.rows {
			return fmt.Errorf("graph of %d rows: %d %s", g.rows, v.n, v.name)
		}
	}
	last := int32(-1)
	for _, r := range in.Rows {
		if r <= last || int(r) >= g.rows {
			return fmt.Errorf("graph of %d rows: supervised row %d after %d", g.rows, r, last)
		}
		last = r
	}
	return nil
}
