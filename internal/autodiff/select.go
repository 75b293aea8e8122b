package autodiff

import "gorgonia.org/gorgonia"

// Select keeps the rows of x that Inputs.Rows names, the supervised ones, in
// their order. What follows computes those alone: where a loss reads a few
// tokens of each segment, most of the last layer is computed for nothing
// without it. Attention cannot follow it, as it reads all rows.
func (g *Graph) Select(x Value) Value {
	if g.err != nil || x.result.supervised {
		return x
	}
	y := g.array(x.cols())
	y.supervised = true
	op := &operation{name: "select", out: []*result{y}, cheap: true, wrt: []bool{x.active}, run: func() error {
		g.dev.Gather(y.mat(), x.result.mat(), g.in.Rows)
		return nil
	}}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		n, err := g.unselect(op, dy)
		return gorgonia.Nodes{n}, err
	}
	return g.record(op, x.active, nil, x)
}

// unselect adds the operation that computes the gradient of all rows from that
// of the supervised ones, zeros elsewhere, for an input of o.
func (g *Graph) unselect(o *operation, dy *gorgonia.Node) (*gorgonia.Node, error) {
	dout := g.arrayOf(dy)
	dx := g.array(dout.cols)
	return g.gradient(o, &operation{run: func() error {
		g.spread(dx, dout)
		return nil
	}}, dx, dy)
}

// spread sets the supervised rows of dx to those of dy, and the others to zeros.
func (g *Graph) spread(dx, dy *result) {
	g.dev.Clear(dx.mat())
	g.dev.Scatter(dx.mat(), dy.mat(), g.in.Rows)
}
