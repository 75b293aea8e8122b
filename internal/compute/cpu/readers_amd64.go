//go:build !purego

package cpu

import (
	"fmt"
	"unsafe"

	"github.com/retort-ml/retort/internal/compute"
)

// blockReader is a convert kernel in assembly: n groups of 32 values, of one
// block each, stride bytes apart. It asks for the memory ahead bytes on, which
// no processor does by itself down a column.
type blockReader func(dst *float32, src *byte, n, stride, ahead int)

// groupReader is one of a format whose blocks are several groups: it reads the
// same group of n blocks.
type groupReader func(dst *float32, src *byte, n, stride, group, ahead int)

// Groups are asked for columnAhead rows ahead, and squares, which are read one
// beside the other, squaresAhead squares ahead: less does not hide how long
// memory takes.
const columnAhead, squaresAhead = 32, 2

// aheadOf returns how far ahead to ask for n groups of size bytes.
func aheadOf(n, stride, size int, down bool) int {
	if !down || n <= squareRows {
		return squaresAhead * size
	}
	return columnAhead * stride
}

// readers are the convert kernels of an instruction set.
type readers struct {
	f32, f16, bf16, q8, q4, q5 blockReader
	q4K, q6K                   groupReader
	nf4                        func(dst *float32, codes, absmax *byte, nestedAbsmax, quantMap, nestedMap *float32, offset float32, group, n, step, ahead int)
}

// convert bounds one call in assembly to pieceValues, and checks what the
// kernels do not: that the groups are inside the matrix.
func (r readers) convert(dst []float32, w *compute.Weight, row, col int, down bool) {
	n := len(dst) / panelWidth
	if n == 0 {
		return
	}
	lastRow, lastCol := row, col+len(dst)
	if down {
		lastRow, lastCol = row+n-1, col+panelWidth
	}
	if row < 0 || col < 0 || lastRow >= w.Out || lastCol > w.In {
		panic(fmt.Sprintf("cpu: %d groups from (%d, %d) of a (%d, %d) weight", n, row, col, w.Out, w.In))
	}
	const most = pieceValues / panelWidth
	for ; n > most; n -= most {
		r.piece(dst[:most*panelWidth], w, row, col, down)
		dst = dst[most*panelWidth:]
		if down {
			row += most
		} else {
			col += most * panelWidth
		}
	}
	r.piece(dst, w, row, col, down)
}

// piece does the groups of one call. It is not inlined because the scheduler
// stops goroutines where Go functions begin, and nowhere in assembly.
//
//go:noinline
func (r readers) piece(dst []float32, w *compute.Weight, row, col int, down bool) {
	switch w.Format {
	case compute.F32:
		r.readF32(dst, w, row, col, down)
	case compute.F16:
		r.f16.read(dst, w, row, col, down)
	case compute.BF16:
		r.bf16.read(dst, w, row, col, down)
	case compute.Q8_0:
		r.q8.read(dst, w, row, col, down)
	case compute.Q4_0:
		r.q4.read(dst, w, row, col, down)
	case compute.Q5_0:
		r.q5.read(dst, w, row, col, down)
	case compute.Q4_K:
		r.q4K.read(dst, w, row, col, down)
	case compute.Q6_K:
		r.q6K.read(dst, w, row, col, down)
	case compute.NF4:
		r.readNF4(dst, w, row, col, down)
	default: // of these there are portable readers alone
		convertGo(dst, w, row, col, down)
	}
}

func (r readers) readF32(dst []float32, w *compute.Weight, row, col int, down bool) {
	stride := panelWidth
	if down {
		stride = w.In
	}
	n := len(dst) / panelWidth
	src := w.Floats()[row*w.In+col:]
	_ = src[(n-1)*stride+panelWidth-1]
	r.f32(&dst[0], (*byte)(unsafe.Pointer(&src[0])), n, 4*stride, aheadOf(n, 4*stride, 4*panelWidth, down))
}

func (read blockReader) read(dst []float32, w *compute.Weight, row, col int, down bool) {
	size, rowBytes := w.Format.RowBytes(panelWidth), w.Format.RowBytes(w.In)
	stride := size
	if down {
		stride = rowBytes
	}
	n := len(dst) / panelWidth
	src := w.Data()[row*rowBytes+w.Format.RowBytes(col):]
	_ = src[(n-1)*stride+size-1]
	read(&dst[0], &src[0], n, stride, aheadOf(n, stride, size, down))
}

func (read groupReader) read(dst []float32, w *compute.Weight, row, col int, down bool) {
	values, rowBytes := w.Format.BlockValues(), w.Format.RowBytes(w.In)
	size := w.Format.RowBytes(values)
	block := func(col int) []byte { return w.Data()[row*rowBytes+col/values*size:] }
	n := len(dst) / panelWidth
	if down {
		src := block(col)
		_ = src[(n-1)*rowBytes+size-1]
		read(&dst[0], &src[0], n, rowBytes, col%values/panelWidth, aheadOf(n, rowBytes, size/8, down))
		return
	}
	for i := range n {
		at := col + i*panelWidth
		src := block(at)
		_ = src[size-1]
		read(&dst[i*panelWidth], &src[0], 1, rowBytes, at%values/panelWidth, size)
	}
}

func (r readers) readNF4(dst []float32, w *compute.Weight, row, col int, down bool) {
	d := w.NF4()
	n, step := len(dst)/panelWidth, 1
	if down {
		step = w.In / panelWidth
	}
	first := (row*w.In + col) / panelWidth
	last := first + (n-1)*step
	_, _, _ = d.Codes[last*16+15], d.Absmax[last/2], d.NestedAbsmax[last/2/256]
	_, _ = d.QuantMap[15], d.NestedMap[255]
	r.nf4(&dst[0], &d.Codes[0], &d.Absmax[0], &d.NestedAbsmax[0], &d.QuantMap[0], &d.NestedMap[0], d.NestedOffset, first, n, step, aheadOf(n, 16*step, 16, down))
}
