package autodiff

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Gain is the scale of a normalization, (D): Values + Offset.
type Gain struct {
	Values *tensor.Dense
	Param  *Param  // shares Values when it is trained, else nil
	Offset float32 // 1 where weights are stored less one, as Gemma has them
}

// Scales returns the gain as a row (1,D): Values itself, or with an Offset
// memory that temp gives.
func (w *Gain) Scales(dev compute.Device, temp func(cols int) compute.Mat) compute.Mat {
	values := compute.Of(w.Values)
	if w.Offset == 0 {
		return values
	}
	sum := temp(values.Cols)
	from, to := dev.Host(values), dev.Host(sum)
	for i, v := range from {
		to[i] = v + w.Offset
	}
	return sum
}

// grad is where the gradient of the gain is summed up, or no array.
func (w *Gain) grad(train bool) compute.Mat {
	if !train || w.Param == nil {
		return compute.Mat{}
	}
	return compute.Of(w.Param.Grad)
}

// scales is Scales in the scratch memory of the graph.
func (g *Graph) scales(w *Gain) compute.Mat {
	return w.Scales(g.dev, func(cols int) compute.Mat { return g.temp("gain", 1, cols) })
}

// reserveScales asks for the memory that scales takes.
func (g *Graph) reserveScales(w *Gain) {
	if w.Offset != 0 {
		g.reserve("gain", 1, w.Values.Shape().TotalSize())
	}
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
	g.reserveScales(gain)
	op := &normOp{operation: &operation{name: "rmsnorm", out: []*result{y}, readsInput: true, cheap: true, wrt: []bool{x.active, trains}}}
	op.run = func() error {
		g.dev.RMSNorm(y.mat(), x.result.mat(), g.scales(gain), eps)
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
			case carry == nil || dx.memory == carry.memory:
			case carry.supervised != dx.supervised:
				g.spread(dx, carry)
			default:
				g.dev.Copy(dx.mat(), carry.mat())
			}
			g.dev.RMSNormGrad(dx.mat(), gain.grad(trains), dout.mat(), x.result.mat(), g.scales(gain), eps, carry != nil)
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
