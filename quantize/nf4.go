package quantize

import (
	"fmt"
	"math"
	"slices"

	"github.com/retort-ml/retort/internal/compute"
)

// nf4Map are the values of NF4.
var nf4Map = compute.NF4Map[:]

// nf4Cells finds the nearest of nf4Map without a search: cells of 1/16 from −1
// on are so small that no more than one of the boundaries, which are midway
// between neighbours, is in each. There are 33, of which the last is for 1; the
// rest are there to make any six bits a valid position.
var nf4Cells = newNF4Cells()

type nf4Cell struct {
	code     byte    // of values up to the boundary; one more beyond it
	boundary float32 // 2 where there is none
}

func newNF4Cells() (cells [64]nf4Cell) {
	for i := range cells {
		low, high := float32(i)/16-1, float32(i+1)/16-1
		c := nf4Cell{boundary: 2}
		for j := range nf4Map[1:] {
			switch middle := (nf4Map[j] + nf4Map[j+1]) / 2; {
			case middle < low:
				c.code++
			case middle < high:
				c.boundary = middle
			}
		}
		cells[i] = c
	}
	return cells
}

// nf4Code is that of the nearest value to x, −1 ≤ x ≤ 1. The sign of the
// difference tells whether x is beyond the boundary; a branch would go the
// wrong way every other time.
func nf4Code(x float32) byte {
	c := &nf4Cells[int((x+1)*16)&63]
	return c.code + byte(math.Float32bits(c.boundary-x)>>31)
}

// dynamicMap are the 256 values of bitsandbytes' signed 8-bit numbers (Dettmers
// et al. 2022, dynamic tree quantization), ascending: for each of seven decades
// up to 1 twice as many as for the one below it, midway between values spread
// evenly from a tenth to all of it; their negatives, 0 and 1.
var dynamicMap = newDynamicMap()

func newDynamicMap() []float32 {
	values := []float32{0, 1}
	decade := 1e-6
	for i := range 7 {
		n := 1 << i
		edge := func(j int) float32 { return float32(0.1 + 0.9*float64(j)/float64(n)) }
		for j := range n {
			v := float32(decade) * ((edge(j) + edge(j+1)) / 2)
			values = append(values, v, -v)
		}
		decade *= 10
	}
	slices.Sort(values)
	return values
}

// nearestDynamic is the position of the nearest of dynamicMap to x, of two the lower.
func nearestDynamic(x float32) byte {
	low, high := 0, len(dynamicMap)-1
	for low < high {
		middle := (low + high) / 2
		if x > (dynamicMap[middle]+dynamicMap[middle+1])/2 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return byte(low)
}

// encodeNF4 follows bitsandbytes' quantize_4bit with compressed statistics: the
// codes come from the scales as they are, and these then lose their mean and
// are stored in 8 bits. A block of zeros stays one whatever becomes of its
// scale: its code is that of 0, where bitsandbytes has that of −1.
func encodeNF4(w *compute.Weight) (*compute.Weight, error) {
	n := w.Out * w.In
	d := compute.NF4Data{Codes: make([]byte, n/2), QuantMap: nf4Map}
	scales := make([]float32, (n+compute.NF4Block-1)/compute.NF4Block)
	// Rows are multiples of half a block: two of them begin where a block does.
	err := eachRows(w, 2, func(row int, values []float32) error {
		for i := 0; i < len(values); i += compute.NF4Block {
			from := row*w.In + i
			block := values[i:min(i+compute.NF4Block, len(values))]
			var ok bool
			if scales[from/compute.NF4Block], ok = encodeNF4Block(d.Codes[from/2:], block); !ok {
				return notFinite(values, row, w.In)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	encodeScales(&d, scales)
	return compute.NewNF4Weight(w.Out, w.In, d)
}

// encodeNF4Block sets the codes of a block and returns its scale, and whether
// all values are finite.
func encodeNF4Block(codes []byte, block []float32) (scale float32, ok bool) {
	poison := float32(0)
	for _, v := range block {
		scale = max(scale, abs(v))
		poison += v - v // 0 of finite numbers, NaN of others
	}
	if poison != 0 {
		return 0, false
	}
	inverse := inverse(scale)
	for j := range len(block) / 2 {
		codes[j] = nf4Code(block[2*j]*inverse)<<4 | nf4Code(block[2*j+1]*inverse)
	}
	return scale, true
}

// notFinite blames the first value of some rows that is no number.
func notFinite(values []float32, row, in int) error {
	i := slices.IndexFunc(values, func(v float32) bool { return v-v != 0 })
	return fmt.Errorf("row %d: value %d is %v", row+i/in, i%in, values[i])
}

// encodeScales sets what d says of the scales.
func encodeScales(d *compute.NF4Data, scales []float32) {
	sum := 0.0
	for _, s := range scales {
		sum += float64(s)
	}
	d.NestedOffset = float32(sum / float64(len(scales)))
	d.NestedMap = dynamicMap
	d.Absmax = make([]byte, len(scales))
	for from := 0; from < len(scales); from += compute.NF4Nested {
		block := scales[from:min(from+compute.NF4Nested, len(scales))]
		largest := float32(0)
		for _, s := range block {
			largest = max(largest, abs(s-d.NestedOffset))
		}
		d.NestedAbsmax = append(d.NestedAbsmax, largest)
		inverse := inverse(largest)
		for i, s := range block {
			d.Absmax[from+i] = nearestDynamic((s - d.NestedOffset) * inverse)
		}
	}
}
