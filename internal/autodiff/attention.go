package autodiff

import (
	"errors"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
)

// Attention describes self-attention with grouped heads, causal or not. Its
// input is packed: the columns of q (H·E), k (G·E) and v (G·E) side by side.
type Attention struct {
	Heads, KVHeads, HeadDim int
	Scale                   float32           // of the scores
	SoftCap                 float32           // of the scaled scores, as compute.AttentionShape has it; 0 is none
	Window                  int               // rows that a row sees at most, itself among them; 0 is its whole segment
	Rotation                *compute.Rotation // of q and k by position; nil is none
	// Long replaces Rotation in segments of more than LongFrom positions, and may
	// differ with their number (longrope, dynamic scaling); nil if all have Rotation.
	Long     func(positions int) *compute.Rotation
	LongFrom int
	// KeepsKeys says that a sequence which becomes a long one while it is generated
	// keeps the keys that it has so far (dynamic scaling).
	KeepsKeys bool
	// Bidirectional: rows see what follows them in their segment too, up to Inputs.To.
	Bidirectional bool
}

// RotationOf is the rotation of a segment of that many positions.
func (a *Attention) RotationOf(positions int) *compute.Rotation {
	if a.Long != nil && positions > a.LongFrom {
		return a.Long(positions)
	}
	return a.Rotation
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
	g   *Graph
	a   *Attention
	qkv *result // q and k turned by position, and v
	lse *result // (N,H)

	from []int32 // of the run, where there is a window
}

// Attention attends within the segments that Inputs.From marks, and Inputs.To
// if it is bidirectional. It turns q and k in place: no other operation may read qkv.
func (g *Graph) Attention(qkv Value, a *Attention) Value {
	if g.err != nil {
		return Value{}
	}
	if qkv.cols() != a.Cols() {
		return g.fail("attention: input has %d columns, %d query and %d key/value heads of %d need %d",
			qkv.cols(), a.Heads, a.KVHeads, a.HeadDim, a.Cols())
	}
	if qkv.result.supervised {
		return g.fail("attention: it reads all rows, its input has the supervised ones")
	}
	if qkv.result.readers > 0 {
		return g.fail("attention: another operation reads its input, which is changed in place")
	}
	op := &attentionOp{g: g, a: a, qkv: qkv.result, lse: g.array(a.Heads)}
	out := g.array(a.Heads * a.HeadDim)
	out.kept, op.lse.kept = true, true
	op.operation = &operation{name: "attention", out: []*result{out, op.lse}, readsInput: true, wrt: []bool{qkv.active}, run: op.forward}
	op.diff = func(_, dy *gorgonia.Node) (gorgonia.Nodes, error) {
		dqkv, dout := g.array(a.Cols()), g.arrayOf(dy)
		n, err := g.gradient(op.operation, &operation{run: func() error {
			op.backward(dqkv.mat(), dout.mat())
			return nil
		}}, dqkv, dy)
		return gorgonia.Nodes{n}, err
	}
	v := g.record(op.operation, qkv.active, nil, qkv)
	qkv.result.taken = true
	return v
}

func (op *attentionOp) shape() compute.AttentionShape {
	s := compute.AttentionShape{Heads: op.a.Heads, KVHeads: op.a.KVHeads, HeadDim: op.a.HeadDim,
		Scale: op.a.Scale, SoftCap: op.a.SoftCap, From: op.firstSeen()}
	if op.a.Bidirectional {
		s.To = op.g.in.To
	}
	return s
}

// firstSeen is Inputs.From, or the beginning of the window where that is later.
func (op *attentionOp) firstSeen() []int32 {
	in := op.g.in
	if op.a.Window == 0 {
		return in.From
	}
	op.from = op.from[:0]
	for i, from := range in.From {
		op.from = append(op.from, max(from, int32(i-op.a.Window+1)))
	}
	return op.from
}

// rotate turns q and k by their positions, or back.
func (op *attentionOp) rotate(q, k compute.Mat, back bool) {
	positions := op.g.in.Positions
	if op.a.Rotation == nil {
		return
	}
	if op.a.Long == nil {
		op.g.dev.Rotate(q, op.a.HeadDim, positions, op.a.Rotation, back)
		op.g.dev.Rotate(k, op.a.HeadDim, positions, op.a.Rotation, back)
		return
	}
	for first := 0; first < len(positions); {
		last := op.g.in.segmentEnd(first)
		r := op.a.RotationOf(int(positions[last-1]) + 1)
		for _, x := range []compute.Mat{q, k} {
			op.g.dev.Rotate(x.RowRange(first, last), op.a.HeadDim, positions[first:last], r, back)
		}
		first = last
	}
}

// segmentEnd is the row after the segment that begins with row first.
func (in *Inputs) segmentEnd(first int) int {
	last := first + 1
	for last < len(in.From) && int(in.From[last]) <= first {
		last++
	}
	return last
}

func (op *attentionOp) forward() error {
	if op.a.Bidirectional && op.g.in.To == nil {
		return errors.New("it sees both ways, and the inputs do not say where segments end")
	}
	q, k, v := op.a.Split(op.qkv.mat())
	op.rotate(q, k, false)
	op.g.dev.Attention(op.out[0].mat(), op.lse.mat(), q, k, v, op.shape())
	return nil
}

func (op *attentionOp) backward(dqkv, dout compute.Mat) {
	q, k, v := op.a.Split(op.qkv.mat())
	dq, dk, dv := op.a.Split(dqkv)
	op.g.dev.AttentionGrad(dq, dk, dv, dout, op.out[0].mat(), op.lse.mat(), q, k, v, op.shape())
	op.rotate(dq, dk, true)
}
