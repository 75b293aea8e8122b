package compute

import "fmt"

// How NF4 is divided.
const (
	NF4Block  = 64  // values that share a scale
	NF4Nested = 256 // scales that share a scale
)

// NF4Map are the 16 values of NF4 (Dettmers et al. 2023, appendix E): quantiles
// of the normal distribution, scaled to ±1, with a zero.
var NF4Map = [16]float32{
	-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
	0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
}

// NF4Data is an Out × In matrix as bitsandbytes stores it (Dettmers et al.
// 2023, double quantization): four bits a value, one byte a scale. Each field
// is a tensor of a bitsandbytes checkpoint, or a number of its quant_state, and
// has that name here in brackets. Value i of the flattened matrix is
//
//	QuantMap[code i] · (NestedMap[Absmax[i/64]] · NestedAbsmax[i/64/256] + NestedOffset)
//
// every operation rounded to float32. Blocks of 64 do not begin anew with a row.
type NF4Data struct {
	Codes        []byte    // [weight] (Out·In/2) two codes each, the first in the upper half
	QuantMap     []float32 // [quant_map] (16)
	Absmax       []byte    // [absmax] of every 64 values, the last block may have fewer
	NestedMap    []float32 // [nested_quant_map] (256)
	NestedAbsmax []float32 // [nested_absmax] of every 256 scales, the last block may have fewer
	NestedOffset float32   // [nested_offset]
}

// NewNF4Weight returns a frozen NF4 Weight of out rows of in values over d,
// whose slices it keeps and which must not change. Their lengths must fit
// exactly; in must be a multiple of 32.
func NewNF4Weight(out, in int, d NF4Data) (*Weight, error) {
	w, err := newWeight(NF4, out, in, d.Codes)
	if err != nil {
		return nil, err
	}
	scales := (out*in + NF4Block - 1) / NF4Block // out·in is 2·len(d.Codes)
	for _, part := range []struct {
		name      string
		got, want int
	}{
		{"values of quant_map", len(d.QuantMap), 16},
		{"values of absmax", len(d.Absmax), scales},
		{"values of nested_quant_map", len(d.NestedMap), 256},
		{"values of nested_absmax", len(d.NestedAbsmax), (scales + NF4Nested - 1) / NF4Nested},
	} {
		if part.got != part.want {
			return nil, fmt.Errorf("weight %s (%d, %d): %d %s, want %d", NF4, out, in, part.got, part.name, part.want)
		}
	}
	w.nf4 = &d
	return w, nil
}

// bytes leaves out the two tables, which matrices can share.
func (d *NF4Data) bytes() int { return len(d.Codes) + len(d.Absmax) + 4*len(d.NestedAbsmax) }

// dequantize sets dst to the values of the flattened matrix that begin at
// from, whole groups.
func (d *NF4Data) dequantize(dst []float32, from int) {
	for ; len(dst) > 0; dst, from = dst[groupValues:], from+groupValues {
		scale := d.scale(from / NF4Block)
		for j, b := range d.Codes[from/2:][:groupValues/2] {
			dst[2*j] = d.QuantMap[b>>4] * scale
			dst[2*j+1] = d.QuantMap[b&15] * scale
		}
	}
}

// scale is that of a block of values.
func (d *NF4Data) scale(block int) float32 {
	product := d.NestedMap[d.Absmax[block]] * d.NestedAbsmax[block/NF4Nested]
	return float32(product) + d.NestedOffset // the conversion forbids one rounding for both
}
