package autodiff

import (
	"errors"
	"fmt"
	"runtime"

	"gorgonia.org/gorgonia"
)

// ErrNotFinite is wrapped by the error of a run whose loss is NaN or infinite.
var ErrNotFinite = errors.New("not finite")

// Run computes the summed loss of in, in nats, and in a training graph adds the
// gradients to every Param's Grad. The first call compiles the graph; a graph
// can be run again and again, from one goroutine at a time. After an error the
// gradients hold parts of the run.
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
	g.in, g.runErr = &in, nil
	defer func() { g.in = nil }()
	g.machine.Reset()
	err := g.machine.RunAll()
	if g.runErr != nil {
		return 0, g.runErr // without gorgonia's wrapping, which errors.Is cannot see through
	}
	if err != nil {
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
	machine := gorgonia.NewTapeMachine(g.graph)
	// The machine and the graph refer to each other, and a cycle with a
	// finalizer in it is never freed. Without CUDA this one does nothing.
	runtime.SetFinalizer(machine, nil)
	g.machine = machine
	return nil
}

// check refuses inputs that the operations would panic over.
func (g *Graph) check(in *Inputs) error {
	for _, v := range []struct {
		name string
		n    int
	}{{"tokens", len(in.Tokens)}, {"positions", len(in.Positions)}, {"from", len(in.From)}} {
		if v.n != g.rows {
			return fmt.Errorf("graph of %d rows: %d %s", g.rows, v.n, v.name)
		}
	}
	if in.Loss == nil {
		return fmt.Errorf("graph of %d rows: no loss", g.rows)
	}
	for i := range g.rows {
		switch {
		case int(in.Tokens[i]) >= g.vocabulary:
			return fmt.Errorf("row %d: token id %d is outside the vocabulary of %d", i, in.Tokens[i], g.vocabulary)
		case in.Positions[i] < 0:
			return fmt.Errorf("row %d: position %d", i, in.Positions[i])
		case in.From[i] < 0 || int(in.From[i]) > i:
			return fmt.Errorf("row %d: attends from row %d", i, in.From[i])
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
