package cpu

import (
	"fmt"
	"runtime"
	"unsafe"

	"gorgonia.org/tensor"

	"github.com/retort-ml/retort/internal/compute"
)

// Device computes on the processor with a fixed number of threads. It keeps
// scratch memory from call to call, so its methods are for one goroutine at a time.
type Device struct {
	kernels kernels
	workers []worker // one per thread
	shared  buffers  // of the calling goroutine, read by all workers
	team    team
	slab    slab   // of interleaved weights
	sums    sums   // the products that are going on
	vector  matVec // the call of MatVec that is going on
	cached  cached // the memory of AttentionCached
}

var _ compute.Device = (*Device)(nil)

// New returns a Device of that many threads; 0 means as many as Go may use at
// once (GOMAXPROCS). It panics when threads is negative.
func New(threads int) *Device {
	if threads < 0 {
		panic(fmt.Sprintf("cpu: a device of %d threads", threads))
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return &Device{kernels: fastest(), workers: make([]worker, threads), team: team{seats: make([]seat, threads-1)}}
}

// Threads returns how many threads the device uses.
func (d *Device) Threads() int { return len(d.workers) }

// Kernels names the instruction set of the kernels in use: avx512, avx2 or go.
func (d *Device) Kernels() string { return d.kernels.name }

// New returns a zeroed float32 array of the shape.
func (d *Device) New(shape ...int) *tensor.Dense {
	size := 1
	for _, n := range shape {
		if n < 0 {
			panic(fmt.Sprintf("cpu: an array of shape %v", shape))
		}
		size *= n
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(aligned(size)))
}

// Host returns the memory of m (Rows·Cols). It panics unless m is contiguous.
func (d *Device) Host(m compute.Mat) []float32 {
	v := viewOf("Host", m)
	if v.rows > 1 && v.stride != v.cols {
		panic(fmt.Sprintf("cpu: Host of %s with a stride of %d, want a contiguous view", m, m.Stride))
	}
	return v.data[:v.rows*v.cols]
}

// view is a Mat's memory: element (i,j) is data[i·stride+j].
type view struct {
	data               []float32
	rows, cols, stride int
}

// viewOf returns the memory of m, and panics when m reaches outside its array.
func viewOf(what string, m compute.Mat) view {
	if m.Rows < 0 || m.Cols < 0 {
		panic(fmt.Sprintf("cpu: %s: view %s", what, m))
	}
	v := view{rows: m.Rows, cols: m.Cols, stride: m.Stride}
	if m.Rows == 0 || m.Cols == 0 {
		return v
	}
	if m.Array == nil || m.Array.Dtype() != tensor.Float32 {
		panic(fmt.Sprintf("cpu: %s: view %s of no float32 array", what, m))
	}
	values := m.Array.Float32s()
	last := len(values) - m.Cols - m.Offset // where the last row may begin at most
	if m.Offset < 0 || last < 0 || m.Rows > 1 && (m.Stride < m.Cols || m.Stride > last/(m.Rows-1)) {
		panic(fmt.Sprintf("cpu: %s: view %s at %d with stride %d leaves its array of %d", what, m, m.Offset, m.Stride, len(values)))
	}
	end := m.Offset + (m.Rows-1)*m.Stride + m.Cols
	v.data = values[m.Offset:end:end]
	return v
}

// row returns row i.
func (v view) row(i int) []float32 {
	if v.cols == 0 {
		return nil
	}
	o := i * v.stride
	return v.data[o : o+v.cols : o+v.cols]
}

// clear sets the view to zeros.
func (v view) clear() {
	for i := range v.rows {
		clear(v.row(i))
	}
}

// columns returns the view of columns from ≤ j < to.
func (v view) columns(from, to int) view {
	if len(v.data) > 0 {
		v.data = v.data[from:]
	}
	v.cols = to - from
	return v
}

// rowsFrom returns the view of rows from ≤ i < to, which are some.
func (v view) rowsFrom(from, to int) view {
	v.data = v.data[from*v.stride:]
	v.rows = to - from
	return v
}

// sameShape panics unless all views have the shape of the first.
func sameShape(what string, first view, others ...view) {
	for _, v := range others {
		if v.rows != first.rows || v.cols != first.cols {
			panic(fmt.Sprintf("cpu: %s: shapes (%d, %d) and (%d, %d) differ", what, first.rows, first.cols, v.rows, v.cols))
		}
	}
}

// aligned returns n zeros that begin at a multiple of 64 bytes, a cache line
// and a vector of AVX-512.
func aligned(n int) []float32 {
	const line = 64 / 4
	memory := make([]float32, n+line-1)
	skip := 0
	for uintptr(unsafe.Pointer(unsafe.SliceData(memory[skip:])))%64 != 0 && skip < line-1 {
		skip++
	}
	return memory[skip : skip+n : skip+n]
}
