package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// eachShape calls test for shapes around block edges.
func eachShape(t *testing.T, test func(t *testing.T, rows, cols int)) {
	t.Helper()
	for _, shape := range [][2]int{{0, 3}, {3, 0}, {1, 1}, {1, 1000}, {7, 8}, {9, 31}, {31, 32}, {100, 33}, {1000, 7}, {300, 100}} {
		t.Run(fmt.Sprintf("%dx%d", shape[0], shape[1]), func(t *testing.T) { test(t, shape[0], shape[1]) })
	}
}

func TestAddScaleCopy(t *testing.T) {
	d := parallelDevice(2)
	eachShape(t, func(t *testing.T, rows, cols int) {
		r := random()
		y, a, b := randomMat(r, rows, cols), randomMat(r, rows, cols), randomMat(r, rows, cols)
		va, vb := valuesOf(t, a), valuesOf(t, b)
		sum, scaled := make([]float64, len(va)), make([]float64, len(va))
		for i := range va {
			sum[i], scaled[i] = float64(va[i]+vb[i]), float64(va[i]*3)
		}
		d.Add(y, a, b)
		near(t, "Add", valuesOf(t, y), sum, 0, 0)
		d.Copy(y, a)
		near(t, "Copy", valuesOf(t, y), doubles(va), 0, 0)
		d.Scale(y, 3)
		near(t, "Scale", valuesOf(t, y), scaled, 0, 0)
		d.Add(a, a, b)
		near(t, "Add in place of a", valuesOf(t, a), sum, 0, 0)
		d.Copy(a, matOf(va, rows, cols, 2))
		d.Add(b, a, b)
		near(t, "Add in place of b", valuesOf(t, b), sum, 0, 0)
	})
}

func TestAddRowAndSumRows(t *testing.T) {
	d := parallelDevice(2)
	eachShape(t, func(t *testing.T, rows, cols int) {
		r := random()
		x, row := randomMat(r, rows, cols), randomMat(r, 1, cols)
		vx, vr := valuesOf(t, x), valuesOf(t, row)
		added, sums := make([]float64, len(vx)), doubles(vr)
		for i, v := range vx {
			added[i] = float64(v + vr[i%cols])
			sums[i%cols] += float64(v)
		}
		d.SumRows(row, x)
		near(t, "SumRows", valuesOf(t, row), sums, 1e-6, 1e-6)
		d.AddRow(x, matOf(vr, 1, cols, 0))
		near(t, "AddRow", valuesOf(t, x), added, 0, 0)
	})
}

func TestGatherAndScatter(t *testing.T) {
	d, r := parallelDevice(2), random()
	x := randomMat(r, 10, 33)
	rows := []int32{9, 0, 3, 7}
	y := randomMat(r, len(rows), 33)
	d.Gather(y, x, rows)
	vx, vy := valuesOf(t, x), valuesOf(t, y)
	for i, from := range rows {
		near(t, fmt.Sprintf("gathered row %d", i), vy[i*33:(i+1)*33], doubles(vx[from*33:(from+1)*33]), 0, 0)
	}
	z := randomMat(r, 10, 33)
	want := valuesOf(t, z)
	for i, to := range rows {
		copy(want[to*33:(to+1)*33], vy[i*33:])
	}
	d.Scatter(z, y, rows)
	near(t, "scattered", valuesOf(t, z), doubles(want), 0, 0)
	for _, bad := range [][]int32{{0, 1, 2, 10}, {-1, 1, 2, 3}, {1, 2}} {
		mustPanic(t, "Gather", func() { d.Gather(y, x, bad) })
		mustPanic(t, "Scatter", func() { d.Scatter(x, y, bad) })
	}
}

