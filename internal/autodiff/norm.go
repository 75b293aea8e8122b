package autodiff

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Gain is the scale of a normalization, (D).
type Gain struct {
	Values *tensor.Dense
	Param  *Param // shares Values when it is trained, else nil
}

// normOp is an RMSNorm in a graph. When the value that it reads is also added
// to a later one (a residual), carry is the gradient that comes back along the
// sum, and the norm's gradient takes it up: see Graph.Add.
type normOp struct {
	*operation
	node    *gorgonia.Node // the norm's value
	carry   *gorgonia.Node
	claimed bool // a sum will set carry
}

// RMSNorm normalizes the rows of x (Zhang and Sennrich 2019).
func (g *Graph) RMSNorm(x Value, gain *Gain, eps float32) Value {
	if g.err != nil {
		return Value{}
	}
	if n := gain.Values.Shape().TotalSize(); n != x.cols {
		return g.fail("norm: input has %d columns, gain %d", x.cols, n)
	}
	trains := g.train && gain.Param != nil
	y, dx := g.dev.New(g.rows, x.cols), (*tensor.Dense)(nil)
	weights := compute.Of(gain.Values)
	op := &normOp{operation: &operation{name: "rmsnorm", wrt: []bool{x.active, trains}}}
	op.run = func(in []gorgonia.Value) (gorgonia.Value, error) {
		g.dev.RMSNorm(compute.Of(y), mat(in[0]), weights, eps)
		return y, nil
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx = g.dev.New(g.rows, x.cols)
		inputs := gorgonia.Nodes{x.node, dy}
		if op.carry != nil {
			inputs = append(inputs, op.carry)
		}
		n, err := g.gradient(op.operation, x.cols, func(in []gorgonia.Value) (gorgonia.Value, error) {
			var dgain compute.Mat
			if trains {
				dgain = compute.Of(gain.Param.Grad)
			}
			if op.carry != nil {
				g.dev.Copy(compute.Of(dx), mat(in[2]))
			}
			g.dev.RMSNormGrad(compute.Of(dx), dgain, mat(in[1]), mat(in[0]), weights, eps, op.carry != nil)
			return dx, nil
		}, inputs...)
		return gorgonia.Nodes{n, n}, err
	}
	value := g.record(op.operation, x.cols, x.active || trains, x.node, g.handle(trains))
	op.node = value.node
	if g.norms[x.node] == nil {
		g.norms[x.node] = op
	}
	return value
}
