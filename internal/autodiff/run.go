package autodiff

import (
	"errors"
	"fmt"
	"runtime"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
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
		if err := g.prepare(); err != nil {
			return 0, err
		}
	}
	g.in, g.runErr, g.plan.next = &in, nil, 0
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

// Recompute makes the first blocks of the graph, so many of them, compute
// their part of the forward pass again when their gradients need it, instead of
// keeping it in memory: a graph that recomputes all blocks keeps little more than one
// array for each. Results are the same bits. It must be called before the first Run.
func (g *Graph) Recompute(blocks int) error {
	switch {
	case g.err != nil:
		return g.err
	case g.machine != nil:
		return errors.New("recompute: the graph has been run")
	case blocks < 0 || blocks > len(g.blocks):
		return fmt.Errorf("recompute: %d of %d blocks", blocks, len(g.blocks))
	}
	if err := g.differentiate(); err != nil {
		return err
	}
	p, err := g.makePlan(blocks)
	g.plan = p
	return err
}

// FitMemory recomputes as few blocks as make the graph's arrays take at most
// budget bytes, and returns how many. The error of a budget that is too small
// says what the least is.
func (g *Graph) FitMemory(budget int) (recomputed int, err error) {
	for n := 0; ; n++ {
		if err := g.Recompute(n); err != nil {
			return 0, err
		}
		bytes, err := g.Bytes()
		if err != nil {
			return 0, err
		}
		if bytes <= budget {
			return n, nil
		}
		if n == len(g.blocks) {
			return 0, fmt.Errorf("activations and gradients of %d rows take at least %d MB, %d MB are left for them", g.rows, bytes>>20, max(0, budget)>>20)
		}
	}
}

// Bytes is the memory that the graph's arrays take, in bytes, apart from the parameters.
func (g *Graph) Bytes() (int, error) {
	if g.plan == nil {
		if err := g.Recompute(0); err != nil {
			return 0, err
		}
	}
	values := g.plan.values()
	for _, n := range g.scratch {
		values += n
	}
	return 4 * values, nil
}

// differentiate adds the gradients to the graph, when training, once.
func (g *Graph) differentiate() error {
	if g.loss == nil {
		return errors.New("graph without a head")
	}
	if !g.train || g.differentiated {
		return nil
	}
	if len(g.handles) == 0 {
		return errors.New("nothing to train: every weight is frozen")
	}
	g.differentiated = true
	seed := gorgonia.NewScalar(g.graph, gorgonia.Float32, gorgonia.WithValue(float32(1)), gorgonia.WithName("seed"))
	if _, err := gorgonia.Backpropagate(gorgonia.Nodes{g.loss}, gorgonia.Nodes{seed}, g.handles); err != nil {
		return fmt.Errorf("differentiate: %w", err)
	}
	return nil
}

// prepare allocates the arrays and makes the machine.
func (g *Graph) prepare() error {
	if g.plan == nil {
		if err := g.Recompute(0); err != nil {
			return err
		}
	}
	for _, b := range g.plan.buffers {
		memory := g.dev.New(b.rows, b.stride)
		for _, u := range b.users {
			if u.again {
				u.result.backward = memory
			} else {
				u.result.forward = memory
			}
		}
	}
	g.temps = map[string]*tensor.Dense{}
	for name, n := range g.scratch {
		g.temps[name] = g.dev.New(n)
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
	if in.To != nil && len(in.To) != g.rows {
		return fmt.Errorf("graph of %d rows: %d to", g.rows, len(in.To))
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
		case in.To != nil && (int(in.To[i]) <= i || int(in.To[i]) > g.rows):
			return fmt.Errorf("row %d: attends up to row %d of %d", i, in.To[i], g.rows)
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
