package compute_test

import (
	"math"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

func TestF16(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		bits  uint16
		value float32
	}{
		{0, 0}, {0x3c00, 1}, {0xc000, -2}, {0x3555, 0.333251953125}, {0x7bff, 65504}, {0x0400, 1.0 / (1 << 14)},
		{0x0001, 1.0 / (1 << 24)}, {0x83ff, -1023.0 / (1 << 24)}, {0x7c00, inf}, {0xfc00, -inf},
	} {
		if got := compute.F16ToF32(c.bits); got != c.value {
			t.Errorf("%#04x is %v, want %v", c.bits, got, c.value)
		}
	}
}

// Every binary16 value comes back; halfway between two neighbours the even one
// is taken, and a float32 to either side goes to the nearer.
func TestF16RoundsToNearestEven(t *testing.T) {
	for h := range uint16(0x7c00) {
		low := compute.F16ToF32(h)
		checkRounding(t, "F16", compute.F32ToF16, h, low, float64(compute.F16ToF32(h+1)))
		if h == 0x7bff {
			break
		}
	}
	for x, want := range map[float32]uint16{65519.996: 0x7bff, 65520: 0x7c00, 1e30: 0x7c00, -1e30: 0xfc00} {
		if got := compute.F32ToF16(x); got != want {
			t.Errorf("%v gives %#04x, want %#04x", x, got, want)
		}
	}
}

func TestBF16RoundsToNearestEven(t *testing.T) {
	for h := range uint16(0x7f7f) {
		checkRounding(t, "BF16", compute.F32ToBF16, h, compute.BF16ToF32(h), float64(compute.BF16ToF32(h+1)))
	}
	if got := compute.F32ToBF16(math.MaxFloat32); got != 0x7f80 {
		t.Errorf("the largest float32 gives %#04x, want infinity", got)
	}
}

// checkRounding tests the float32 values between those of h and h+1.
func checkRounding(t *testing.T, name string, round func(float32) uint16, h uint16, low float32, high float64) {
	t.Helper()
	if got := round(low); got != h {
		t.Fatalf("%s: %v gives %#04x, want %#04x", name, low, got, h)
	}
	if got := round(-low); got != h|0x8000 {
		t.Fatalf("%s: −%v gives %#04x, want %#04x", name, low, got, h|0x8000)
	}
	if math.IsInf(high, 0) {
		return
	}
	middle := float32((float64(low) + high) / 2)
	if got := round(middle); got != h+h&1 {
		t.Fatalf("%s: %v, between %v and %v, gives %#04x, want the even one of %#04x", name, middle, low, high, got, h)
	}
	if got := round(math.Nextafter32(middle, 0)); got != h {
		t.Fatalf("%s: just under %v gives %#04x, want %#04x", name, middle, got, h)
	}
	if got := round(math.Nextafter32(middle, math.MaxFloat32)); got != h+1 {
		t.Fatalf("%s: just over %v gives %#04x, want %#04x", name, middle, got, h+1)
	}
}

func TestHalvesKeepNaN(t *testing.T) {
	for _, bits := range []uint32{0x7fc00000, 0xffc12345, 0x7f800001, 0xff800001} {
		x := math.Float32frombits(bits)
		if y := compute.F16ToF32(compute.F32ToF16(x)); y == y {
			t.Errorf("F16 of NaN %#x is %v", bits, y)
		}
		if y := compute.BF16ToF32(compute.F32ToBF16(x)); y == y {
			t.Errorf("BF16 of NaN %#x is %v", bits, y)
		}
	}
	for _, h := range []uint16{0x7c01, 0xfe00, 0xffff} {
		if y := compute.F16ToF32(h); y == y {
			t.Errorf("F16 %#04x is %v, want NaN", h, y)
		}
	}
}
