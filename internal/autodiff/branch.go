package autodiff

import "gorgonia.org/gorgonia"

// Branch returns x, for a branch that begins without a norm and is added to x
// later, as in models that normalize after the sum. Gorgonia would sum the two
// gradients of x by an operation that allocates; with Branch its gradient takes up the
// sum's, as a norm's does: see Add.
func (g *Graph) Branch(x Value) Value {
	if g.err != nil {
		return Value{}
	}
	y := x.result.like(x.cols())
	op := &normOp{operation: &operation{name: "branch", out: []*result{y}, cheap: true, wrt: []bool{x.active}}}
	op.run = func() error {
		g.dev.Copy(y.mat(), x.result.mat())
		return nil
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, dout := x.result.like(x.cols()), g.arrayOf(dy)
		inputs, gradient := gorgonia.Nodes{dy}, &operation{}
		var carry *result
		if op.carry != nil {
			inputs = append(inputs, op.carry)
			carry = g.arrayOf(op.carry)
			if carry.supervised == dx.supervised {
				gradient.inPlace = carry
			}
		}
		gradient.run = func() error {
			switch {
			case carry == nil:
				g.dev.Copy(dx.mat(), dout.mat())
			case carry.supervised != dx.supervised:
				g.spread(dx, carry)
				g.dev.Add(dx.mat(), dx.mat(), dout.mat())
			default:
				g.dev.Add(dx.mat(), carry.mat(), dout.mat())
			}
			return nil
		}
		n, err := g.gradient(op.operation, gradient, dx, inputs...)
		return gorgonia.Nodes{n}, err
	}
	value := g.record(op.operation, x.active, nil, x)
	op.node = value.node
	if g.err == nil && g.norms[x.node] == nil {
		g.norms[x.node] = op
	}
	return value
}
