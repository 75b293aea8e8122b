package cpu

import "math"

// expRef is the meaning of the exp kernel.
func expRef(dst, x []float32, shift float32) float32 {
	sum := 0.0
	for i := range x {
		e := math.Exp(float64(x[i] - shift))
		if x[i]-shift < minExponent {
			e = 0
		}
		dst[i] = float32(e)
		sum += e
	}
	return float32(sum)
}
