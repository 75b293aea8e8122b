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
	if n := gain.Values.Shape().TotalSize(); n != x.cols() {
		return g.fail("norm: input has %d columns, gain %d", x.cols(), n)
	}
	trains := g.train && gain.Param != nil
	y := x.result.like(x.cols())
	weights := compute.Of(gain.Values)
	op := &normOp{operation: &operation{name: "rmsnorm", out: []*result{y}, readsInput: true, cheap: true, wrt: []bool{x.active, trains}}}
	op.run = func() error {
		g.dev.RMSNorm(y.mat(), x.result.mat(), weights, eps)
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
			var dgain compute.Mat
			if trains {
				dgain = compute.Of(gain.Param.Grad)
			}
			switch {
			case carry == nil || dx.memory == carry.memory:
			case carry.supervised != dx.supervised:
				g.spread(dx, carry)
			default:
				g.dev.Copy(dx.mat(), carry.mat())
			}
			g.dev.RMSNormGrad(dx.mat(), dgain, dout.mat(), x.result.mat(), weights, eps, carry != nil)
			return nil
		}
		n, err := g.gradient(op.operation, gradient, dx, inputs...)
		return gorgonia.Nodes{n, n}, err
	}
	value := g.record(op.operation, x.active || trains, g.handle(trains), x)
	op.node = value.node
	if g.err == nil && g.norms[x.node] == nil {
		g.norms[x.node] = op
	}
	return value
}
