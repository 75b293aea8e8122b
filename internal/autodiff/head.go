package autodiff

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
)

// headRows is how many rows' logits exist at a time.
const headRows = 256

// headOp is the LM head and the loss in one: it computes the logits of the
// supervised rows a chunk at a time, the loss, and the gradient of its input
// together, and never holds the full logits.
type headOp struct {
	*operation
	g        *Graph
	table    *Table
	x        *result
	backward bool    // the gradient of something before the head is needed
	trains   bool    // the table's is
	dx       *result // of x, when backward
}

// Head ends the graph: the logits of the rows of x that Inputs.Rows names are
// x·Wᵀ with t's matrix (V,D), and Run returns what Inputs.Loss makes of them.
func (g *Graph) Head(x Value, t *Table) {
	if g.err != nil {
		return
	}
	if g.loss != nil {
		g.fail("head: the graph has one already")
		return
	}
	if x.cols() != t.Weight.In {
		g.fail("head: input has %d columns, weight (%d, %d)", x.cols(), t.Weight.Out, t.Weight.In)
		return
	}
	trains := g.train && t.Param != nil
	op := &headOp{g: g, table: t, x: x.result, backward: g.train && (x.active || trains), trains: trains}
	op.operation = &operation{name: "loss", scalar: true, wrt: []bool{x.active, trains}, run: op.forward}
	chunk := min(g.rows, headRows)
	g.reserve("head rows", chunk, x.cols())
	g.reserve("logits", chunk, t.Weight.Out)
	if op.backward {
		op.dx = g.array(x.cols())
		op.out = []*result{op.dx}
		g.reserve("head gradient", chunk, x.cols())
	}
	op.diff = func(loss, _ *gorgonia.Node) (gorgonia.Nodes, error) {
		// The gradient was computed with the loss, whose own gradient is 1.
		n, err := g.gradient(op.operation, &operation{run: func() error { return nil }}, op.dx, loss)
		return gorgonia.Nodes{n, n}, err
	}
	g.loss = g.record(op.operation, x.active || trains, g.handle(trains), x).node
}

func (op *headOp) forward() error {
	g, dev, x := op.g, op.g.dev, op.x.mat()
	in := g.in
	if op.backward {
		dev.Clear(op.dx.mat())
	}
	g.lossSum = 0
	for from := 0; from < len(in.Rows); from += headRows {
		to := min(from+headRows, len(in.Rows))
		rows := in.Rows[from:to]
		xs := g.temp("head rows", to-from, x.Cols)
		logits := g.temp("logits", to-from, op.table.Weight.Out)
		dev.Gather(xs, x, rows)
		dev.MatMul(logits, xs, op.table.Weight, 1, false)
		sum, err := in.Loss(dev, logits, from, to)
		if err != nil {
			return err
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return fmt.Errorf("loss of supervised rows %d to %d is %v: %w", from, to-1, sum, ErrNotFinite)
		}
		g.lossSum += sum
		if op.trains {
			dev.MatMulOuter(compute.Of(op.table.Param.Grad), logits, xs, 1, true)
		}
		if op.backward {
			dxs := g.temp("head gradient", to-from, x.Cols)
			dev.MatMulGrad(dxs, logits, op.table.Weight, 1, false)
			dev.Scatter(op.dx.mat(), dxs, rows)
		}
	}
	*g.lossValue = gorgonia.F32(g.lossSum)
	return nil
}
