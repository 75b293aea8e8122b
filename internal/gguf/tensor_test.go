package gguf_test

import (
	"testing"

	"github.com/retort-ml/retort/internal/gguf"
)

func TestTensorTypes(t *testing.T) {
	// Bits per weight as published for the formats, an independent check of
	// block and type sizes.
	bitsPerWeight := map[string]float64{
		"F32": 32, "F16": 16, "BF16": 16, "F64": 64, "I8": 8, "I16": 16, "I32": 32, "I64": 64,
		"Q4_0": 4.5, "Q4_1": 5, "Q5_0": 5.5, "Q5_1": 6, "Q8_0": 8.5,
		"Q2_K": 2.625, "Q3_K": 3.4375, "Q4_K": 4.5, "Q5_K": 5.5, "Q6_K": 6.5625,
		"IQ1_S": 1.5625, "IQ1_M": 1.75, "IQ2_XXS": 2.0625, "IQ2_XS": 2.3125, "IQ2_S": 2.5625,
		"IQ3_XXS": 3.0625, "IQ3_S": 3.4375, "IQ4_NL": 4.5, "IQ4_XS": 4.25,
		"TQ1_0": 1.6875, "TQ2_0": 2.0625, "MXFP4": 4.25,
	}
	for name, want := range bitsPerWeight {
		typ, err := gguf.ParseTensorType(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := float64(typ.TypeSize()*8) / float64(typ.BlockSize()); got != want {
			t.Errorf("%s: %g bits per weight, want %g", name, got, want)
		}
		if typ.Name() != name || typ.String() != name {
			t.Errorf("type %d: named %s, want %s", typ, typ.Name(), name)
		}
	}
	if _, err := gguf.ParseTensorType("q4_k"); err == nil {
		t.Error("ParseTensorType accepted q4_k")
	}
	if unknown := gguf.TensorType(4); unknown.Name() != "type 4" || unknown.BlockSize() != 0 || unknown.TypeSize() != 0 {
		t.Errorf("unknown type: %s, %d, %d", unknown.Name(), unknown.BlockSize(), unknown.TypeSize())
	}
}

func TestTensorSize(t *testing.T) {
	cases := []struct {
		name string
		typ  gguf.TensorType
		dims []int
		want int64 // -1: refused
	}{
		{"scalar", gguf.F32, nil, 4},
		{"row", gguf.F16, []int{3}, 6},
		{"matrix of blocks", gguf.Q4_K, []int{512, 3}, 2 * 144 * 3},
		{"four dims", gguf.Q8_0, []int{64, 2, 3, 5}, 2 * 34 * 30},
		{"empty", gguf.Q8_0, []int{32, 0}, 0},
		{"blocks do not cross rows", gguf.Q8_0, []int{16, 2}, -1},
		{"negative", gguf.F32, []int{-1, -1}, -1},
		{"negative blocks", gguf.Q8_0, []int{-32}, -1},
		{"unknown type", gguf.TensorType(5), []int{32}, -1},
		{"five dims", gguf.F32, []int{1, 1, 1, 1, 1}, -1},
		{"too large", gguf.F32, []int{1 << 40, 1 << 40}, -1},
	}
	for _, c := range cases {
		got, err := gguf.TensorSize(c.typ, c.dims)
		if (err != nil) != (c.want < 0) || err == nil && got != c.want {
			t.Errorf("%s: TensorSize(%s, %v) = %d, %v, want %d", c.name, c.typ, c.dims, got, err, c.want)
		}
	}
}
