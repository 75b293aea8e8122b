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
// and write often. Wide rows begin at cache lines, and not nearly a multiple of
// 4096 bytes apart: products read a dozen rows side by side, and reads whose
// addresses differ little but for such multiples hinder each other (with rows
// of 12288 values, 180 GFLOP/s up to 8 lines from a multiple, 310 from 13 on).
func Stride(cols int) int {
	const (
		line  = 16 // values
		page  = 64 // lines
		least = 13 // lines between a distance and a multiple of a page
		most  = 57
		good  = 15
	)
	if cols <= 4*line {
		return cols
	}
	lines := (cols + line - 1) / line
	switch rest := lines % page; {
	case rest > most:
		lines += page - rest + good
	case rest < least && lines >= page:
		lines += good - rest
	}
	return lines * line
}
