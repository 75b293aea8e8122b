package compute

import "fmt"

// Table4Data is an Out × In matrix of 4-bit positions in a table, with a scale
// for every 64 values of the flattened matrix: value i is
// Table[code i] · Scales[i/64], rounded to float32. It has what bitsandbytes'
// 4-bit formats without double quantization say, and others with scales that
// NF4Data cannot hold.
type Table4Data struct {
	Codes  []byte    // (Out·In/2) two codes each, the first in the upper half
	Table  []float32 // (16)
	Scales []float32 // of every 64 values, the last block may have fewer
}

// NewTable4Weight returns a frozen TABLE4 Weight of out rows of in values over d,
// whose slices it keeps and which must not change. Their lengths must fit
// exactly; in must be a multiple of 32.
func NewTable4Weight(out, in int, d Table4Data) (*Weight, error) {
	w, err := newWeight(TABLE4, out, in, d.Codes)
	if err != nil {
		return nil, err
	}
	if n := (out*in + NF4Block - 1) / NF4Block; len(d.Table) != 16 || len(d.Scales) != n {
		return nil, fmt.Errorf("weight %s (%d, %d): %d values of the table and %d scales, want 16 and %d", TABLE4, out, in, len(d.Table), len(d.Scales), n)
	}
	w.table4 = &d
	return w, nil
}

// dequantize sets dst to the values of the flattened matrix that begin at
// from, whole groups.
func (d *Table4Data) dequantize(dst []float32, from int) {
	for ; len(dst) > 0; dst, from = dst[groupValues:], from+groupValues {
		scale := d.Scales[from/NF4Block]
		for j, b := range d.Codes[from/2:][:groupValues/2] {
			dst[2*j] = d.Table[b>>4] * scale
			dst[2*j+1] = d.Table[b&15] * scale
		}
	}
}
