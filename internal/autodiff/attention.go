package autodiff

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Attention describes causal self-attention with rotary positions and grouped
// heads. Its input is packed: the columns of q (H·E), k (G·E) and v (G·E) side
// by side.
type Attention struct {
	Heads, KVHeads, HeadDim int
	Scale                   float32 // of the scores
	Rotation                *compute.Rotation
}

// Split returns the views of q, k and v in a packed array.
func (a *Attention) Split(qkv compute.Mat) (q, k, v compute.Mat) {
	nq, nk := a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	return qkv.ColRange(0, nq), qkv.ColRange(nq, nq+nk), qkv.ColRange(nq+nk, nq+2*nk)
}

// Cols is the width of the packed input.
func (a *Attention) Cols() int { return (a.Heads + 2*a.KVHeads) * a.HeadDim }

// attentionOp is an Attention in a graph.
type attentionOp struct {
	*operation
	g       *Graph
	a       *Attention
	rotated *tensor.Dense // q, k turned by position, and v
	out     *tensor.Dense // (N,H·E)
	lse     *tensor.Dense // (N,H)
	dqkv    *tensor.Dense
}

// Attention attends within the segments that Inputs.From marks.
func (g *Graph) Attention(qkv Value, a *Attention) Value {
	if g.err != nil {
		return Value{}
	}
	if qkv.cols != a.Cols() {
		return g.fail("attention: input has %d columns, %d query and %d key/value heads of %d need %d",
			qkv.cols, a.Heads, a.KVHeads, a.HeadDim, a.Cols())
	}
	width := a.Heads * a.HeadDim
	op := &attentionOp{g: g, a: a,
		rotated: g.dev.New(g.rows, a.Cols()), out: g.dev.New(g.rows, width), lse: g.dev.New(g.rows, a.Heads)}
	op.operation = &operation{name: "attention", wrt: []bool{qkv.active}, run: op.forward}
	op.diff = func(out, dout *gorgonia.Node) (gorgonia.Nodes, error) {
		op.dqkv = g.dev.New(g.rows, a.Cols())
		n, err := g.gradient(op.operation, a.Cols(), func(in []gorgonia.Value) (gorgonia.Value, error) {
			op.backward(mat(in[0]), mat(in[1]))
			return op.dqkv, nil
		}, out, dout)
		return gorgonia.Nodes{n}, err
	}
	return g.record(op.operation, width, qkv.active, qkv.node)
}

func (op *attentionOp) shape() compute.AttentionShape {
	return compute.AttentionShape{Heads: op.a.Heads, KVHeads: op.a.KVHeads, HeadDim: op.a.HeadDim,
		Scale: op.a.Scale, From: op.g.in.From}
}

func (op *attentionOp) forward(in []gorgonia.Value) (gorgonia.Value, error) {
	dev, rotated := op.g.dev, compute.Of(op.rotated)
	dev.Copy(rotated, mat(in[0]))
	q, k, v := op.a.Split(rotated)
	dev.Rotate(q, op.a.HeadDim, op.g.in.Positions, op.a.Rotation, false)
	dev.Rotate(k, op.a.HeadDim, op.g.in.Positions, op.a.Rotation, false)
	dev.Attention(compute.Of(op.out), compute.Of(op.lse), q, k, v, op.shape())
	return op.out, nil
}

func (op *attentionOp) backward(out, dout compute.Mat) {
	dev := op.g.dev
	q, k, v := op.a.Split(compute.Of(op.rotated))
	dq, dk, dv := op.a.Split(compute.Of(op.dqkv))
	dev.AttentionGrad(dq, dk, dv, dout, out, compute.Of(op.lse), q, k, v, op.shape())
	dev.Rotate(dq, op.a.HeadDim, op.g.in.Positions, op.a.Rotation, true)
	dev.Rotate(dk, op.a.HeadDim, op.g.in.Positions, op.a.Rotation, true)
}
