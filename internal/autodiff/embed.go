package autodiff

import (
	"errors"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
)

// Table is an embedding matrix (V,D).
type Table struct {
	Weight *compute.Weight
	Param  *Param // shares Weight's array when it is trained, else nil
	// Scale is what rows are multiplied by when they are looked up; 0 means 1.
	Scale float32
	// SoftCap bounds the logits of a head: l becomes SoftCap·tanh(l/SoftCap); 0 leaves them.
	SoftCap float32
	// LoRA is a low-rank update, or nil: of a head one like that of any matrix;
	// of an embedding with A (r,V) and B (D,r), as PEFT's lora_embedding_A and
	// lora_embedding_B, without dropout or bias: W + scale·Aᵀ·Bᵀ. A magnitude is
	// of columns.
	LoRA *LoRA
}

// embedScale is what rows are multiplied by when they are looked up.
func (t *Table) embedScale() float32 {
	if t.Scale == 0 {
		return 1
	}
	return t.Scale
}

// Lookup sets y (N,D) to the rows of t that ids name, an embedding's, zeros
// for negative ones. temp gives scratch memory of a shape, free until the call ends.
func (t *Table) Lookup(dev compute.Device, y compute.Mat, ids []int32, temp func(rows, cols int) compute.Mat) {
	t.lookup(dev, y, ids, temp)
	if u := t.LoRA; u != nil && u.Magnitude != nil {
		if u.dora == nil || u.dora.weight != t.Weight {
			u.Refresh(dev, t.Weight)
		}
		dev.MulRow(y, y, compute.Of(u.dora.gain))
	}
}

// lookup is Lookup without the scales of a DoRA update.
func (t *Table) lookup(dev compute.Device, y compute.Mat, ids []int32, temp func(rows, cols int) compute.Mat) {
	dev.Embed(y, t.Weight, ids, t.embedScale())
	if u := t.LoRA; u != nil {
		low := temp(len(ids), u.rank())
		dev.GatherColumns(low, compute.Of(u.A.Value), ids)
		dev.MatMul(y, low, u.B.weight(), u.Scale*t.embedScale(), true)
	}
}

// backward adds the gradient dy of Lookup to those of t's parameters.
func (t *Table) backward(g *Graph, dy compute.Mat) {
	dev, ids, scale := g.dev, g.in.Tokens, t.embedScale()
	if t.Param != nil {
		dev.EmbedGrad(compute.Of(t.Param.Grad), dy, ids, scale)
	}
	if u := t.LoRA; u != nil {
		if u.Magnitude != nil {
			dy = t.backwardScales(g, dy)
		}
		low, dlow := g.temp("low rank", dy.Rows, u.rank()), g.temp("gradient of low rank", dy.Rows, u.rank())
		dev.GatherColumns(low, compute.Of(u.A.Value), ids)
		dev.MatMulOuter(compute.Of(u.B.Grad), dy, low, u.Scale*scale, true)
		dev.MatMulGrad(dlow, dy, u.B.weight(), u.Scale*scale, false)
		dev.GatherColumnsGrad(compute.Of(u.A.Grad), dlow, ids, 1)
	}
}

// backwardScales adds the gradient of the magnitudes, Σ dy·z/norm with z the
// rows before they are scaled, which it looks up again, and returns that of z, g·dy.
func (t *Table) backwardScales(g *Graph, dy compute.Mat) compute.Mat {
	dev, u := g.dev, t.LoRA
	z, dz := g.temp("unscaled embedding", dy.Rows, dy.Cols), g.temp("scaled rows", dy.Rows, dy.Cols)
	t.lookup(dev, z, g.in.Tokens, func(rows, cols int) compute.Mat { return g.temp("low rank", rows, cols) })
	dev.MulRow(dz, dy, compute.Of(u.dora.inverse))
	dev.SumProducts(compute.Of(u.Magnitude.Grad), dz, z)
	dev.MulRow(dz, dy, compute.Of(u.dora.gain))
	return dz
}

// checkUpdate compares the shapes of an embedding's update with its matrix.
func (t *Table) checkUpdate() error {
	if t.LoRA == nil {
		return nil
	}
	if !t.LoRA.Embedding && t.LoRA.Magnitude != nil {
		return errors.New("its DoRA update is not one of an embedding")
	}
	return t.LoRA.check(0, t.Weight.In, t.Weight.Out)
}

// Embed looks up the rows of t that Inputs.Tokens name.
func (g *Graph) Embed(t *Table) Value {
	if g.err != nil {
		return Value{}
	}
	if err := t.checkUpdate(); err != nil {
		return g.fail("embed: %w", err)
	}
	if t.LoRA != nil {
		g.reserve("low rank", g.rows, t.LoRA.rank())
		g.reserve("gradient of low rank", g.rows, t.LoRA.rank())
		if g.train && t.LoRA.Magnitude != nil {
			g.reserve("unscaled embedding", g.rows, t.Weight.In)
			g.reserve("scaled rows", g.rows, t.Weight.In)
		}
	}
	trains := g.train && (t.Param != nil || t.LoRA != nil)
	g.vocabulary = min(g.vocabulary, t.Weight.Out)
	y := g.array(t.Weight.In)
	op := &operation{name: "embed", out: []*result{y}, wrt: []bool{trains}, run: func() error {
		if t.LoRA != nil {
			t.LoRA.Refresh(g.dev, t.Weight)
		}
		t.Lookup(g.dev, y.mat(), g.in.Tokens, func(rows, cols int) compute.Mat { return g.temp("low rank", rows, cols) })
		return nil
	}}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dout := g.arrayOf(dy)
		n, err := g.gradient(op, &operation{run: func() error {
			t.backward(g, dout.mat())
			return nil
		}}, nil, dy)
		return gorgonia.Nodes{n}, err
	}
	return g.record(op, trains, g.handle(trains))
}
