package cpu

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// matVecShapes are N, Out, In: around tiles of 3, 4, 6 and 8 rows of x, of 4, 8
// and 16 rows of weights, vectors of 8 and 16 values, and what one call takes.
var matVecShapes = [][3]int{
	{0, 3, 5}, {1, 1, 1}, {1, 3, 7}, {2, 4, 8}, {3, 5, 9}, {4, 8, 15}, {5, 7, 16}, {6, 9, 17}, {7, 16, 31}, {8, 17, 33},
	{9, 33, 63}, {13, 15, 65}, {40, 6, 100}, {1, 100, 1000}, {33, 20, 23}, {2, 3, 16384}, {1, 2, 16391}, {2, 1, 16393},
	{1, 1, 32}, {2, 15, 64}, {3, 16, 96}, {4, 17, 160}, {5, 31, 32}, {6, 32, 1024}, {7, 33, 1056}, {8, 47, 576},
	{9, 48, 64}, {17, 100, 96}, {100, 5, 32}, {2, 3, 33024}, {33, 150, 256}, {3, 9, 512}, {8, 16, 768}, {9, 1, 33024},
}

// eachMatVec runs a test for all shapes and formats.
func eachMatVec(t *testing.T, formats []compute.Format, test func(t *testing.T, d *Device, f compute.Format, n, out, in int)) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, shape := range matVecShapes {
			for _, f := range formats {
				if shape[2]%f.BlockValues() == 0 {
					test(t, d, f, shape[0], shape[1], shape[2])
				}
			}
		}
	})
}

// matVecRef is the meaning of MatVec in float64. size is the sum of the
// magnitudes of what is added, for tolerances.
func matVecRef(y, x, w []float32, n, out, in int, alpha float32, add bool) (want, size []float64) {
	for i := range n {
		for j := range out {
			sum, magnitudes := 0.0, 0.0
			for k := range in {
				product := float64(alpha) * float64(x[i*in+k]) * float64(w[j*in+k])
				sum += product
				magnitudes += math.Abs(product)
			}
			if add {
				sum += float64(y[i*out+j])
			}
			want, size = append(want, sum), append(size, magnitudes)
		}
	}
	return want, size
}

func TestMatVecFloats(t *testing.T) {
	r := random()
	eachMatVec(t, []compute.Format{compute.F32, compute.F16, compute.BF16}, func(t *testing.T, d *Device, f compute.Format, n, out, in int) {
		w, values := randomWeight(t, r, f, out, in)
		for _, add := range []bool{false, true} {
			x, y := randomMat(r, n, in), randomMat(r, n, out)
			want, _ := matVecRef(valuesOf(t, y), valuesOf(t, x), values, n, out, in, 1.5, add)
			d.MatVec(y, x, w, 1.5, add)
			near(t, fmt.Sprintf("%s (%d, %d, %d) add %v", f, n, out, in, add), valuesOf(t, y), want, 5e-6*math.Sqrt(float64(1+in)), 1e-5)
		}
	})
}

// What is not in one of the formats that kernels read is dequantized first.
func TestMatVecDequantizes(t *testing.T) {
	r := random()
	eachMatVec(t, formats, func(t *testing.T, d *Device, f compute.Format, n, out, in int) {
		w, values := randomWeight(t, r, f, out, in)
		x, y := randomMat(r, n, in), randomMat(r, n, out)
		want, _ := matVecRef(valuesOf(t, y), valuesOf(t, x), values, n, out, in, -0.5, true)
		if n > 0 {
			v := &d.vector
			v.c, v.a, v.w, v.alpha, v.add = viewOf("y", y), viewOf("x", x), w, -0.5, true
			d.matVecDots(v)
		}
		near(t, fmt.Sprintf("%s (%d, %d, %d)", f, n, out, in), valuesOf(t, y), want, 5e-6*math.Sqrt(float64(1+in)), 1e-5)
	})
}

// integerFormats are those of which products are summed as integers.
var integerFormats = []compute.Format{compute.Q8_0, compute.Q4_0, compute.Q5_0, compute.Q4_K, compute.Q6_K}

