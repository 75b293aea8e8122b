package cpu

import (
	"fmt"
	"math"
	"math/big"
	"testing"
	"unsafe"
)

// The kernels agree with roundGo to the bit, and roundGo with its meaning.
func TestRound(t *testing.T) {
	const greatest = math.MaxFloat32
	block := func(values ...float32) []float32 {
		x := make([]float32, 32)
		copy(x[3:], values)
		return x
	}
	r := random()
	scaled := func(s float64) []float32 {
		x := normals(r, 32)
		for i := range x {
			x[i] *= float32(s)
		}
		return x
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	cases := map[string][]float32{
		"nothing": {}, "zeros": block(), "minus zero": block(float32(math.Copysign(0, -1))),
		"one": block(1), "least": block(leastRounded), "under least": block(leastRounded/2, -1e-38),
		"denormal": block(1e-45, -1e-40), "greatest": block(greatest, -greatest, greatest/2, 1),
		"ties":     block(127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, -126.5),
		"infinity": block(1, inf), "minus infinity": block(1, -inf), "NaN": block(inf, nan, 5), "another NaN": block(math.Float32frombits(0xffffffff)),
		"normal": scaled(1), "small": scaled(1e-30), "tiny": scaled(1e-36), "large": scaled(1e36),
		"two": append(scaled(3), scaled(5)...), "mixed": append(append(block(nan), scaled(5)...), append(block(), scaled(2)...)...),
		"long": normals(r, 17024),
	}
	eachKernels(t, func(t *testing.T, d *Device) {
		for name, x := range cases {
			for _, split := range []bool{false, true} {
				for _, step := range []int{1, 3} {
					testRound(t, d, fmt.Sprintf("%s, split %v, step %d", name, split, step), x, step, split)
				}
			}
		}
	})
}

func testRound(t *testing.T, d *Device, what string, x []float32, step int, split bool) {
	t.Helper()
	const offset = 37
	marked := rounded{scale: guard}
	got := make([]rounded, len(x)/32*step+1)
	for i := range got {
		got[i] = marked
	}
	d.kernels.round(got, step, x, offset, split)
	for i, g := range got {
		if i%step > 0 || i/step >= len(x)/32 {
			if g != marked {
				t.Fatalf("%s: wrote to %d", what, i)
			}
			continue
		}
		block := x[i/step*32:][:32]
		checkRounded(t, what, g, block, offset, split)
		want := roundBlock((*[32]float32)(block), offset, split)
		same := math.Float32bits(g.scale) == math.Float32bits(want.scale) || g.scale != g.scale && want.scale != want.scale
		g.scale, want.scale = 0, 0
		if !same || g != want {
			t.Fatalf("%s: block %d is %+v, want %+v", what, i/step, g, want)
		}
	}
}

// checkRounded fails unless r stands for x, whatever rounded it.
func checkRounded(t *testing.T, what string, r rounded, x []float32, offset int32, split bool) {
	t.Helper()
	largest, finite := 0.0, true
	for _, v := range x {
		largest = math.Max(largest, math.Abs(float64(v)))
		finite = finite && v-v == 0
	}
	if !finite {
		if r.scale == r.scale {
			t.Fatalf("%s: a scale of %v for what is not finite", what, r.scale)
		}
		return
	}
	tolerance := largest / 127 * 0.50001
	if largest < leastRounded {
		tolerance = leastRounded
	}
	var sums [2]int32
	for i, q := range r.values {
		if !(math.Abs(float64(q)*float64(r.scale)-float64(x[i])) <= tolerance) {
			t.Fatalf("%s: value %d is %d · %v, want %v", what, i, q, r.scale, x[i])
		}
		sums[i/16] += int32(q)
	}
	want := [2]int32{-offset * sums[0], -offset * sums[1]}
	if !split {
		want[0] += want[1]
		want[1] = want[0]
	}
	if r.sum != float32(sums[0]+sums[1]) || r.start != want {
		t.Fatalf("%s: sum %v and starts %v, want %d and %v", what, r.sum, r.start, sums[0]+sums[1], want)
	}
}

// The kernels in assembly know where the fields are.
func TestRoundedLayout(t *testing.T) {
	var r rounded
	got := [4]uintptr{unsafe.Offsetof(r.scale), unsafe.Offsetof(r.sum), unsafe.Offsetof(r.start), unsafe.Sizeof(r)}
	if want := [4]uintptr{32, 36, 40, 48}; got != want {
		t.Errorf("offsets and size %v, want %v", got, want)
	}
}

func TestFusedAdd(t *testing.T) {
	r := random()
	number := func() float32 {
		switch r.IntN(3) {
		case 0:
			return float32(r.IntN(1<<24)-1<<23) * float32(math.Ldexp(1, r.IntN(60)-30)) // often a tie
		case 1:
			return float32(r.NormFloat64())
		default:
			return math.Float32frombits(r.Uint32())
		}
	}
	exact := func(a, b, c float32) float32 {
		x, y, z := new(big.Float).SetPrec(2000), new(big.Float).SetPrec(2000), new(big.Float).SetPrec(2000)
		x.SetFloat64(float64(a))
		y.SetFloat64(float64(b))
		z.SetFloat64(float64(c))
		f, _ := z.Add(z, x.Mul(x, y)).Float32()
		return f
	}
	finite := func(x float32) bool { return x-x == 0 }
	for range 200_000 {
		a, b, c := number(), number(), number()
		if r.IntN(2) == 0 && finite(a*b) { // close to the product: what is left of it counts
			c = a * b * float32(math.Ldexp(1+r.Float64(), r.IntN(60)-30))
		}
		if !finite(a) || !finite(b) || !finite(c) {
			continue
		}
		if got, want := fusedAdd(a, b, c), exact(a, b, c); got != want {
			t.Fatalf("%v·%v + %v is %v, want %v", a, b, c, got, want)
		}
	}
	// Sums that float64 would round to the middle between two float32: a·b is 1
	// and a little more or less, which the last bit of c is twice of.
	const e = 0x1p-12
	for _, b := range []float32{1 - e, 1 - e + e*e, -1 + e, -1 + e - e*e} {
		for _, c := range []float32{1 << 24, 1<<24 + 2, -1 << 24, -1<<24 - 2} {
			for _, scale := range []float32{1, 0x1p-60, 0x1p60} {
				if got, want := fusedAdd((1+e)*scale, b, c*scale), exact((1+e)*scale, b, c*scale); got != want {
					t.Errorf("%v·%v + %v is %v, want %v", (1+e)*scale, b, c*scale, got, want)
				}
			}
		}
	}
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct{ a, b, c, want float32 }{
		{inf, 1, 1, inf}, {inf, 0, 1, nan}, {1, 1, -inf, -inf}, {nan, 1, 1, nan}, {0, 0, nan, nan},
		{math.MaxFloat32, 2, 0, inf}, {math.MaxFloat32, 2, -math.MaxFloat32, math.MaxFloat32},
	} {
		if got := fusedAdd(c.a, c.b, c.c); got != c.want && (got == got || c.want == c.want) {
			t.Errorf("%v·%v + %v is %v, want %v", c.a, c.b, c.c, got, c.want)
		}
	}
}
