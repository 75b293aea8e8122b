package autodiff

import (
	"errors"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
)

// Add returns x + branch, where branch usually came from x through a norm: a
// residual. Gorgonia would sum the two gradients of x by an operation that
// allocates; here the norm's gradient takes up the sum's, whose node exists
// first because the sum comes after the norm.
func (g *Graph) Add(x, branch Value) Value {
	if g.err != nil {
		return Value{}
	}
	if x.cols != branch.cols {
		return g.fail("add: %d and %d columns", x.cols, branch.cols)
	}
	y := g.dev.New(g.rows, x.cols)
	norm := g.norms[x.node]
	if norm != nil && norm.claimed {
		norm = nil
	}
	carried := x.active && norm != nil
	if carried {
		norm.claimed = true
	}
	op := &operation{name: "add", wrt: []bool{x.active && !carried, branch.active}}
	op.run = func(in []gorgonia.Value) (gorgonia.Value, error) {
		g.dev.Add(compute.Of(y), mat(in[0]), mat(in[1]))
		return y, nil
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		if !carried {
			return gorgonia.Nodes{dy, dy}, nil
		}
		if norm.done {
			return nil, errors.New("the norm of the sum's first term was differentiated before the sum")
		}
		norm.carry = dy
		return gorgonia.Nodes{nil, dy}, nil
	}
	return g.record(op, x.cols, x.active || branch.active, x.node, branch.node)
}
