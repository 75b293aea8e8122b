package cpu

import "math"

// blockValues is how many values of x have one scale when they are rounded.
const blockValues = 32

// rounded is 32 values x as scale·values: scale is the largest magnitude / 127,
// values are x·(127 / largest magnitude) to the nearest integer and the even
// one of two, each step being rounded to float32. That is what ggml's Q8_0
// does, with a scale that stays float32. If the largest magnitude is under
// leastRounded all is zero. If a value is infinite or NaN the scale is NaN, and
// so is every product: no finite number comes of such a row.
type rounded struct {
	values [blockValues]int8
	scale  float32
	sum    float32  // Σ values
	start  [2]int32 // −offset·Σ values, or that of each half of them when split
}

// leastRounded keeps the scale from being denormal and its inverse finite.
const leastRounded = 0x1p-119

// roundGo sets dst[b·step] to block b of x, whole blocks.
func roundGo(dst []rounded, step int, x []float32, offset int32, split bool) {
	for b := 0; b*blockValues < len(x); b++ {
		dst[b*step] = roundBlock((*[blockValues]float32)(x[b*blockValues:]), offset, split)
	}
}

func roundBlock(x *[blockValues]float32, offset int32, split bool) rounded {
	largest := uint32(0) // as bits, magnitudes are in order too, and NaNs the largest
	for _, v := range x {
		largest = max(largest, math.Float32bits(v)&math.MaxInt32)
	}
	magnitude := math.Float32frombits(largest)
	switch {
	case math.IsNaN(float64(magnitude)) || math.IsInf(float64(magnitude), 0):
		return rounded{scale: float32(math.NaN())}
	case magnitude < leastRounded:
		return rounded{}
	}
	r := rounded{scale: magnitude / 127}
	inverse := 127 / magnitude
	var sums [2]int32
	for i, v := range x {
		q := int8(math.RoundToEven(float64(float32(v * inverse))))
		r.values[i] = q
		sums[i/16] += int32(q)
	}
	r.sum = float32(sums[0] + sums[1])
	if !split {
		sums[0] += sums[1]
		sums[1] = sums[0]
	}
	r.start = [2]int32{-offset * sums[0], -offset * sums[1]}
	return r
}
