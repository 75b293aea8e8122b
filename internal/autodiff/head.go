package autodiff

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
)

// The logits of headRows rows exist at a time, and of more as long as they take
// at most headBytes: weights are then read less often.
const (
	headRows  = 256
	headBytes = 64 << 20
)

// headOp is the LM head and the loss in one: it computes the logits of the
// supervised rows a chunk at a time, the loss, and the gradient of its input
// together, and never holds the full logits.
type headOp struct {
	*operation
	g        *Graph
	table    *Table
	x        *result
	chunk    int     // rows whose logits exist at a time
	backward bool    // the gradient of something before the head is needed
	dx       *result // of x, when backward
	update   *Linear // of table, when it has a low-rank update
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
	trains := g.train && (t.Param != nil || t.LoRA != nil)
	op := &headOp{g: g, table: t, x: x.result, backward: g.train && (x.active || trains), update: t.updated()}
	op.operation = &operation{name: "loss", scalar: true, wrt: []bool{x.active, trains}, run: op.forward}
	op.chunk = min(g.rows, max(headRows, headBytes/(4*t.Weight.Out)/headRows*headRows))
	g.reserve("logits", op.chunk, t.Weight.Out)
	if err := op.reserveUpdate(op.chunk); err != nil {
		g.fail("head: %w", err)
		return
	}
	if t.SoftCap > 0 && op.backward {
		g.reserve("capped logits", op.chunk, t.Weight.Out)
	}
	if op.backward {
		op.dx = x.result.like(x.cols())
		op.out = []*result{op.dx}
	}
	if !x.result.supervised {
		g.reserve("head rows", op.chunk, x.cols())
		if op.backward {
			g.reserve("head gradient", op.chunk, x.cols())
		}
	}
	op.diff = func(loss, _ *gorgonia.Node) (gorgonia.Nodes, error) {
		// The gradient was computed with the loss, whose own gradient is 1.
		n, err := g.gradient(op.operation, &operation{run: func() error { return nil }}, op.dx, loss)
		return gorgonia.Nodes{n, n}, err
	}
	g.loss = g.record(op.operation, x.active || trains, g.handle(trains), x).node
}

func (op *headOp) forward() error {
	g, dev := op.g, op.g.dev
	in := g.in
	if op.backward && !op.x.supervised {
		dev.Clear(op.dx.mat())
	}
	g.lossSum = 0
	for from := 0; from < len(in.Rows); from += op.chunk {
		to := min(from+op.chunk, len(in.Rows))
		xs := op.rows(from, to)
		logits := g.temp("logits", to-from, op.table.Weight.Out)
		op.multiply(logits, xs, from)
		capped := op.softCap(logits)
		sum, err := in.Loss(dev, logits, from, to)
		if err != nil {
			return err
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return fmt.Errorf("loss of supervised rows %d to %d is %v: %w", from, to-1, sum, ErrNotFinite)
		}
		g.lossSum += sum
		if capped.Array != nil {
			dev.SoftCapGrad(logits, capped, op.table.SoftCap)
		}
		if g.train && op.table.Param != nil {
			dev.MatMulOuter(compute.Of(op.table.Param.Grad), logits, xs, 1, true)
		}
		if op.backward {
			op.gradient(logits, xs, from, to)
		}
	}
	*g.lossValue = gorgonia.F32(g.lossSum)
	return nil
}

// softCap bounds the logits, if the table says so, and returns a copy of them
// if their gradient is needed.
func (op *headOp) softCap(logits compute.Mat) compute.Mat {
	if op.table.SoftCap <= 0 {
		return compute.Mat{}
	}
	op.g.dev.SoftCap(logits, op.table.SoftCap)
	if !op.backward {
		return compute.Mat{}
	}
	capped := op.g.temp("capped logits", logits.Rows, logits.Cols)
	op.g.dev.Copy(capped, logits)
	return capped
}

// rows are the supervised rows from ≤ i < to of x.
func (op *headOp) rows(from, to int) compute.Mat {
	x := op.x.mat()
	if op.x.supervised {
		return x.RowRange(from, to)
	}
	xs := op.g.temp("head rows", to-from, x.Cols)
	op.g.dev.Gather(xs, x, op.g.in.Rows[from:to])
	return xs
}

// gradient sets those rows of dx from the gradient of their logits.
func (op *headOp) gradient(dlogits, xs compute.Mat, from, to int) {
	g, dx := op.g, op.dx.mat()
	if op.x.supervised {
		op.multiplyGrad(dx.RowRange(from, to), dlogits, xs, from)
		return
	}
	dxs := g.temp("head gradient", to-from, dx.Cols)
	op.multiplyGrad(dxs, dlogits, xs, from)
	g.dev.Scatter(dx, dxs, g.in.Rows[from:to])
}
