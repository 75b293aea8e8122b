package autodiff

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
)

// Loss ends the graph: Run returns what Inputs.Loss makes of x, the logits of
// the rows that Inputs.Rows names, which Select must have left. It is for heads that are layers of
// the model, of few outputs; Head is for vocabularies.
func (g *Graph) Loss(x Value) {
	if g.err != nil {
		return
	}
	if g.loss != nil {
		g.fail("loss: the graph has one already")
		return
	}
	if !x.result.supervised {
		g.fail("loss: its input has all rows, not the supervised ones")
		return
	}
	dx := x.result.like(x.cols())
	op := &operation{name: "loss", scalar: true, out: []*result{dx}, wrt: []bool{x.active}}
	op.run = func() error { return g.lossOf(dx.mat(), x.result.mat()) }
	op.diff = func(loss, _ *gorgonia.Node) (gorgonia.Nodes, error) {
		// The gradient was computed with the loss, whose own gradient is 1.
		n, err := g.gradient(op, &operation{run: func() error { return nil }}, dx, loss)
		return gorgonia.Nodes{n}, err
	}
	g.loss = g.record(op, x.active, nil, x).node
}

// lossOf sets the run's loss, and dx to its gradient in x.
func (g *Graph) lossOf(dx, x compute.Mat) error {
	g.dev.Copy(dx, x)
	g.lossSum = 0
	for from := 0; from < x.Rows; from += headRows {
		to := min(from+headRows, x.Rows)
		sum, err := g.in.Loss(g.dev, dx.RowRange(from, to), from, to)
		if err != nil {
			return err
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return fmt.Errorf("loss of supervised rows %d to %d is %v: %w", from, to-1, sum, ErrNotFinite)
		}
		g.lossSum += sum
	}
	*g.lossValue = gorgonia.F32(g.lossSum)
	return nil
}
