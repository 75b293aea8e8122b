package autodiff

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Inputs are what changes from run to run of a graph of N rows.
type Inputs struct {
	Tokens    []int32 // (N) negative is padding
	Positions []int32 // (N) position within the segment
	From      []int32 // (N) first row that row i attends to
	To        []int32 // (N) the row after the last one it attends to, in bidirectional attention; else nil will do
	Types     []int32 // (N) rows of the type embedding; nil without one
	Rows      []int32 // supervised rows, ascending
	Loss      RowLoss
	// DropoutKey seeds the run's dropout: equal keys drop the same elements.
	DropoutKey uint64
}

// RowLoss is the loss of the supervised rows from ≤ i < to of Inputs.Rows: it
// replaces their logits (to−from,V) by the gradient of the summed loss, and
// returns the sum in nats. Rows of logits may lie apart, as their Stride says.
type RowLoss func(dev compute.Device, logits compute.Mat, from, to int) (sum float64, err error)

// Value is an array in the graph: N rows of some width. The zero Value comes
// from operations that failed; Graph.Err says why.
type Value struct {
	node   *gorgonia.Node
	result *result
	// active: a Param comes before this value, so its gradient is needed.
	active bool
}

// cols is the width.
func (v Value) cols() int { return v.result.cols }

// Graph records operations. Its methods keep the first error, as bufio.Writer
// does; after one, they do nothing.
type Graph struct {
	dev        compute.Device
	rows       int
	vocabulary int // of the smallest embedding table
	train      bool

	graph          *gorgonia.ExprGraph
	machine        gorgonia.VM
	handles        gorgonia.Nodes
	loss           *gorgonia.Node
	operations     []*operation // of the forward pass
	results        map[*gorgonia.Node]*result
	blocks         []*block
	block          *block // under construction
	differentiated bool
	scratch        map[string]int
	norms          map[*gorgonia.Node]*normOp // the first norm that reads a value: see Add
	nextID         uint64
	place          string
	err            error

	// Of the runs:
	in        *Inputs
	plan      *plan
	temps     map[string]*tensor.Dense
	sums      Sums
	lossSum   float64
	lossValue *gorgonia.F32
	runErr    error // of the operation that ended the run
}

// New makes an empty graph for inputs of n rows. With train, Run also computes
// gradients and applies dropout.
func New(dev compute.Device, n int, train bool) *Graph {
	g := &Graph{
		dev: dev, rows: n, vocabulary: math.MaxInt, train: train, place: "model",
		graph:     gorgonia.NewGraph(),
		results:   map[*gorgonia.Node]*result{},
		scratch:   map[string]int{},
		norms:     map[*gorgonia.Node]*normOp{},
		lossValue: new(gorgonia.F32),
	}
	if n < 1 {
		g.fail("graph of %d rows", n)
	}
	return g
}

// At names the place in the model of the operations that follow, for messages.
func (g *Graph) At(place string) { g.place = place }

// Err returns the first error of building.
func (g *Graph) Err() error { return g.err }

// fail keeps the first error, with its place.
func (g *Graph) fail(format string, args ...any) Value {
	if g.err == nil {
		g.err = fmt.Errorf("%s: %w", g.place, fmt.Errorf(format, args...))
	}
	return Value{}
}

// block is a part of the forward pass from one value to another of which
// everything between them can be computed again for the gradient.
type block struct {
	operations []*operation
}

// Begin starts a block: a part of the model that reads one value from before
// it, and of whose values one is read after it, a layer. Recompute says which blocks
// are computed again for the gradient.
func (g *Graph) Begin() {
	if g.block != nil {
		g.fail("block within a block")
	}
	g.block = &block{}
	g.blocks = append(g.blocks, g.block)
}

// End ends the block.
func (g *Graph) End() { g.block = nil }

// Blocks is how many blocks the graph has.
func (g *Graph) Blocks() int { return len(g.blocks) }

// handle makes the scalar node that stands for the parameters of one operation.
func (g *Graph) handle(active bool) *gorgonia.Node {
	g.nextID++
	n := gorgonia.NewScalar(g.graph, gorgonia.Float32, gorgonia.WithValue(float32(0)),
		gorgonia.WithName(fmt.Sprintf("parameters %d", g.nextID)))
	if active {
		g.handles = append(g.handles, n)
	}
	return n
}

