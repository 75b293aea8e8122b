package compute_test

import (
	"math"
	"strings"
	"testing"
	"unsafe"

	"gorgonia.org/tensor"

	"github.com/retort-ml/retort/internal/compute"
)

func TestNewWeightChecksItsData(t *testing.T) {
	for _, c := range []struct {
		name    string
		format  compute.Format
		out, in int
		bytes   int
		err     string
	}{
		{"F32", compute.F32, 2, 3, 24, ""},
		{"F16", compute.F16, 2, 3, 12, ""},
		{"BF16", compute.BF16, 2, 3, 12, ""},
		{"Q8_0", compute.Q8_0, 2, 64, 136, ""},
		{"Q4_0", compute.Q4_0, 2, 64, 72, ""},
		{"Q5_0", compute.Q5_0, 2, 64, 88, ""},
		{"Q4_K", compute.Q4_K, 2, 512, 576, ""},
		{"Q6_K", compute.Q6_K, 2, 512, 840, ""},
		{"a byte short", compute.F32, 2, 3, 23, "23 bytes, want 2 rows of 12 bytes"},
		{"a row more", compute.F32, 2, 3, 36, "36 bytes, want 2 rows of 12 bytes"},
		{"less than a row", compute.Q8_0, 1, 64, 67, "do not hold one row"},
		{"part of a block", compute.Q4_0, 1, 33, 18, "not whole blocks of 32"},
		{"part of a large block", compute.Q6_K, 1, 288, 210, "not whole blocks of 256"},
		{"no rows", compute.F32, 0, 3, 0, "at least 1"},
		{"no columns", compute.F32, 3, 0, 0, "at least 1"},
		{"negative", compute.F32, -1, -1, 4, "at least 1"},
		{"overflowing row", compute.F32, 4, math.MaxInt/4 + 2, 16, "do not hold one row"},
		{"overflowing product", compute.F32, math.MaxInt/4 + 2, 1, 4, "want"},
		{"unknown format", compute.Format(77), 1, 1, 4, "Format(77)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := compute.NewWeight(c.format, c.out, c.in, make([]byte, c.bytes))
			switch {
			case c.err == "" && err != nil:
				t.Fatal(err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Fatalf("error %v, want one with %q", err, c.err)
			case err == nil && (len(w.Data()) != c.bytes || w.Bytes() != c.bytes || w.Array() != nil):
				t.Errorf("%d bytes of %d kept", len(w.Data()), c.bytes)
			}
		})
	}
}

// Each format, by hand.
func TestRow(t *testing.T) {
	q8 := make([]byte, 34) // d 0.5: 0.5·1, 0.5·(−128), …, 0.5·127
	q8[1], q8[2], q8[3], q8[33] = 0x38, 1, 0x80, 127
	q4 := make([]byte, 18) // d −2
	q4[1], q4[2], q4[17] = 0xc0, 0xf0, 0x19
	for _, c := range []struct {
		format compute.Format
		row    []byte
		want   map[int]float32
	}{
		{compute.F32, []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0}, map[int]float32{0: 1, 1: -2}},
		{compute.F16, []byte{0, 0x3c, 0, 0xc0}, map[int]float32{0: 1, 1: -2}},
		{compute.BF16, []byte{0x80, 0x3f, 0, 0xc0}, map[int]float32{0: 1, 1: -2}},
		{compute.Q8_0, q8, map[int]float32{0: 0.5, 1: -64, 2: 0, 31: 63.5}},
		{compute.Q4_0, q4, map[int]float32{0: 16, 16: -14, 15: -2, 31: 14, 1: 16}},
	} {
		in := len(c.row) / c.format.RowBytes(c.format.BlockValues()) * c.format.BlockValues()
		w, err := compute.NewWeight(c.format, 2, in, append(make([]byte, len(c.row)), c.row...))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, in)
		w.Row(got, 1)
		for j, v := range c.want {
			if got[j] != v {
				t.Errorf("%s: value %d is %v, want %v", c.format, j, got[j], v)
			}
		}
		mustPanic(t, "row 2 of 2", func() { w.Row(got, 2) })
		mustPanic(t, "row −1", func() { w.Row(got, -1) })
		mustPanic(t, "a short row", func() { w.Row(got[1:], 0) })
	}
}

func TestFloats(t *testing.T) {
	memory := make([]float32, 3)
	all := unsafe.Slice((*byte)(unsafe.Pointer(&memory[0])), 12)
	for _, skip := range []int{0, 1} { // aligned, and not
		data := all[skip : skip+8]
		copy(data, []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0})
		w, err := compute.NewWeight(compute.F32, 1, 2, data)
		if err != nil {
			t.Fatal(err)
		}
		f := w.Floats()
		if len(f) != 2 || f[0] != 1 || f[1] != -2 {
			t.Errorf("at byte %d: %v", skip, f)
		}
		if &f[0] != &w.Floats()[0] {
			t.Errorf("at byte %d: copied twice", skip)
		}
	}
	w, err := compute.NewWeight(compute.F16, 1, 1, make([]byte, 2))
	if err != nil {
		t.Fatal(err)
	}
	mustPanic(t, "Floats of F16", func() { w.Floats() })
}

func TestSharedF32(t *testing.T) {
	array := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float32{1, 2, 3, 4, 5, 6}))
	w := compute.SharedF32(array)
	if w.Out != 2 || w.In != 3 || w.Data() != nil || w.Array() != array || w.Bytes() != 24 {
		t.Errorf("weight %+v", w)
	}
	array.Float32s()[4] = 50
	row := make([]float32, 3)
	w.Row(row, 1)
	if row[0] != 4 || row[1] != 50 || row[2] != 6 {
		t.Errorf("row 1 after a change: %v", row)
	}
	mustPanic(t, "a vector", func() { compute.SharedF32(tensor.New(tensor.WithShape(3), tensor.Of(tensor.Float32))) })
	mustPanic(t, "float64", func() { compute.SharedF32(tensor.New(tensor.WithShape(3, 3), tensor.Of(tensor.Float64))) })
	if err := array.T(); err != nil {
		t.Fatal(err)
	}
	mustPanic(t, "a transposed view", func() { compute.SharedF32(array) })
}

func TestParseFormat(t *testing.T) {
	for _, f := range []compute.Format{compute.F32, compute.F16, compute.BF16, compute.Q8_0, compute.Q4_0,
		compute.Q5_0, compute.Q4_K, compute.Q6_K, compute.NF4, compute.Q4_1, compute.Q5_1, compute.Q2_K, compute.Q3_K, compute.Q5_K,
		compute.IQ4_NL, compute.IQ4_XS, compute.TQ1_0, compute.TQ2_0, compute.MXFP4} {
		for _, name := range []string{f.String(), strings.ToLower(f.String())} {
			if got, err := compute.ParseFormat(name); got != f || err != nil {
				t.Errorf("%q: %v, %v", name, got, err)
			}
		}
	}
	if _, err := compute.ParseFormat("Q5_9"); err == nil || !strings.Contains(err.Error(), `"Q5_9"`) || !strings.Contains(err.Error(), "Q8_0") {
		t.Errorf("Q5_9: %v", err)
	}
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}
