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
// gorgonia.Op and gorgonia.SDOp.
type operation struct {
	g     *Graph
	name  string
	place string // where in the model, for messages
	id    uint64 // unlike that of any other operation of the graph

	inputs []hm.Type
	output tensor.Shape // empty for a scalar

	// run computes the output, which the operation owns.
	run func(in []gorgonia.Value) (gorgonia.Value, error)
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
	if len(o.output) == 0 {
		return hm.NewFnType(append(types, scalarType)...)
	}
	return hm.NewFnType(append(types, matrixType)...)
}

// InferShape returns the output's shape, fixed when the operation was made.
func (o *operation) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) { return o.output, nil }

// Do runs the operation.
func (o *operation) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	v, err := o.run(in)
	if err != nil {
		o.g.runErr = fmt.Errorf("%s: %s: %w", o.place, o.name, err)
		return nil, o.g.runErr
	}
	return v, nil
}

// ReturnsPtr: the output is a pointer into memory that the operation owns.
func (o *operation) ReturnsPtr() bool { return true }

// CallsExtern is false: with true gorgonia would allocate an output as well.
func (o *operation) CallsExtern() bool { return false }

// OverwritesInput returns -1: no input is overwritten.
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