// apply adds an operation that reads inputs to the graph, and gives it its number.
func (g *Graph) apply(o *operation, inputs ...*gorgonia.Node) (*gorgonia.Node, error) {
	g.nextID++
	o.g, o.id = g, g.nextID
	for _, n := range inputs {
		o.inputs = append(o.inputs, n.Type())
	}
	for _, r := range o.out {
		if r.producer == nil {
			r.producer = o
		}
	}
	n, err := gorgonia.ApplyOp(o, inputs...)
	if err == nil && len(o.shape) > 0 {
		g.results[n] = o.out[0]
	}
	return n, err
}

// array is a result of the graph's rows.
func (g *Graph) array(cols int) *result { return &result{graph: g, rows: g.rows, cols: cols} }

// record adds an operation of the forward pass, which reads values and
// parameters, if any.
func (g *Graph) record(o *operation, active bool, parameters *gorgonia.Node, values ...Value) Value {
	if g.err != nil {
		return Value{}
	}
	nodes := make(gorgonia.Nodes, 0, len(values)+1)
	for _, v := range values {
		if v.result.taken {
			return g.fail("%s: its input is changed in place by another operation", o.name)
		}
		v.result.readers++
		nodes = append(nodes, v.node)
		o.in = append(o.in, v.result)
	}
	if parameters != nil {
		nodes = append(nodes, parameters)
	}
	o.place, o.block = g.place, g.block
	g.operations = append(g.operations, o)
	if g.block != nil {
		g.block.operations = append(g.block.operations, o)
	}
	if !o.scalar {
		o.shape = tensor.Shape{g.rows, o.out[0].cols}
	}
	n, err := g.apply(o, nodes...)
	if err != nil {
		return g.fail("%s: %w", o.name, err)
	}
	return Value{node: n, result: g.results[n], active: active}
}

// gradient adds the operation that computes the gradients of o from the arrays
// of nodes: the gradient of its output, first, and what else it needs that is
// no result of o. Its output is dx, the gradient of the first input of o, or
// nothing but a scalar when dx is nil.
func (g *Graph) gradient(o, gradient *operation, dx *result, nodes ...*gorgonia.Node) (*gorgonia.Node, error) {
	gradient.name, gradient.place, gradient.block, gradient.gradientOf = "gradient of "+o.name, o.place, o.block, o
	if dx != nil {
		gradient.out, gradient.shape = []*result{dx}, tensor.Shape{dx.rows, dx.cols}
	}
	for _, n := range nodes {
		if !n.IsScalar() {
			gradient.in = append(gradient.in, g.arrayOf(n))
		}
	}
	return g.apply(gradient, nodes...)
}

// arrayOf is the array of a node. Where several operations read a value,
// gorgonia sums its gradients, in arrays of its own, which have the rows of what they sum.
func (g *Graph) arrayOf(n *gorgonia.Node) *result {
	r := g.results[n]
	if r == nil {
		r = &result{graph: g, rows: n.Shape()[0], cols: n.Shape()[1]}
		if inputs := g.graph.From(n.ID()); inputs.Next() {
			r.supervised = g.arrayOf(inputs.Node().(*gorgonia.Node)).supervised
		}
		g.results[n] = r
	}
	return r
}

// reserve asks for scratch memory of rows × cols that operations share: one
// array per name for the whole graph, free between operations.
func (g *Graph) reserve(name string, rows, cols int) {
	g.scratch[name] = max(g.scratch[name], rows*compute.Stride(cols))
}

// temp returns the reserved memory, uninitialised, as rows × cols.
func (g *Graph) temp(name string, rows, cols int) compute.Mat {
	return compute.Mat{Array: g.temps[name], Rows: rows, Cols: cols, Stride: compute.Stride(cols)}
}

// key is the dropout key of one operation in one run.
func (g *Graph) key(id uint64) uint64 { return mix(g.in.DropoutKey ^ mix(id)) }

// mix is the finalizer of splitmix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
