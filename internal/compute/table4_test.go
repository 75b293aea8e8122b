package compute_test

import (
	"math"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

func table4(n int) compute.Table4Data {
	d := compute.Table4Data{Codes: make([]byte, n/2), Table: make([]float32, 16), Scales: make([]float32, (n+63)/64)}
	for i := range d.Codes {
		d.Codes[i] = byte(i * 37)
	}
	for i := range d.Table {
		d.Table[i] = float32(i*i)/90 - 1.1
	}
	for i := range d.Scales {
		d.Scales[i] = 0.3 + float32(i)/7
	}
	return d
}

// Rows begin in the middle of a block of scales, and the last block is half a one.
func TestTable4(t *testing.T) {
	for _, shape := range [][2]int{{1, 32}, {3, 32}, {2, 96}, {5, 288}} {
		out, in := shape[0], shape[1]
		d := table4(out * in)
		values := make([]float32, out*in)
		for i := range values {
			code := d.Codes[i/2] >> 4
			if i%2 == 1 {
				code = d.Codes[i/2] & 15
			}
			values[i] = float32(float64(d.Table[code]) * float64(d.Scales[i/64]))
		}
		w, err := compute.NewTable4Weight(out, in, d)
		if err != nil {
			t.Fatal(err)
		}
		testParts(t, w, values)
		if want := compute.TABLE4.MatrixBytes(out, in); w.Bytes() != want || want != out*in/2+4*len(d.Scales) {
			t.Errorf("%v: %d bytes, want %d", shape, w.Bytes(), want)
		}
	}
}

func TestNewTable4WeightChecksItsParts(t *testing.T) {
	for _, c := range []struct {
		name    string
		out, in int
		change  func(d *compute.Table4Data)
		err     string
	}{
		{"codes", 2, 96, func(d *compute.Table4Data) { d.Codes = d.Codes[1:] }, "95 bytes, want 2 rows of 48"},
		{"table", 2, 96, func(d *compute.Table4Data) { d.Table = d.Table[1:] }, "15 values of the table and 3 scales, want 16 and 3"},
		{"scales", 2, 96, func(d *compute.Table4Data) { d.Scales = nil }, "0 scales"},
		{"part of a group", 4, 48, func(*compute.Table4Data) {}, "rows of 48 values"},
		{"overflow", math.MaxInt/32 + 2, 32, func(*compute.Table4Data) {}, "want"},
	} {
		d := table4(2 * 96)
		c.change(&d)
		if _, err := compute.NewTable4Weight(c.out, c.in, d); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.err)
		}
	}
	if _, err := compute.NewWeight(compute.TABLE4, 2, 96, make([]byte, 96)); err == nil || !strings.Contains(err.Error(), "scales") {
		t.Errorf("TABLE4 without its scales: %v", err)
	}
}
