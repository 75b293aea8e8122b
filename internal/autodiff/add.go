package autodiff

import "gorgonia.org/gorgonia"

// Add returns x + branch. When branch came from x through a norm, a residual,
// gorgonia would sum the two gradients of x by an operation that allocates;
// here the norm's gradient takes up the sum's, whose node exists first because
// the norm comes before the sum. When branch has the supervised rows alone, so
// has the sum: the rows of x that branch lacks are left out.
func (g *Graph) Add(x, branch Value) Value {
	if g.err != nil {
		return Value{}
	}
	if x.cols() != branch.cols() {
		return g.fail("add: %d and %d columns", x.cols(), branch.cols())
	}
	norm := g.norms[x.node]
	carried := x.active && norm != nil && !norm.claimed && g.reads(branch.node, norm.node, x.node)
	if carried {
		norm.claimed = true
	}
	selects := branch.result.supervised && !x.result.supervised
	if x.result.supervised && !branch.result.supervised {
		return g.fail("add: a branch of all rows to the supervised ones")
	}
	y := branch.result.like(x.cols())
	op := &operation{name: "add", out: []*result{y}, wrt: []bool{x.active && !carried, branch.active}}
	op.run = func() error {
		if selects {
			g.dev.Gather(y.mat(), x.result.mat(), g.in.Rows)
			g.dev.Add(y.mat(), y.mat(), branch.result.mat())
		} else {
			g.dev.Add(y.mat(), x.result.mat(), branch.result.mat())
		}
		return nil
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		switch {
		case carried:
			norm.carry = dy
			return gorgonia.Nodes{nil, dy}, nil
		case selects && x.active:
			dx, err := g.unselect(op, dy)
			return gorgonia.Nodes{dx, dy}, err
		}
		return gorgonia.Nodes{dy, dy}, nil
	}
	return g.record(op, x.active || branch.active, nil, x, branch)
}

// reads tells whether n was computed from source without passing through stop.
func (g *Graph) reads(n, source, stop *gorgonia.Node) bool {
	seen := map[*gorgonia.Node]bool{stop: true}
	var visit func(n *gorgonia.Node) bool
	visit = func(n *gorgonia.Node) bool {
		if n == source || seen[n] {
			return n == source
		}
		seen[n] = true
		for inputs := g.graph.From(n.ID()); inputs.Next(); {
			if visit(inputs.Node().(*gorgonia.Node)) {
				return true
			}
		}
		return false
	}
	return visit(n)
}
