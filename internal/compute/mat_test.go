package compute_test

import (
	"testing"

	"gorgonia.org/tensor"

	"github.com/retort-ml/retort/internal/compute"
)

func TestMatRanges(t *testing.T) {
	a := tensor.New(tensor.WithShape(2, 3, 4), tensor.Of(tensor.Float32))
	m := compute.Of(a)
	if m.Rows != 6 || m.Cols != 4 || m.Stride != 4 || m.String() != "(6, 4)" {
		t.Errorf("of (2,3,4): %+v", m)
	}
	part := m.RowRange(2, 5).ColRange(1, 3).RowRange(1, 2)
	if want := (compute.Mat{Array: a, Offset: 3*4 + 1, Rows: 1, Cols: 2, Stride: 4}); part != want {
		t.Errorf("part is %+v, want %+v", part, want)
	}
	for name, f := range map[string]func(){
		"rows over":    func() { m.RowRange(0, 7) },
		"rows under":   func() { m.RowRange(-1, 2) },
		"rows back":    func() { m.RowRange(3, 2) },
		"columns over": func() { m.ColRange(0, 5) },
		"columns back": func() { m.ColRange(2, 1) },
	} {
		mustPanic(t, name, f)
	}
	if v := compute.Of(tensor.New(tensor.WithShape(5), tensor.Of(tensor.Float32))); v.Rows != 1 || v.Cols != 5 {
		t.Errorf("of a vector: %+v", v)
	}
	if v := compute.Of(tensor.New(tensor.FromScalar(float32(1)))); v.Rows != 1 || v.Cols != 1 {
		t.Errorf("of a scalar: %+v", v)
	}
}

func TestStride(t *testing.T) {
	for cols, want := range map[int]int{
		1: 1, 64: 64, 65: 80, 96: 96, 576: 576, 900: 912, 960: (64 + 15) * 16, 1024: (64 + 15) * 16, 1536: 1536,
		3072: (192 + 15) * 16, 49152: (3072 + 15) * 16, 49152 + 13*16: 49152 + 13*16,
	} {
		if got := compute.Stride(cols); got != want {
			t.Errorf("rows of %d values are %d apart, want %d", cols, got, want)
		}
	}
	for cols := 1; cols < 20000; cols++ {
		stride := compute.Stride(cols)
		rest := stride / 16 % 64
		if stride < cols || cols > 64 && stride%16 != 0 || stride >= 64*16 && (rest < 13 || rest > 57) {
			t.Fatalf("rows of %d values are %d apart", cols, stride)
		}
	}
}