func TestSumSquares(t *testing.T) {
	d := parallelDevice(2)
	eachShape(t, func(t *testing.T, rows, cols int) {
		x := randomMat(random(), rows, cols)
		want := 0.0
		for _, v := range valuesOf(t, x) {
			want += float64(v) * float64(v)
		}
		if got := d.SumSquares(x); !(math.Abs(got-want) <= 1e-12*want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestSumSquaresDoesNotOverflow(t *testing.T) {
	if got := New(1).SumSquares(matOf([]float32{1e30, 1e30}, 1, 2, 0)); !(math.Abs(got-2e60) <= 1e54) {
		t.Errorf("got %v, want 2e60", got)
	}
}

func TestEmbed(t *testing.T) {
	d, r := parallelDevice(2), random()
	ids := []int32{3, -1, 0, 3, 6}
	for _, f := range formats {
		in := max(96, f.BlockValues()) // rows of NF4 begin within a block
		w, values := randomWeight(t, r, f, 7, in)
		y := randomMat(r, len(ids), in)
		d.Embed(y, w, ids, 0.5)
		want := make([]float64, len(ids)*in)
		for i, id := range ids {
			for j := 0; id >= 0 && j < in; j++ {
				want[i*in+j] = float64(values[int(id)*in+j]) * 0.5
			}
		}
		near(t, f.String(), valuesOf(t, y), want, 0, 0)
		mustPanic(t, "id 7 of 7", func() { d.Embed(y, w, []int32{0, 0, 0, 0, 7}, 1) })
	}
}

func TestEmbedGrad(t *testing.T) {
	d, r := parallelDevice(2), random()
	ids := []int32{3, -1, 0, 3, 6, 3}
	for _, cols := range []int{1, 31, 33, 100} {
		dw, dy := randomMat(r, 7, cols), randomMat(r, len(ids), cols)
		want, vy := doubles(valuesOf(t, dw)), valuesOf(t, dy)
		for i, id := range ids {
			for j := 0; id >= 0 && j < cols; j++ {
				want[int(id)*cols+j] += 2 * float64(vy[i*cols+j])
			}
		}
		d.EmbedGrad(dw, dy, ids, 2)
		near(t, fmt.Sprint(cols), valuesOf(t, dw), want, 1e-6, 1e-6)
	}
	mustPanic(t, "id 7 of 7", func() { d.EmbedGrad(randomMat(r, 7, 2), randomMat(r, 1, 2), []int32{7}, 1) })
}

func TestDropout(t *testing.T) {
	d, r := parallelDevice(2), random()
	const rows, cols, p = 200, 101, 0.15
	x := matOf(slices.Repeat([]float32{2}, rows*cols), rows, cols, 0)
	y := randomMat(r, rows, cols)
	d.Dropout(y, x, p, 7)
	first := valuesOf(t, y)
	dropped := 0
	for i, v := range first {
		switch {
		case v == 0:
			dropped++
		case !(math.Abs(float64(v)-2/(1-p)) < 1e-6):
			t.Fatalf("value %d is %v, want 0 or 2/(1-p)", i, v)
		}
	}
	// The count is binomial; six standard deviations.
	n := float64(rows * cols)
	if sigma := math.Sqrt(n * p * (1 - p)); !(math.Abs(float64(dropped)-n*p) < 6*sigma) {
		t.Errorf("%d of %v dropped, want about %v", dropped, n, n*p)
	}
	d.Dropout(x, x, p, 7)
	near(t, "in place, another stride", valuesOf(t, x), doubles(first), 0, 0)

	kept := func(key uint64) []float32 {
		z := matOf(slices.Repeat([]float32{1}, rows*cols), rows, cols, 3)
		d.Dropout(z, z, 0.5, key)
		return valuesOf(t, z)
	}
	// Keys and neighbours are independent: half of all pairs agree.
	a := kept(1)
	for _, key := range []uint64{0, 2, 1 << 63, 0x9e3779b97f4a7c15 + 1} {
		if same := agreement(a, kept(key)); !(math.Abs(same-0.5) < 0.03) {
			t.Errorf("keys 1 and %d agree in %v of all elements", key, same)
		}
	}
	for _, apart := range []int{1, 2, 3, 4, 5, cols} {
		if same := agreement(a, a[apart:]); !(math.Abs(same-0.5) < 0.03) {
			t.Errorf("elements %d apart agree in %v of all pairs", apart, same)
		}
	}
}

func agreement(a, b []float32) float64 {
	n, same := min(len(a), len(b)), 0
	for i := range n {
		if a[i] == b[i] {
			same++
		}
	}
	return float64(same) / float64(n)
}

func TestDropoutProbabilities(t *testing.T) {
	d, r := New(1), random()
	x, y := randomMat(r, 9, 9), randomMat(r, 9, 9)
	d.Dropout(y, x, 0, 1)
	near(t, "p 0", valuesOf(t, y), doubles(valuesOf(t, x)), 0, 0)
	for _, p := range []float32{1, -0.1, float32(math.NaN()), 2} {
		mustPanic(t, fmt.Sprint(p), func() { d.Dropout(y, x, p, 1) })
	}
}

// Results are the same bytes at any number of threads.
func TestThreadsGiveTheSameBytes(t *testing.T) {
	for name, run := range map[string]func(d *Device) compute.Mat{
		"MatMul": func(d *Device) compute.Mat {
			w, _ := randomWeight(t, random(), compute.Q8_0, 70, 1056)
			y := randomMat(random(), 150, 70)
			d.MatMul(y, randomMat(random(), 150, 1056), w, 1, true)
			return y
		},
		"MatMul of a row": func(d *Device) compute.Mat {
			w, _ := randomWeight(t, random(), compute.Q4_0, 1000, 64)
			y := randomMat(random(), 1, 1000)
			d.MatMul(y, randomMat(random(), 1, 64), w, 1, true)
			return y
		},
		"MatMulGrad": func(d *Device) compute.Mat {
			w, _ := randomWeight(t, random(), compute.F32, 1100, 40)
			dx := randomMat(random(), 300, 40)
			d.MatMulGrad(dx, randomMat(random(), 300, 1100), w, 1, true)
			return dx
		},
		"MatMulOuter": func(d *Device) compute.Mat {
			dw := randomMat(random(), 300, 16)
			d.MatMulOuter(dw, randomMat(random(), 1100, 300), randomMat(random(), 1100, 16), 1, true)
			return dw
		},
		"MatMulOuter of a wide gradient": func(d *Device) compute.Mat {
			dw := randomMat(random(), 700, 70)
			d.MatMulOuter(dw, randomMat(random(), 300, 700), randomMat(random(), 300, 70), 1, true)
			return dw
		},
		"MatMulOuter of few columns": func(d *Device) compute.Mat {
			dw := randomMat(random(), 16, 100)
			d.MatMulOuter(dw, randomMat(random(), 1100, 16), randomMat(random(), 1100, 100), 1, true)
			return dw
		},
		"SumRows": func(d *Device) compute.Mat {
			y := randomMat(random(), 1, 100)
			d.SumRows(y, randomMat(random(), 1000, 100))
			return y
		},
		"EmbedGrad": func(d *Device) compute.Mat {
			dw := randomMat(random(), 3, 100)
			d.EmbedGrad(dw, randomMat(random(), 1000, 100), make([]int32, 1000), 1)
			return dw
		},
		"RMSNormGrad": func(d *Device) compute.Mat {
			r := random()
			dgain := randomMat(r, 1, 100)
			d.RMSNormGrad(randomMat(r, 500, 100), dgain, randomMat(r, 500, 100), randomMat(r, 500, 100), randomMat(r, 1, 100), 1e-5, true)
			return dgain
		},
		"SumSquares": func(d *Device) compute.Mat {
			bits := math.Float64bits(d.SumSquares(randomMat(random(), 1000, 33)))
			return matOf([]float32{float32(bits >> 42), float32(bits >> 21 & 0x1fffff), float32(bits & 0x1fffff)}, 1, 3, 0)
		},
		"Dropout": func(d *Device) compute.Mat {
			x := randomMat(random(), 1000, 33)
			d.Dropout(x, x, 0.2, 5)
			return x
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := valuesOf(t, run(parallelDevice(1)))
			for _, threads := range []int{2, 3, 8} {
				near(t, fmt.Sprintf("%d threads", threads), valuesOf(t, run(parallelDevice(threads))), doubles(want), 0, 0)
			}
		})
	}
}

// Which elements are dropped is part of what a recipe's result follows from.
func TestDropoutStaysAsItIs(t *testing.T) {
	x := matOf([]float32{1, 2, 3, 4, 5, 6, float32(math.Inf(1)), 8, float32(math.NaN()), 10}, 2, 5, 1)
	New(1).Dropout(x, x, 0.5, 42)
	near(t, "kept", valuesOf(t, x), []float64{0, 0, 0, 8, 10, 0, math.Inf(1), 0, math.NaN(), 0}, 0, 0)
	y := matOf(slices.Repeat([]float32{float32(math.NaN())}, 100), 1, 100, 0)
	New(1).Dropout(y, y, 0.5, 42)
	if !slices.Contains(valuesOf(t, y), 0) {
		t.Error("a NaN that is dropped stays")
	}
}
