package autodiff

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// result is an array that an operation computes: N rows of some width. Its
// memory is what the plan gives it, see plan.go.
type result struct {
	rows, cols int
	graph      *Graph
	// supervised: it has the rows that Inputs.Rows names, and room for all.
	supervised bool
	producer   *operation // nil for an array that gorgonia made, a sum of gradients
	// kept: a gradient reads it, so it must outlive the forward pass or be computed again.
	kept bool
	// taken: the operation that reads it changes it in place, and must be the only one.
	taken   bool
	readers int

	memory            *tensor.Dense // (rows, stride), now
	forward, backward *tensor.Dense // in the forward pass; when it is computed again
}

// shape is what a result needs of memory.
type shape struct{ rows, stride int }

func (r *result) shape() shape { return shape{r.rows, compute.Stride(r.cols)} }

// like is another result of the same rows.
func (r *result) like(cols int) *result {
	return &result{graph: r.graph, rows: r.rows, cols: cols, supervised: r.supervised}
}

// mat is the array, while its memory is its own.
func (r *result) mat() compute.Mat {
	rows := r.rows
	if r.supervised {
		rows = len(r.graph.in.Rows)
	}
	return compute.Mat{Array: r.memory, Rows: rows, Cols: r.cols, Stride: compute.Stride(r.cols)}
}
