package autodiff

import "github.com/retort-ml/retort/internal/compute"

// updated is a head with a low-rank update as a Linear, nil without one.
func (t *Table) updated() *Linear {
	if t.LoRA == nil {
		return nil
	}
	return &Linear{Parts: []*Part{{Weight: t.Weight, LoRA: t.LoRA}}}
}

// Logits sets y (N,V) to the product of x (N,D) with a head, as Linear.Forward does.
func (t *Table) Logits(dev compute.Device, s *Sums, y, x compute.Mat, generated int, temp func(rows, cols int) compute.Mat) {
	switch l := t.updated(); {
	case l != nil:
		l.Forward(dev, s, y, x, generated, temp)
	case generated == 0:
		dev.MatVec(y, x, t.Weight, 1, false)
	default:
		dev.MatMul(y, x, t.Weight, 1, false)
	}
}

// reserveUpdate asks for the memory that the update needs for so many rows.
func (op *headOp) reserveUpdate(rows int) error {
	l := op.update
	if l == nil {
		return nil
	}
	if err := l.check(op.x.cols); err != nil {
		return err
	}
	op.g.reserve("head low rank", rows, l.rank())
	op.g.reserveBiases(l)
	op.g.reserveUpdates(l, rows)
	if l.dora() {
		op.g.reserve("unscaled logits", rows, l.Out())
	}
	return nil
}

// multiply sets logits to the head's product with rows xs, the supervised ones
// beginning at from.
func (op *headOp) multiply(logits, xs compute.Mat, from int) {
	if op.update == nil {
		op.g.dev.MatMul(logits, xs, op.table.Weight, 1, false)
		return
	}
	r := op.applied(logits, xs, from)
	r.forward()
}

// multiplyGrad sets dx to the gradient of xs, after multiply, and adds to those
// of the update.
func (op *headOp) multiplyGrad(dx, dlogits, xs compute.Mat, from int) {
	if op.update == nil {
		op.g.dev.MatMulGrad(dx, dlogits, op.table.Weight, 1, false)
		return
	}
	r := op.applied(dlogits, xs, from)
	r.backward(dx, dlogits)
}

func (op *headOp) applied(logits, xs compute.Mat, from int) applied {
	r := applied{g: op.g, l: op.update, id: op.id | uint64(from)<<32, x: xs, y: logits,
		low: op.g.temp("head low rank", xs.Rows, op.update.rank())}
	if op.update.dora() {
		r.z = op.g.temp("unscaled logits", logits.Rows, logits.Cols)
	}
	return r
}
