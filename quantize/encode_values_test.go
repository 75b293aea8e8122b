package quantize_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/quantize"
)

// block puts values at the start of a block of zeros.
func block(values ...float32) []float32 {
	return append(values, make([]float32, 32-len(values))...)
}

func TestEncodeValues(t *testing.T) {
	tiny := math.Float32frombits(1)
	cases := []struct {
		name   string
		format compute.Format
		in     []float32
		scale  float32 // as stored
		q      []int   // of the first values
	}{
		{"zeros", compute.Q8_0, block(), 0, []int{0, 0}},
		{"halves go away from zero", compute.Q8_0, block(127, 0.5, -0.5, 1.5, -126.5), 1, []int{127, 1, -1, 2, -127, 0}},
		{"negative largest", compute.Q8_0, block(-254, 2, -3), 2, []int{-127, 1, -2}},
		{"below half a step", compute.Q8_0, block(127, math.Nextafter32(0.5, 0)), 1, []int{127, 0}},
		{"denormal", compute.Q8_0, block(tiny, -tiny), 0, []int{0, 0}},
		{"scale under 16 bits", compute.Q8_0, block(127e-9, 1e-9), 0, []int{127, 1}},
		{"zeros", compute.Q4_0, block(), 0, []int{0, 0}},
		{"negative largest", compute.Q4_0, block(-8, 7, 0.5, -0.5, 8), 1, []int{-8, 7, 1, 0, 7}},
		{"positive largest", compute.Q4_0, block(8, -7, 0.5, -0.5, 1), -1, []int{-8, 7, 0, 1, -1, 0}},
		{"first of two largest", compute.Q4_0, block(-8, 8), 1, []int{-8, 7}},
		{"denormal", compute.Q4_0, block(tiny, -tiny), 0, []int{0, 0}},
	}
	for _, c := range cases {
		t.Run(c.format.String()+" "+c.name, func(t *testing.T) {
			data := make([]byte, c.format.RowBytes(32))
			if err := quantize.Encode(c.format, data, c.in); err != nil {
				t.Fatal(err)
			}
			if d := compute.F16ToF32(binary.LittleEndian.Uint16(data)); d != c.scale {
				t.Errorf("scale %v, want %v", d, c.scale)
			}
			got := make([]int, len(c.q))
			for i := range got {
				if c.format == compute.Q8_0 {
					got[i] = int(int8(data[2+i]))
				} else {
					got[i] = int(data[2+i]&15) - 8
				}
			}
			if !slices.Equal(got, c.q) {
				t.Errorf("q %v, want %v", got, c.q)
			}
		})
	}
}

// No value moves by more than half a step (the whole one at the narrower end of
// Q4_0), and the step's own rounding to 16 bits, if that is not denormal.
func TestEncodeErrorIsBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		format compute.Format
		share  float64 // of the block's largest value
	}{{compute.F32, 0}, {compute.F16, 1.0 / 2048}, {compute.Q8_0, 0.5/127 + 1.0/2048}, {compute.Q4_0, 1.0/8 + 1.0/2048}} {
		values, back := make([]float32, 32), make([]float32, 32)
		data := make([]byte, c.format.RowBytes(32))
		for range 2000 {
			largest := 0.0
			scale := math.Exp(math.Abs(rng.NormFloat64()) * 2)
			for i := range values {
				values[i] = float32(rng.NormFloat64() * scale)
				largest = max(largest, math.Abs(float64(values[i])))
			}
			if err := quantize.Encode(c.format, data, values); err != nil {
				t.Fatal(err)
			}
			compute.Dequantize(c.format, back, data)
			for i := range values {
				if d := math.Abs(float64(back[i] - values[i])); !(d <= c.share*largest+1e-7) {
					t.Fatalf("%s: %v became %v in a block up to %v", c.format, values[i], back[i], largest)
				}
			}
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	inf, nan := float32(math.Inf(-1)), float32(math.NaN())
	long := func(at int, v float32) []float32 {
		values := make([]float32, 96)
		values[at] = v
		return values
	}
	cases := []struct {
		name   string
		format compute.Format
		in     []float32
		want   string
	}{
		{"NaN in F32", compute.F32, long(1, nan), "value 1 is NaN"},
		{"NaN in F16", compute.F16, long(95, nan), "value 95 is NaN"},
		{"NaN", compute.Q8_0, long(40, nan), "value 40 is NaN"},
		{"infinity", compute.Q4_0, long(64, inf), "value 64 is -Inf"},
		{"past F16", compute.F16, long(7, 65520), "value 7 is 65520: too large for F16"},
		{"past Q8_0", compute.Q8_0, long(33, -65520*127), "value 33 is -8.32104e+06: too large for Q8_0"},
		{"past Q4_0", compute.Q4_0, long(65, 65520*8), "value 65 is 524160: too large for Q4_0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := quantize.Encode(c.format, make([]byte, c.format.RowBytes(96)), c.in)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Encode = %v, want %q", err, c.want)
			}
		})
	}
	for _, c := range []struct {
		format compute.Format
		v      float32
	}{{compute.F16, 65504}, {compute.Q8_0, 65504 * 127}, {compute.Q4_0, -65504 * 8}} {
		if err := quantize.Encode(c.format, make([]byte, c.format.RowBytes(96)), long(3, c.v)); err != nil {
			t.Errorf("%v in %s: %v", c.v, c.format, err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	values := make([]float32, 4096)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range values {
		values[i] = float32(rng.NormFloat64())
	}
	for _, f := range []compute.Format{compute.F16, compute.Q8_0, compute.Q4_0} {
		b.Run(f.String(), func(b *testing.B) {
			data := make([]byte, f.RowBytes(len(values)))
			b.SetBytes(int64(4 * len(values)))
			for b.Loop() {
				if err := quantize.Encode(f, data, values); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
