package gradcheck_test

import (
	"math"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/gradcheck"
)

func TestNumericOfAPolynomial(t *testing.T) {
	x := []float32{0.5, -1, 2}
	f := func() float64 { // x0⁴ + 3·x0·x1² − x2
		a, b, c := float64(x[0]), float64(x[1]), float64(x[2])
		return a*a*a*a + 3*a*b*b - c
	}
	got := gradcheck.Numeric(f, x, 1.0/32)
	for i, want := range []float64{4*0.125 + 3, 6 * 0.5 * -1, -1} {
		if !(math.Abs(got[i]-want) < 1e-9) {
			t.Errorf("derivative %d: %v, want %v", i, got[i], want)
		}
	}
	if !slices.Equal(x, []float32{0.5, -1, 2}) {
		t.Errorf("values were left at %v", x)
	}
}

func TestCompare(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name string
		got  []float32
		want []float64
		ok   bool
	}{
		{"equal", []float32{1, -2}, []float64{1, -2}, true},
		{"within", []float32{1.0019, -2}, []float64{1, -2}, true},
		{"outside", []float32{1.0021, -2}, []float64{1, -2}, false},
		{"NaN", []float32{1, nan}, []float64{1, -2}, false},
		{"NaN in both", []float32{1, nan}, []float64{1, math.NaN()}, false},
		{"infinite", []float32{float32(math.Inf(1))}, []float64{math.Inf(1)}, false},
		{"length", []float32{1}, []float64{1, -2}, false},
		{"nothing to see", []float32{0, 0}, []float64{0, 0}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := gradcheck.Compare(c.got, c.want, 1e-3); (err == nil) != c.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}