// The rounded rows of x, as float64, are multiplied by the weights as nothing
// is lost but by the sums in float32; and the rows as they were, as nearly as
// half a step of rounding allows.
func TestMatVecIntegers(t *testing.T) {
	r := random()
	eachMatVec(t, integerFormats, func(t *testing.T, d *Device, f compute.Format, n, out, in int) {
		w, values := randomWeight(t, r, f, out, in)
		x := randomMat(r, n, in)
		plain := valuesOf(t, x)
		steps := make([]float32, len(plain))
		roundedX := make([]float32, len(plain))
		for from := 0; from < len(plain); from += 32 {
			b := roundBlock((*[32]float32)(plain[from:]), 0, false)
			for i, q := range b.values {
				roundedX[from+i], steps[from+i] = b.scale*float32(q), b.scale
			}
		}
		for _, add := range []bool{false, true} {
			y := randomMat(r, n, out)
			before := valuesOf(t, y)
			d.MatVec(y, x, w, 1.5, add)
			got := valuesOf(t, y)
			what := fmt.Sprintf("%s (%d, %d, %d) add %v", f, n, out, in, add)
			want, size := matVecRef(before, roundedX, values, n, out, in, 1.5, add)
			loose, _ := matVecRef(before, plain, values, n, out, in, 1.5, add)
			_, most := matVecRef(before, steps, values, n, out, in, 1.5, false)
			for i := range got {
				if !(math.Abs(float64(got[i])-want[i]) <= 3e-6*(1+size[i])) {
					t.Fatalf("%s: value %d is %v, of rounded values %v", what, i, got[i], want[i])
				}
				if !(math.Abs(float64(got[i])-loose[i]) <= 0.501*most[i]+3e-6*(1+size[i])) {
					t.Fatalf("%s: value %d is %v, want %v to %v", what, i, got[i], loose[i], 0.5*most[i])
				}
			}
		}
	})
}

// Integer sums are exact and the others in one order, so all kernels agree.
func TestMatVecIntegersAreTheSameInAllKernels(t *testing.T) {
	want := map[string][]float32{}
	eachMatVec(t, integerFormats, func(t *testing.T, d *Device, f compute.Format, n, out, in int) {
		r := random()
		w, _ := randomWeight(t, r, f, out, in)
		x, y := randomMat(r, n, in), randomMat(r, n, out)
		d.MatVec(y, x, w, 0.7, n%2 == 1)
		what := fmt.Sprintf("%s (%d, %d, %d)", f, n, out, in)
		got := valuesOf(t, y)
		if want[what] == nil {
			want[what] = got
		}
		if !slices.Equal(got, want[what]) {
			t.Errorf("%s: %s differs from go", d.kernels.name, what)
		}
	})
}

// vectorFormats are the formats that have a path of their own.
var vectorFormats = append([]compute.Format{compute.F32, compute.F16, compute.BF16}, integerFormats...)

// A row alone, in a batch of any size and at any number of threads is the same bytes.
func TestMatVecRowsDoNotDependOnTheirBatch(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for _, f := range vectorFormats {
			for _, in := range []int{256, 33024} {
				out, n := 53, 40
				if in > 1000 {
					out, n = 3, 5
				}
				w, _ := randomWeight(t, r, f, out, in)
				x := randomMat(r, n, in)
				all := make([]float32, n*out)
				d.MatVec(matOf(all, n, out, 0), x, w, 1, false)
				y := matOf(all, n, out, 0)
				d.MatVec(y, x, w, 1, false)
				all = valuesOf(t, y)
				for size := 1; size < n; size += 1 + size/3 {
					for _, threads := range []int{1, 3} {
						other := parallelDevice(threads)
						other.kernels = d.kernels
						first := r.IntN(n - size + 1)
						part := matOf(make([]float32, size*out), size, out, 3)
						other.MatVec(part, x.RowRange(first, first+size), w, 1, false)
						if !slices.Equal(valuesOf(t, part), all[first*out:(first+size)*out]) {
							t.Fatalf("%s: rows %d to %d alone, %d threads, differ from those in %d", f, first, first+size, threads, n)
						}
					}
				}
			}
		}
	})
}

// A row with a NaN gives NaNs, and one with an infinity nothing finite; the
// rows beside it are what they are without.
func TestMatVecOfNotNumbers(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		const n, out, in = 5, 19, 256
		for _, f := range vectorFormats {
			w, _ := randomWeight(t, r, f, out, in)
			for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
				values := normals(r, n*in)
				y, x := matOf(make([]float32, n*out), n, out, 1), matOf(values, n, in, 1)
				d.MatVec(y, x, w, 1, false)
				want := valuesOf(t, y)
				values[2*in+37] = float32(bad)
				d.MatVec(y, matOf(values, n, in, 1), w, 1, false)
				for i, v := range valuesOf(t, y) {
					finite := !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
					switch {
					case i/out != 2 && v != want[i]:
						t.Fatalf("%s, %v in row 2: value %d is %v, was %v", f, bad, i, v, want[i])
					case i/out == 2 && (finite || math.IsNaN(bad) && v == v):
						t.Fatalf("%s: %v gives %v", f, bad, v)
					}
				}
			}
		}
	})
}

