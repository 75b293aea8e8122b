package autodiff

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// headRows is how many rows' logits exist at a time.
const headRows = 256

// headOp is the LM head and the loss in one: it computes the logits of the
// supervised rows a chunk at a time, the loss, and the gradient of its input
// together, and never holds the full logits.
type headOp struct {
	*operation
	g     *Graph
	table *Table
	dx    *tensor.Dense
	zeros compute.Mat // (headRows,D) at most
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
	if x.cols != t.Weight.In {
		g.fail("head: input has %d columns, weight (%d, %d)", x.cols, t.Weight.Out, t.Weight.In)
		return
	}
	trains := g.train && t.Param != nil
	op := &headOp{g: g, table: t}
	backward := g.train && (x.active || trains)
	if backward {
		op.dx = g.dev.New(g.rows, x.cols)
		op.zeros = compute.Of(g.dev.New(min(g.rows, headRows), x.cols))
	}
	op.operation = &operation{name: "loss", output: tensor.ScalarShape(), wrt: []bool{x.active, trains}}
	op.run = func(in []gorgonia.Value) (gorgonia.Value, error) {
		sum, err := op.forward(mat(in[0]), backward, trains)
		g.lossSum = sum
		v := gorgonia.F32(sum)
		return &v, err
	}
	op.diff = func(_, seed *gorgonia.Node) (gorgonia.Nodes, error) {
		// The gradient was computed with the loss; the seed is 1.
		n, err := g.gradient(op.operation, x.cols, func([]gorgonia.Value) (gorgonia.Value, error) {
			return op.dx, nil
		}, x.node, seed)
		return gorgonia.Nodes{n, n}, err
	}
	n, err := g.apply(op.operation, x.node, g.handle(trains))
	if err != nil {
		g.fail("head: %w", err)
	}
	g.loss = n
}

// clear sets dx to zeros. Scaling by zero would keep a NaN of the run before.
func (op *headOp) clear() {
	dx := compute.Of(op.dx)
	for from := 0; from < dx.Rows; from += headRows {
		to := min(from+headRows, dx.Rows)
		op.g.dev.Copy(dx.RowRange(from, to), op.zeros.RowRange(0, to-from))
	}
}

func (op *headOp) forward(x compute.Mat, backward, trains bool) (float64, error) {
	g, dev := op.g, op.g.dev
	in := g.in
	if backward {
		op.clear()
	}
	total := 0.0
	for from := 0; from < len(in.Rows); from += headRows {
		to := min(from+headRows, len(in.Rows))
		rows := in.Rows[from:to]
		xs := g.temp("head rows", to-from, x.Cols)
		logits := g.temp("logits", to-from, op.table.Weight.Out)
		dev.Gather(xs, x, rows)
		dev.MatMul(logits, xs, op.table.Weight, 1, false)
		sum, err := in.Loss(dev, logits, from, to)
		if err != nil {
			return 0, err
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return 0, fmt.Errorf("loss of supervised rows %d to %d is %v: %w", from, to-1, sum, ErrNotFinite)
		}
		total += sum
		if trains {
			dev.MatMulOuter(compute.Of(op.table.Param.Grad), logits, xs, 1, true)
		}
		if backward {
			dxs := g.temp("head gradient", to-from, x.Cols)
			dev.MatMulGrad(dxs, logits, op.table.Weight, 1, false)
			dev.Scatter(compute.Of(op.dx), dxs, rows)
		}
	}
	return total, nil
}
