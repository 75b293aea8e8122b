package quantize

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// Encode sets dst to src in format f, the inverse of compute.Dequantize up to
// rounding. A value that is no number, or past what f can hold, is an error
// that gives its index. It panics when the lengths do not fit or are not whole
// blocks, and for formats that it does not make: Q5_0, Q4_K, Q6_K, and NF4,
// which Convert makes of whole matrices.
func Encode(f compute.Format, dst []byte, src []float32) error {
	block := f.BlockValues()
	if len(src)%block != 0 || len(dst) != f.RowBytes(len(src)) {
		panic(fmt.Sprintf("quantize: %d values of %s into %d bytes", len(src), f, len(dst)))
	}
	for i, v := range src {
		if v-v != 0 { // false for every finite number alone
			return fmt.Errorf("value %d is %v", i, v)
		}
	}
	switch f {
	case compute.F32:
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	case compute.F16:
		for i, v := range src {
			h, ok := half(v)
			if !ok {
				return tooLarge(f, src, i, 1)
			}
			binary.LittleEndian.PutUint16(dst[2*i:], h)
		}
	case compute.BF16:
		for i, v := range src {
			b := compute.F32ToBF16(v)
			if b&0x7f80 == 0x7f80 {
				return tooLarge(f, src, i, 1)
			}
			binary.LittleEndian.PutUint16(dst[2*i:], b)
		}
	case compute.Q8_0:
		for i := 0; i < len(src)/block; i++ {
			if !encodeQ8((*[34]byte)(dst[34*i:]), (*[32]float32)(src[32*i:])) {
				return tooLarge(f, src, 32*i, 32)
			}
		}
	case compute.Q4_0:
		for i := 0; i < len(src)/block; i++ {
			if !encodeQ4((*[18]byte)(dst[18*i:]), (*[32]float32)(src[32*i:])) {
				return tooLarge(f, src, 32*i, 32)
			}
		}
	default:
		panic("quantize: no encoder of " + f.String())
	}
	return nil
}

// tooLarge blames the largest of n values from i.
func tooLarge(f compute.Format, src []float32, i, n int) error {
	worst := i
	for j := i; j < i+n; j++ {
		if abs(src[j]) > abs(src[worst]) {
			worst = j
		}
	}
	return fmt.Errorf("value %d is %v: too large for %s", worst, src[worst], f)
}

// half is the binary16 of v, and whether it is finite.
func half(v float32) (uint16, bool) {
	h := compute.F32ToF16(v)
	return h, h&0x7c00 != 0x7c00
}

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// inverse is 1/d, or 0 where that is not finite: such a d is stored as 0, so
// that every value decodes to 0 whatever its q.
func inverse(d float32) float32 {
	if id := 1 / d; id-id == 0 {
		return id
	}
	return 0
}

// encodeQ8 follows quantize_row_q8_0_ref of ggml-quants.c: q is x·(1/d) to the
// nearest integer, halves away from zero, with d before its rounding to 16 bits.
func encodeQ8(dst *[34]byte, x *[32]float32) bool {
	largest := float32(0)
	for _, v := range x {
		largest = max(largest, abs(v))
	}
	d := largest / 127
	h, ok := half(d)
	binary.LittleEndian.PutUint16(dst[:], h)
	id := inverse(d)
	for j, v := range x {
		scaled := float64(v * id) // |scaled| < 128, so that adding 0.5 is exact
		dst[2+j] = byte(int8(scaled + math.Copysign(0.5, scaled)))
	}
	return ok
}

// encodeQ4 follows quantize_row_q4_0_ref: d maps the value that is largest in
// magnitude to −8, so that its sign has the wider side.
func encodeQ4(dst *[18]byte, x *[32]float32) bool {
	largest := float32(0)
	for _, v := range x {
		if abs(v) > abs(largest) {
			largest = v
		}
	}
	d := largest / -8
	h, ok := half(d)
	binary.LittleEndian.PutUint16(dst[:], h)
	id := inverse(d)
	for j := range 16 {
		dst[2+j] = nibble(x[j], id) | nibble(x[j+16], id)<<4
	}
	return ok
}

// nibble is x·id + 8 to the nearest integer, at most 15. The conversion keeps
// the compiler from fusing product and sum, which would give other bytes on
// other processors.
func nibble(x, id float32) byte {
	return byte(min(15, int(float32(x*id)+8.5)))
}
