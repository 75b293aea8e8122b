package compute_test

import (
	"math"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// nf4Data is a matrix of n values whose parts are all different.
func nf4Data(n int) compute.NF4Data {
	scales := (n + 63) / 64
	d := compute.NF4Data{
		Codes: make([]byte, n/2), QuantMap: make([]float32, 16), Absmax: make([]byte, scales),
		NestedMap: make([]float32, 256), NestedAbsmax: make([]float32, (scales+255)/256), NestedOffset: 0.75,
	}
	for i := range d.Codes {
		d.Codes[i] = byte(i * 37)
	}
	for i := range d.QuantMap {
		d.QuantMap[i] = float32(i)/8 - 1.1
	}
	for i := range d.Absmax {
		d.Absmax[i] = byte(i * 3)
	}
	for i := range d.NestedMap {
		d.NestedMap[i] = float32(i)/100 - 1
	}
	for i := range d.NestedAbsmax {
		d.NestedAbsmax[i] = 0.1 + float32(i)/7
	}
	return d
}

// The shapes have rows that begin in the middle of a block, a last block that
// is half a one, and more scales than share a scale.
func TestNF4(t *testing.T) {
	for _, shape := range [][2]int{{1, 32}, {3, 32}, {2, 96}, {3, 288}, {70, 256}, {1, 64 * 513}} {
		out, in := shape[0], shape[1]
		d := nf4Data(out * in)
		values := make([]float32, out*in)
		for i := range values {
			code := d.Codes[i/2] >> 4
			if i%2 == 1 {
				code = d.Codes[i/2] & 15
			}
			nested := d.NestedMap[d.Absmax[i/64]] * d.NestedAbsmax[i/(64*256)]
			values[i] = d.QuantMap[code] * (float32(nested) + d.NestedOffset)
		}
		w, err := compute.NewNF4Weight(out, in, d)
		if err != nil {
			t.Fatal(err)
		}
		if in < 1000 {
			testParts(t, w, values)
		}
		row := make([]float32, in)
		w.Row(row, out-1)
		sameBits(t, "last row", row, values[(out-1)*in:])
		blocks := (out*in + 63) / 64
		if want := out*in/2 + blocks + 4*((blocks+255)/256); w.Bytes() != want || w.Array() != nil || len(w.Data()) != out*in/2 {
			t.Errorf("%v: %d bytes, want %d", shape, w.Bytes(), want)
		}
		if got := w.NF4(); got == nil || &got.Codes[0] != &d.Codes[0] || &got.Absmax[0] != &d.Absmax[0] {
			t.Errorf("%v: the parts were copied", shape)
		}
	}
}

// By hand: the first code is in the upper half of a byte.
func TestNF4Values(t *testing.T) {
	d := nf4Data(64)
	d.Codes[0], d.Absmax[0], d.NestedAbsmax[0], d.NestedOffset = 0x1f, 7, 8, 0.5
	d.QuantMap[1], d.QuantMap[15], d.NestedMap[7] = -0.5, 0.25, 0.125
	w, err := compute.NewNF4Weight(2, 32, d)
	if err != nil {
		t.Fatal(err)
	}
	row := make([]float32, 32)
	if w.Row(row, 0); row[0] != -0.75 || row[1] != 0.375 {
		t.Errorf("first values %v, want -0.75 and 0.375", row[:2])
	}
}

func TestNewNF4WeightChecksItsParts(t *testing.T) {
	for _, c := range []struct {
		name    string
		out, in int
		change  func(d *compute.NF4Data)
		err     string
	}{
		{"codes", 2, 96, func(d *compute.NF4Data) { d.Codes = d.Codes[1:] }, "95 bytes, want 2 rows of 48"},
		{"quant_map", 2, 96, func(d *compute.NF4Data) { d.QuantMap = d.QuantMap[1:] }, "15 values of quant_map, want 16"},
		{"absmax", 2, 96, func(d *compute.NF4Data) { d.Absmax = d.Absmax[1:] }, "2 values of absmax, want 3"},
		{"nested_quant_map", 2, 96, func(d *compute.NF4Data) { d.NestedMap = nil }, "0 values of nested_quant_map, want 256"},
		{"nested_absmax", 2, 96, func(d *compute.NF4Data) { d.NestedAbsmax = make([]float32, 2) }, "2 values of nested_absmax, want 1"},
		{"part of a group", 4, 48, func(*compute.NF4Data) {}, "rows of 48 values are not whole blocks of 32"},
		{"no rows", 0, 96, func(*compute.NF4Data) {}, "at least 1"},
		{"overflow", math.MaxInt/32 + 2, 32, func(*compute.NF4Data) {}, "want"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := nf4Data(2 * 96)
			c.change(&d)
			_, err := compute.NewNF4Weight(c.out, c.in, d)
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "NF4") {
				t.Errorf("error %v, want one with %q", err, c.err)
			}
		})
	}
	if _, err := compute.NewWeight(compute.NF4, 2, 96, make([]byte, 96)); err == nil || !strings.Contains(err.Error(), "scales") {
		t.Errorf("NF4 without its scales: %v", err)
	}
}