// An infinite weight gives an infinite sum, wherever it is in a vector.
func TestMatVecOfAnInfiniteWeight(t *testing.T) {
	infinity := map[compute.Format][]byte{compute.F32: {0, 0, 0x80, 0x7f}, compute.F16: {0, 0x7c}, compute.BF16: {0x80, 0x7f}}
	eachKernels(t, func(t *testing.T, d *Device) {
		for f, bytes := range infinity {
			for _, in := range []int{1, 7, 8, 13, 16, 29, 32} {
				for at := range in {
					data := make([]byte, f.RowBytes(in))
					copy(data[f.RowBytes(at):], bytes)
					w, err := compute.NewWeight(f, 1, in, data)
					if err != nil {
						t.Fatal(err)
					}
					x, y := d.New(1, in), matOf(make([]float32, 1), 1, 1, 0)
					for i := range in {
						x.Float32s()[i] = 1
					}
					d.MatVec(y, compute.Of(x), w, 1, false)
					near(t, fmt.Sprintf("%s, value %d of %d", f, at, in), valuesOf(t, y), []float64{math.Inf(1)}, 0, 0)
				}
			}
		}
	})
}

// Many devices may multiply by a weight for the first time at once.
func TestMatVecConcurrentFirstUse(t *testing.T) {
	r := random()
	for _, f := range integerFormats {
		w, _ := randomWeight(t, r, f, 40, 256)
		x, want := randomMat(r, 3, 256), matOf(make([]float32, 120), 3, 40, 0)
		var all sync.WaitGroup
		results := make([]compute.Mat, 8)
		for i := range results {
			results[i] = matOf(make([]float32, 120), 3, 40, 0)
			all.Go(func() { parallelDevice(2).MatVec(results[i], x, w, 1, false) })
		}
		all.Wait()
		parallelDevice(1).MatVec(want, x, w, 1, false)
		for _, y := range results {
			if !slices.Equal(valuesOf(t, y), valuesOf(t, want)) {
				t.Errorf("%s: results differ", f)
			}
		}
	}
}

// A weight that shares an array follows it, and no copy of it is kept.
func TestMatVecFollowsASharedArray(t *testing.T) {
	d := New(1)
	array := d.New(2, 3)
	w := compute.SharedF32(array)
	x, y := matOf([]float32{1, 2, 3}, 1, 3, 0), matOf(make([]float32, 2), 1, 2, 0)
	copy(d.Host(compute.Of(array)), []float32{1, 1, 1, 0, 1, 0})
	d.MatVec(y, x, w, 1, false)
	near(t, "y", valuesOf(t, y), []float64{6, 2}, 0, 0)
	d.Host(compute.Of(array))[0] = 5
	d.MatVec(y, x, w, 1, false)
	near(t, "y after a change", valuesOf(t, y), []float64{10, 2}, 0, 0)
}

func TestMatVecShapesThatDoNotFitPanic(t *testing.T) {
	d, r := New(1), random()
	w, _ := randomWeight(t, r, compute.Q8_0, 3, 32)
	mustPanic(t, "columns of y", func() { d.MatVec(randomMat(r, 2, 2), randomMat(r, 2, 32), w, 1, false) })
	mustPanic(t, "columns of x", func() { d.MatVec(randomMat(r, 2, 3), randomMat(r, 2, 64), w, 1, false) })
	mustPanic(t, "rows", func() { d.MatVec(randomMat(r, 1, 3), randomMat(r, 2, 32), w, 1, false) })
}

func TestMatVecAllocatesNothing(t *testing.T) {
	d, r := New(1), random()
	for _, f := range vectorFormats {
		w, _ := randomWeight(t, r, f, 64, 256)
		x, y := randomMat(r, 3, 256), randomMat(r, 3, 64)
		run := func() { d.MatVec(y, x, w, 1, false) }
		run()
		if n := testing.AllocsPerRun(10, run); n != 0 {
			t.Errorf("%s: %v allocations", f, n)
		}
	}
}
