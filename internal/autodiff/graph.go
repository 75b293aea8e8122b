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
	Rows      []int32 // supervised rows, ascending
	Loss      RowLoss
	// DropoutKey seeds the run's dropout: equal keys drop the same elements.
	DropoutKey uint64
}

// RowLoss is the loss of the supervised rows from ≤ i < to of Inputs.Rows: it
// replaces their logits (to−from,V) by the gradient of the summed loss, and
// returns the sum in nats.
type RowLoss func(dev compute.Device, logits compute.Mat, from, to int) (sum float64, err error)

// Value is an array in the graph: N rows of some width. The zero Value comes
// from operations that failed; Graph.Err says why.
type Value struct {
	node *gorgonia.Node
	cols int
	// active: a Param comes before this value, so its gradient is needed.
	active bool
}

// Graph records operations. Its methods keep the first error, as bufio.Writer
// does; after one, they do nothing.
type Graph struct {
	dev        compute.Device
	rows       int
	vocabulary int // of the smallest embedding table
	train      bool

	graph   *gorgonia.ExprGraph
	machine gorgonia.VM
	handles gorgonia.Nodes
	loss    *gorgonia.Node
	lossSum float64
	runErr  error // of the operation that ended the run
	in      *Inputs
	scratch map[string]*tensor.Dense
	norms   map[*gorgonia.Node]*normOp // the first norm that reads a value: see Add
	nextID  uint64
	place   string
	err     error
}

// New makes an empty graph for inputs of n rows. With train, Run also computes
// gradients and applies dropout.
func New(dev compute.Device, n int, train bool) *Graph {
	g := &Graph{
		dev: dev, rows: n, vocabulary: math.MaxInt, train: train, place: "model",
		graph:   gorgonia.NewGraph(),
		scratch: map[string]*tensor.Dense{},
		norms:   map[*gorgonia.Node]*normOp{},
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
	o.g, o.id, o.place = g, g.nextID, g.place
	for _, n := range inputs {
		o.inputs = append(o.inputs, n.Type())
	}
	return gorgonia.ApplyOp(o, inputs...)
}

// record is apply for a value of cols columns.
func (g *Graph) record(o *operation, cols int, active bool, inputs ...*gorgonia.Node) Value {
	if g.err != nil {
		return Value{}
	}
	o.output = tensor.Shape{g.rows, cols}
	n, err := g.apply(o, inputs...)
	if err != nil {
		return g.fail("%s: %w", o.name, err)
	}
	return Value{node: n, cols: cols, active: active}
}

// gradient adds the operation that computes the gradients of o: run gets the
// values of inputs, and returns the gradient of the first input of o.
func (g *Graph) gradient(o *operation, cols int, run func(in []gorgonia.Value) (gorgonia.Value, error), inputs ...*gorgonia.Node) (*gorgonia.Node, error) {
	place := g.place
	g.place = o.place
	defer func() { g.place = place }()
	return g.apply(&operation{name: "gradient of " + o.name, output: tensor.Shape{g.rows, cols}, run: run}, inputs...)
}

// temp returns an uninitialised array of at least rows × cols that is free
// between operations: one per name for the whole graph.
func (g *Graph) temp(name string, rows, cols int) compute.Mat {
	a := g.scratch[name]
	if a == nil || a.Shape().TotalSize() < rows*cols {
		a = g.dev.New(rows * cols)
		g.scratch[name] = a
	}
	return compute.Mat{Array: a, Rows: rows, Cols: cols, Stride: cols}
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

// dense is the array of a graph value.
func dense(v gorgonia.Value) *tensor.Dense { return v.(*tensor.Dense) }

// mat is the whole array of a graph value.
func mat(v gorgonia.Value) compute.Mat { return compute.Of(dense(v)) }
