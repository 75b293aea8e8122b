package compute

import (
	"fmt"

	"gorgonia.org/tensor"
)

// Mat is a view of Rows × Cols float32 values in an array: element (i,j) is
// the array's element Offset + i·Stride + j. It is a small value: copy it.
type Mat struct {
	Array                      *tensor.Dense
	Offset, Rows, Cols, Stride int
}

// Of views a whole array as rows: the last axis is the columns, all others
// together are the rows; a vector is one row.
func Of(a *tensor.Dense) Mat {
	shape := a.Shape()
	if len(shape) == 0 {
		return Mat{Array: a, Rows: 1, Cols: 1, Stride: 1}
	}
	cols := shape[len(shape)-1]
	rows := 1
	for _, n := range shape[:len(shape)-1] {
		rows *= n
	}
	return Mat{Array: a, Rows: rows, Cols: cols, Stride: cols}
}

// RowRange returns the view of rows from ≤ i < to. It panics when they are
// outside the view, a broken promise of the calling code.
func (m Mat) RowRange(from, to int) Mat {
	if from < 0 || to < from || to > m.Rows {
		panic(fmt.Sprintf("compute: rows %d to %d of %s", from, to, m))
	}
	m.Offset += from * m.Stride
	m.Rows = to - from
	return m
}

// ColRange returns the view of columns from ≤ j < to. It panics when they are
// outside the view.
func (m Mat) ColRange(from, to int) Mat {
	if from < 0 || to < from || to > m.Cols {
		panic(fmt.Sprintf("compute: columns %d to %d of %s", from, to, m))
	}
	m.Offset += from
	m.Cols = to - from
	return m
}

// String gives the view's shape, for messages.
func (m Mat) String() string { return fmt.Sprintf("(%d, %d)", m.Rows, m.Cols) }

// Stride is the distance of rows of cols values in arrays that products read
// and write often. Wide rows begin at cache lines, and never a large power of
// two apart: the rows that are multiplied together would share the few places
// that a cache has for such addresses.
func Stride(cols int) int {
	const line = 16 // values
	if cols <= 4*line {
		return cols
	}
	lines := (cols + line - 1) / line
	if lines%8 == 0 {
		lines++
	}
	return lines * line
}
