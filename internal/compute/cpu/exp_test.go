package cpu

import (
	"fmt"
	"math"
	"testing"
)

func TestExp32(t *testing.T) {
	for x := float32(-87.2); x < 88.7; x += 0.0137 {
		got, want := float64(exp32(x)), math.Exp(float64(x))
		if !(math.Abs(got-want) <= 2e-7*want) {
			t.Fatalf("exp(%v) is %v, want %v", x, got, want)
		}
	}
	inf := math.Inf(1)
	for _, c := range []struct{ x, want float64 }{{-87.4, 0}, {-1e30, 0}, {-inf, 0}, {0, 1}, {89, inf}, {inf, inf}, {math.NaN(), math.NaN()}} {
		near(t, fmt.Sprintf("exp(%v)", c.x), []float32{exp32(float32(c.x))}, []float64{c.want}, 0, 0)
	}
}

func TestExp(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for _, n := range append([]int{15, 16, 17, 63, 65}, sizes...) {
			for _, spread := range []float32{0.1, 1, 10, 60} {
				x, y := randomMat(r, 1, n), randomMat(r, 1, n)
				d.Scale(x, spread)
				row := viewOf("x", x).row(0)
				if n > 8 {
					row[3], row[7] = float32(math.Inf(-1)), -1e30
				}
				shift := d.kernels.maximum(row)
				want := make([]float32, n)
				wantSum := expRef(want, row, shift)
				sum := d.kernels.exp(viewOf("y", y).row(0), row, shift)
				near(t, fmt.Sprintf("sum of %d", n), []float32{sum}, []float64{float64(wantSum)}, 0, 1e-6)
				near(t, fmt.Sprintf("%d values", n), valuesOf(t, y), doubles(want), 0, 3e-7)
				if again := d.kernels.exp(row, row, shift); again != sum {
					t.Errorf("in place: sum %v, want %v", again, sum)
				}
				near(t, "in place", valuesOf(t, x), doubles(valuesOf(t, y)), 0, 0)
			}
		}
	})
}

func TestExpPassesNaNAndInfinityOn(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, bad := range []float64{math.NaN(), math.Inf(1)} {
			for at := range 40 {
				x := make([]float32, 40)
				x[at] = float32(bad)
				sum := d.kernels.exp(x, x, 0)
				near(t, fmt.Sprintf("%v at %d", bad, at), []float32{sum, x[at]}, []float64{bad, bad}, 0, 0)
			}
		}
	})
}

func TestMaximum(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for _, n := range append([]int{15, 16, 17, 63, 65}, sizes...) {
			for at := 0; at < n; at += 1 + n/40 {
				x := randomMat(r, 1, n)
				row := viewOf("x", x).row(0)
				d.Scale(x, 0.1)
				row[at] = 77
				row[(at+1)%n] = float32(math.NaN())
				row[at] = 77
				want := maximumRef(row)
				if got := d.kernels.maximum(row); got != want {
					t.Fatalf("%d values, largest at %d: got %v, want %v", n, at, got, want)
				}
			}
		}
		if got := d.kernels.maximum(nil); !math.IsInf(float64(got), -1) {
			t.Errorf("maximum of none is %v", got)
		}
	})
}

func maximumRef(x []float32) float32 {
	largest := float32(math.Inf(-1))
	for _, v := range x {
		if v == v {
			largest = max(largest, v)
		}
	}
	return largest
}
