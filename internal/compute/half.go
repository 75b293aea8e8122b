package compute

import "math"

// F16ToF32 converts IEEE 754 binary16 bits, exactly. A NaN keeps its sign and
// payload and becomes quiet, as the processors' instruction does it.
func F16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exponent := uint32(h>>10) & 31
	fraction := uint32(h & 0x3ff)
	switch {
	case exponent == 31 && fraction != 0:
		return math.Float32frombits(sign | 0x7fc00000 | fraction<<13)
	case exponent == 31:
		return math.Float32frombits(sign | 0x7f800000)
	case exponent != 0:
		return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
	default: // zero or denormal: fraction · 2^-24, exact in float32
		magnitude := float32(fraction) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(magnitude))
	}
}

// F32ToF16 converts to IEEE 754 binary16 bits, to the nearest value and the
// even one of two; too large becomes infinite, a NaN stays one.
func F32ToF16(x float32) uint16 {
	bits := math.Float32bits(x)
	sign := uint16(bits >> 16 & 0x8000)
	bits &= 0x7fffffff
	switch {
	case bits > 0x7f800000: // NaN, made quiet
		return sign | 0x7e00 | uint16(bits>>13&0x3ff)
	case bits >= 0x477ff000: // 65520 and more, where rounding leaves the range
		return sign | 0x7c00
	case bits >= 0x38800000: // normal: 2^-14 and more
		bits -= (127 - 15) << 23
		return sign | uint16((bits+0xfff+bits>>13&1)>>13)
	default: // denormal: adding 0.5 moves multiples of 2^-24 to the last bits
		sum := math.Float32frombits(bits) + 0.5
		return sign | uint16(math.Float32bits(sum)-math.Float32bits(0.5))
	}
}

// BF16ToF32 converts bfloat16 bits, the upper half of a float32, exactly.
func BF16ToF32(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// F32ToBF16 converts to bfloat16 bits, to the nearest value and the even one
// of two; a NaN stays one.
func F32ToBF16(x float32) uint16 {
	bits := math.Float32bits(x)
	if x != x {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
