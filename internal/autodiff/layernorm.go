package autodiff

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
)

// LayerNorm normalizes the rows of x to mean bias and deviation gain (Ba et al.
// 2016). bias has the shape of gain, and is trained like one.
func (g *Graph) LayerNorm(x Value, gain, bias *Gain, eps float32) Value {
	if g.err != nil {
		return Value{}
	}
	if n, b := gain.Values.Shape().TotalSize(), bias.Values.Shape().TotalSize(); n != x.cols() || b != x.cols() {
		return g.fail("norm: input has %d columns, gain %d, bias %d", x.cols(), n, b)
	}
	trains := g.train && (gain.Param != nil || bias.Param != nil)
	y := x.result.like(x.cols())
	weights, shift := compute.Of(gain.Values), compute.Of(bias.Values)
	op := &operation{name: "layernorm", out: []*result{y}, readsInput: true, cheap: true, wrt: []bool{x.active, trains}}
	op.run = func() error {
		g.dev.LayerNorm(y.mat(), x.result.mat(), weights, shift, eps)
		return nil
	}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dx, dout := x.result.like(x.cols()), g.arrayOf(dy)
		n, err := g.gradient(op, &operation{run: func() error {
			g.dev.LayerNormGrad(dx.mat(), gain.gradient(), bias.gradient(), dout.mat(), x.result.mat(), weights, eps, false)
			return nil
		}}, dx, dy)
		return gorgonia.Nodes{n, n}, err
	}
	return g.record(op, x.active || trains, g.handle(trains), x)
}

// gradient is where the gradient is added, a Mat without an array when it is frozen.
func (n *Gain) gradient() compute.Mat {
	if n.Param == nil {
		return compute.Mat{}
	}
	return compute.Of(n.Param.Grad)
}
