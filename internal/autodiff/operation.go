package autodiff

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// operation is a fused operation in gorgonia's graph: it implements
// gorgonia.Op and gorgonia.SDOp. It is part of the forward pass, or the
// gradient of one that is.
type operation struct {
	g     *Graph
	name  string
	place string // where in the model, for messages
	id    uint64 // unlike that of any other operation of the graph

	inputs []hm.Type
	shape  tensor.Shape // of the output, empty for a scalar
	scalar bool
	in     []*result // arrays it reads, one for each input that is an array
	out    []*result // arrays it computes, its output first
	// run computes out from in.
	run func() error

	block *block // that it belongs to, nil outside of blocks
	// readsInput: the gradient reads in. What it reads of out is marked there.
	readsInput bool
	// cheap: computing it again costs less than keeping its output.
	cheap bool

	// gradientOf is the forward operation of a gradient, else nil.
	gradientOf *operation
	// inPlace is an input whose memory the output takes over, if nothing reads it later.
	inPlace *result
	// wrt says which inputs have gradients.
	wrt []bool
	// diff returns the gradient nodes of the inputs, nil where wrt is false.
	diff func(output, grad *gorgonia.Node) (gorgonia.Nodes, error)
}

var (
	matrixType = gorgonia.TensorType{Dims: 2, Of: tensor.Float32}
	scalarType = tensor.Float32
)

// Arity returns the number of inputs.
func (o *operation) Arity() int { return len(o.inputs) }

// Type is the function type from the inputs to the output.
func (o *operation) Type() hm.Type {
	types := append([]hm.Type(nil), o.inputs...)
	if len(o.shape) == 0 {
		return hm.NewFnType(append(types, scalarType)...)
	}
	return hm.NewFnType(append(types, matrixType)...)
}

// InferShape returns the output's shape, fixed when the operation was made.
func (o *operation) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.shape, nil }

// Do runs the operation, and before the first gradient of a block what must be
// computed again of the block.
func (o *operation) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	if err := o.do(in); err != nil {
		o.g.runErr = fmt.Errorf("%s: %s: %w", o.place, o.name, err)
		return nil, o.g.runErr
	}
	if len(o.shape) == 0 {
		return o.g.lossValue, nil
	}
	return o.out[0].memory, nil
}

func (o *operation) do(in []gorgonia.Value) error {
	if err := o.g.plan.begin(o); err != nil {
		return err
	}
	for i, r := range o.in {
		if r.producer == nil {
			r.memory = in[i].(*tensor.Dense)
		}
	}
	return o.run()
}

// ReturnsPtr: the output is a pointer into memory that the graph owns.
func (o *operation) ReturnsPtr() bool { return true }

// CallsExtern is false: with true gorgonia would allocate an output as well.
func (o *operation) CallsExtern() bool { return false }

// OverwritesInput returns -1: gorgonia need not know of what changes in place.
func (o *operation) OverwritesInput() int { return -1 }

// WriteHash writes the operation's own number, see the package comment.
func (o *operation) WriteHash(h hash.Hash) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], o.id)
	h.Write(b[:])
}

// Hashcode is the hash of the operation's own number.
func (o *operation) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

// String names the operation and its place.
func (o *operation) String() string { return fmt.Sprintf("%s#%d(%s)", o.name, o.id, o.place) }

// DiffWRT says which inputs have gradients.
func (o *operation) DiffWRT(int) []bool { return o.wrt }

// SymDiff returns the gradient nodes of the inputs.
func (o *operation) SymDiff(_ gorgonia.Nodes, output, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	if o.diff == nil {
		return nil, fmt.Errorf("%s: %s has no gradient", o.place, o.name)
	}
	return o.diff(output, grad)
}
