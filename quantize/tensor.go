package quantize

import (
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gguf"
)

// plannedTensor is a tensor of a file to be written.
type plannedTensor struct {
	name       string // llama.cpp's
	format     compute.Format
	rows, cols int // a vector is one row
	vector     bool
	source     func(dst []float32, i int) // sets dst (cols) to the file's row i; for many goroutines
	lost       loss                       // after write
}

// chunkBytes bounds the float32 values that are in memory while a tensor is
// written, unless one row is longer.
const chunkBytes = 1 << 20

// write writes the encoded rows to w, some at a time, each goroutine encoding
// a share of them.
func (t *plannedTensor) write(w io.Writer) error {
	n := min(t.rows, max(1, chunkBytes/(4*t.cols)))
	c := chunk{t: t, data: make([]byte, n*t.format.RowBytes(t.cols)), lost: make([]loss, n), errs: make([]error, n)}
	for from := 0; from < t.rows; from += n {
		n := min(n, t.rows-from)
		c.encode(from, n)
		for i := range n { // in the order of rows: the same sum at any number of goroutines
			if c.errs[i] != nil {
				return fmt.Errorf("row %d: %w", from+i, c.errs[i])
			}
			t.lost.add(c.lost[i])
		}
		if _, err := w.Write(c.data[:n*t.format.RowBytes(t.cols)]); err != nil {
			return err
		}
	}
	return nil
}

// chunk is some rows of a tensor being encoded.
type chunk struct {
	t    *plannedTensor
	data []byte
	lost []loss
	errs []error
}

// encode encodes the n rows that begin at from.
func (c *chunk) encode(from, n int) {
	workers := min(n, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			source, stored := make([]float32, c.t.cols), make([]float32, c.t.cols)
			size := c.t.format.RowBytes(c.t.cols)
			for i := k * n / workers; i < (k+1)*n/workers; i++ {
				c.t.source(source, from+i)
				data := c.data[i*size : (i+1)*size]
				if c.errs[i] = Encode(c.t.format, data, source); c.errs[i] != nil {
					return
				}
				compute.Dequantize(c.t.format, stored, data)
				c.lost[i] = measure(source, stored)
			}
		})
	}
	wg.Wait()
}

// data is the tensor as the gguf package writes it.
func (t *plannedTensor) data() gguf.TensorData {
	dims := []int{t.cols, t.rows}
	if t.vector {
		dims = dims[:1]
	}
	return gguf.TensorData{Name: t.name, Type: ggufTypes[t.format], Dims: dims, WriteTo: t.write}
}

var ggufTypes = map[compute.Format]gguf.TensorType{
	compute.F32: gguf.F32, compute.F16: gguf.F16, compute.BF16: gguf.BF16, compute.Q8_0: gguf.Q8_0, compute.Q4_0: gguf.Q4_0,
}
