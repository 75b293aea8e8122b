package cpu

import "math"

const (
	// minExponent is where exp kernels give 0: e^-69 is 1e-30, nothing beside
	// the 1 that a softmax has, and yet far from denormal numbers, which would
	// slow all that is multiplied with them.
	minExponent = -69
	// The natural logarithm of 2 in two parts, the first of few bits, so that
	// n·ln2High is exact.
	ln2High = 0.693359375
	ln2Low  = -2.12194440e-4
	log2e   = 1.44269504088896341
	// roundMagic added and taken away rounds a float32 to a whole number.
	roundMagic = 1.5 * (1 << 23)
)

// expCoefficients are of the polynomial p with e^r = 1 + r + r²·p(r) for
// |r| ≤ ln2/2, the highest power first (S. Moshier, Cephes, expf).
var expCoefficients = [6]float32{
	1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
	4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
}

// exp32 returns e^x to about 1e-7 of it: 0 under −87.3, where float32 has only
// denormal numbers, and infinity over 88.7. A NaN stays one.
func exp32(x float32) float32 {
	if x > 88.72 {
		return float32(math.Inf(1))
	}
	if x < -87.3 {
		return 0
	}
	n := x*log2e + roundMagic
	n -= roundMagic
	r := x - n*ln2High
	r -= n * ln2Low
	p := expCoefficients[0]
	for _, c := range expCoefficients[1:] {
		p = p*r + c
	}
	y := p*r*r + r + 1
	// 2^n in two factors: n is 128 for the largest x, which no float32 exponent holds.
	half := int32(n) >> 1
	return y * powerOfTwo(half) * powerOfTwo(int32(n)-half)
}

// powerOfTwo returns 2^n for −126 ≤ n ≤ 127.
func powerOfTwo(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

// expGo is the portable exp kernel.
func expGo(dst, x []float32, shift float32) float32 {
	sum := 0.0
	for i, v := range x {
		e := float32(0)
		if v -= shift; !(v < minExponent) {
			e = exp32(v)
		}
		dst[i] = e
		sum += float64(e)
	}
	return float32(sum)
}

// maximumGo is the portable maximum kernel.
func maximumGo(x []float32) float32 {
	largest := float32(math.Inf(-1))
	for _, v := range x {
		if v > largest {
			largest = v
		}
	}
	return largest
}
