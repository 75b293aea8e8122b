package model_test

import (
	"fmt"
	"math"
	"slices"

	"github.com/retort-ml/retort/internal/safetensors"
)

// Values of NF4, as its paper's appendix lists them, and of FP4 over 12.
var (
	nf4Values = []float32{-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
		-0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434,
		0.5626170039176941, 0.7229568362236023, 1}
	fp4Values = []float32{0, 0.0625, 8, 12, 4, 6, 2, 3, 0, -0.0625, -8, -12, -4, -6, -2, -3}
)

// dynamicValues are the 256 of bitsandbytes' 8-bit map, by its definition:
// decade i of 7 has 2^i midpoints of a division of [0.1, 1], times 10^(i−6).
func dynamicValues() (all []float32) {
	all = append(all, 0, 1)
	for i := range 7 {
		n := math.Pow(2, float64(i))
		for j := range int(n) {
			mean := (0.1 + 0.9*float64(j)/n + 0.1 + 0.9*float64(j+1)/n) / 2
			v := float32(mean * math.Pow(10, float64(i-6)))
			all = append(all, v, -v)
		}
	}
	slices.Sort(all)
	return all
}

func nearest(table []float32, v float64) int {
	best := 0
	for i, t := range table {
		if math.Abs(float64(t)-v) < math.Abs(float64(table[best])-v) {
			best = i
		}
	}
	return best
}

// bnb4 lays out values as bitsandbytes does; nested 0 leaves scales in float32.
func bnb4(module, kind string, values []float32, out, in, block, nested int) (list []safetensors.Tensor, stands []float32) {
	table := slices.Clone(nf4Values)
	if kind == "fp4" {
		for i, v := range fp4Values {
			table[i] = v / 12
		}
	}
	var scales []float32
	for from := 0; from < len(values); from += block {
		largest := float32(0)
		for _, v := range values[from:min(len(values), from+block)] {
			largest = max(largest, float32(math.Abs(float64(v))))
		}
		scales = append(scales, largest)
	}
	codes := make([]byte, (len(values)+1)/2)
	for i, v := range values {
		code := nearest(table, float64(v)/float64(scales[i/block]))
		codes[i/2] |= byte(code << (4 - 4*(i%2)))
		stands = append(stands, table[code])
	}
	name := module + ".weight"
	state := fmt.Sprintf(`{"quant_type":%q,"blocksize":%d,"dtype":"bfloat16","shape":[%d,%d]`, kind, block, out, in)
	row := func(name string, values []float32) safetensors.Tensor {
		t := floatTensor(name, safetensors.F32, 1, len(values), func(_, i int) float32 { return values[i] })
		t.Shape = []int{len(values)}
		return t
	}
	list = []safetensors.Tensor{byteTensor(name, safetensors.U8, []int{len(codes), 1}, codes), row(name+".quant_map", table)}
	if nested == 0 {
		list = append(list, row(name+".absmax", scales))
	} else {
		mean := 0.0
		for _, s := range scales {
			mean += float64(s) / float64(len(scales))
		}
		offset, dynamic := float32(mean), dynamicValues()
		var absmax []byte
		var shared []float32
		for from := 0; from < len(scales); from += nested {
			group, largest := scales[from:min(len(scales), from+nested)], 0.0
			for _, s := range group {
				largest = max(largest, math.Abs(float64(s)-mean))
			}
			shared = append(shared, float32(largest))
			for i, s := range group {
				code := nearest(dynamic, (float64(s)-mean)/largest)
				absmax = append(absmax, byte(code))
				scales[from+i] = float32(dynamic[code]*float32(largest)) + offset
			}
		}
		state += fmt.Sprintf(`,"nested_blocksize":%d,"nested_dtype":"float32","nested_offset":%g`, nested, offset)
		list = append(list, byteTensor(name+".absmax", safetensors.U8, []int{len(absmax)}, absmax),
			row(name+".nested_absmax", shared), row(name+".nested_quant_map", dynamic))
	}
	state += "}"
	list = append(list, byteTensor(name+".quant_state.bitsandbytes__"+kind, safetensors.U8, []int{len(state)}, []byte(state)))
	for i := range stands {
		stands[i] *= scales[i/block]
	}
	return list, stands
}
