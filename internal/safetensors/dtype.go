package safetensors

import (
	"fmt"
	"math"
	"math/bits"
)

// Dtype is an element type, spelled as in the file.
type Dtype string

// The element types of the format. F4, F6_E2M3 and F6_E3M2 are smaller than a
// byte and packed.
const (
	Bool   Dtype = "BOOL"
	F4     Dtype = "F4"
	F6E2M3 Dtype = "F6_E2M3"
	F6E3M2 Dtype = "F6_E3M2"
	U8     Dtype = "U8"
	I8     Dtype = "I8"
	F8E5M2 Dtype = "F8_E5M2"
	F8E4M3 Dtype = "F8_E4M3"
	F8E8M0 Dtype = "F8_E8M0"
	I16    Dtype = "I16"
	U16    Dtype = "U16"
	F16    Dtype = "F16"
	BF16   Dtype = "BF16"
	I32    Dtype = "I32"
	U32    Dtype = "U32"
	F32    Dtype = "F32"
	C64    Dtype = "C64"
	F64    Dtype = "F64"
	I64    Dtype = "I64"
	U64    Dtype = "U64"
)

// describe returns the bits of one element and the dtype's place in the
// reference implementation's enumeration, by which its writer sorts (within
// one size too: F32 before I32). An unknown dtype has 0 bits.
func (d Dtype) describe() (elementBits, rank int) {
	switch d {
	case Bool:
		return 8, 0
	case F4:
		return 4, 1
	case F6E2M3:
		return 6, 2
	case F6E3M2:
		return 6, 3
	case U8:
		return 8, 4
	case I8:
		return 8, 5
	case F8E5M2:
		return 8, 6
	case F8E4M3:
		return 8, 7
	case F8E8M0:
		return 8, 8
	case I16:
		return 16, 9
	case U16:
		return 16, 10
	case F16:
		return 16, 11
	case BF16:
		return 16, 12
	case I32:
		return 32, 13
	case U32:
		return 32, 14
	case F32:
		return 32, 15
	case C64:
		return 64, 16
	case F64:
		return 64, 17
	case I64:
		return 64, 18
	case U64:
		return 64, 19
	}
	return 0, -1
}

// Bits returns the size of one element in bits, 0 for an unknown dtype.
func (d Dtype) Bits() int {
	n, _ := d.describe()
	return n
}

// Size returns the size of one element in bytes, 0 for an unknown dtype and
// for one smaller than a byte.
func (d Dtype) Size() int { return d.Bits() / 8 }

// byteCount returns how many bytes a tensor takes, computed without overflow.
func byteCount(d Dtype, shape []int) (int64, error) {
	count := uint64(d.Bits())
	if count == 0 {
		return 0, fmt.Errorf("unknown dtype %q", string(d))
	}
	for _, n := range shape {
		if n < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		high, low := bits.Mul64(count, uint64(n))
		if high != 0 || low > math.MaxInt64 {
			return 0, fmt.Errorf("shape %v of %s is larger than any file", shape, d)
		}
		count = low
	}
	if count%8 != 0 {
		return 0, fmt.Errorf("shape %v of %s does not fill whole bytes", shape, d)
	}
	return int64(count / 8), nil
}
