package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"github.com/retort-ml/retort/internal/compute"
)

// sizes are around the edges of blocks, vectors and tiles.
var sizes = []int{0, 1, 7, 8, 9, 31, 32, 33, 100, 1000}

// guard fills arrays outside of views: no kernel may write there.
const guard = float32(-12345.5)

func random() *rand.Rand { return rand.New(rand.NewPCG(17, 4)) }

// eachKernels runs a test with the portable kernels and with the fastest here.
func eachKernels(t *testing.T, test func(t *testing.T, d *Device)) {
	t.Helper()
	for _, k := range available() {
		t.Run(k.name, func(t *testing.T) {
			d := New(2)
			d.kernels = k
			d.kernels.grain = 0
			test(t, d)
		})
	}
}

// parallelDevice returns a device that uses its threads even for little work.
func parallelDevice(threads int) *Device {
	d := New(threads)
	d.kernels.grain = 0
	return d
}

// matOf returns a view of values in the middle of an array of guards, with a stride.
func matOf(values []float32, rows, cols, extra int) compute.Mat {
	const before = 5
	stride := cols + extra
	memory := make([]float32, before+rows*stride+before)
	for i := range memory {
		memory[i] = guard
	}
	m := compute.Mat{Array: arrayOf(memory), Offset: before, Rows: rows, Cols: cols, Stride: stride}
	for i := range rows {
		copy(memory[before+i*stride:], values[i*cols:(i+1)*cols])
	}
	return m
}

func arrayOf(memory []float32) *tensor.Dense {
	return tensor.New(tensor.WithShape(len(memory)), tensor.WithBacking(memory))
}

// randomMat returns a strided view of normal random numbers.
func randomMat(r *rand.Rand, rows, cols int) compute.Mat {
	return matOf(normals(r, rows*cols), rows, cols, r.IntN(4))
}

func normals(r *rand.Rand, n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	return values
}

// valuesOf copies the values of m row by row, and fails when a guard is gone.
func valuesOf(t *testing.T, m compute.Mat) []float32 {
	t.Helper()
	memory := m.Array.Float32s()
	var values []float32
	for at, v := range memory {
		i, j := 0, at-m.Offset
		if m.Stride > 0 && j >= 0 {
			i, j = j/m.Stride, j%m.Stride
		}
		if j >= 0 && j < m.Cols && i < m.Rows {
			values = append(values, v)
		} else if v != guard {
			t.Errorf("wrote %v outside of view %s at element %d", v, m, at-m.Offset)
		}
	}
	return values
}

// near fails unless every value is the wanted one within the absolute and
// relative tolerance; written so that a NaN fails, unless it is wanted.
func near(t *testing.T, what string, got []float32, want []float64, absolute, relative float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		g, w := float64(got[i]), want[i]
		if math.IsNaN(w) && math.IsNaN(g) || math.IsInf(w, 0) && g == w {
			continue
		}
		if !(math.Abs(g-w) <= absolute+relative*math.Abs(w)) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, g, w)
		}
	}
}

func doubles(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// mustPanic fails unless f panics.
func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func TestNewGivesAlignedZeros(t *testing.T) {
	d := New(1)
	for _, shape := range [][]int{{}, {1}, {7}, {3, 5}, {2, 3, 4}, {100, 100}, {0}, {0, 4}} {
		m := compute.Of(d.New(shape...))
		for i, v := range d.Host(m) {
			if v != 0 {
				t.Errorf("shape %v: value %d is %v", shape, i, v)
			}
		}
		if len(d.Host(m)) != m.Rows*m.Cols {
			t.Errorf("shape %v: %d values", shape, len(d.Host(m)))
		}
	}
}

func TestViewsOutsideTheirArrayPanic(t *testing.T) {
	d := New(1)
	a := arrayOf(make([]float32, 12))
	for _, m := range []compute.Mat{
		{Array: a, Rows: 3, Cols: 5, Stride: 5},
		{Array: a, Rows: 3, Cols: 4, Stride: 4, Offset: 1},
		{Array: a, Rows: 3, Cols: 4, Stride: 4, Offset: -1},
		{Array: a, Rows: 2, Cols: 4, Stride: 3},
		{Array: a, Rows: math.MaxInt / 2, Cols: 4, Stride: 4},
		{Array: a, Rows: 2, Cols: math.MaxInt / 2, Stride: math.MaxInt / 2},
		{Array: a, Rows: -1, Cols: 4, Stride: 4},
		{Rows: 1, Cols: 1, Stride: 1},
	} {
		mustPanic(t, fmt.Sprintf("%+v", m), func() { d.Scale(m, 2) })
	}
	mustPanic(t, "strided Host", func() { d.Host(compute.Mat{Array: a, Rows: 2, Cols: 3, Stride: 4}) })
}

func TestParallelDoesEveryItemOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		d := New(threads)
		for _, n := range sizes {
			counts := make([]int, n)
			d.parallel(n, func(_ *worker, i int) { counts[i]++ })
			if slices.Contains(counts, 0) || n > 0 && slices.Max(counts) != 1 {
				t.Errorf("%d threads, %d items: done %v", threads, n, counts)
			}
		}
	}
}
