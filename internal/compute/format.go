package compute

import (
	"fmt"
	"strings"
)

// Format names how a Weight's values are stored, little-endian.
type Format uint8

// The storage formats. The quantized ones have ggml's block layouts
// (ggml-common.h): Q8_0 and Q4_0 are blocks of 32 values along a row.
const (
	F32     Format = iota
	F16            // IEEE 754 binary16
	BF16           // the upper half of a float32
	Q8_0           // f16 d, 32 signed bytes q: d·q
	Q4_0           // f16 d, 16 bytes of two 4-bit q: d·(q−8); value j in the low half of byte j, value j+16 in the high half
	formats        // how many there are
)

// String returns the name that GGUF tools use.
func (f Format) String() string {
	switch f {
	case F32:
		return "F32"
	case F16:
		return "F16"
	case BF16:
		return "BF16"
	case Q8_0:
		return "Q8_0"
	case Q4_0:
		return "Q4_0"
	default:
		return fmt.Sprintf("Format(%d)", uint8(f))
	}
}

// ParseFormat returns the format of a name, in upper or lower case.
func ParseFormat(name string) (Format, error) {
	var names []string
	for f := range formats {
		if strings.EqualFold(name, f.String()) {
			return f, nil
		}
		names = append(names, f.String())
	}
	return 0, fmt.Errorf("unknown weight format %q: want one of %s", name, strings.Join(names, ", "))
}

// BlockValues returns how many values of a row are stored together: rows must
// be a multiple of it.
func (f Format) BlockValues() int {
	switch f {
	case Q8_0, Q4_0:
		return 32
	default:
		return 1
	}
}

// RowBytes returns the size of a row of in values, a multiple of BlockValues.
func (f Format) RowBytes(in int) int { return in / f.BlockValues() * f.blockBytes() }

// blockBytes returns the size of one block.
func (f Format) blockBytes() int {
	switch f {
	case F32:
		return 4
	case F16, BF16:
		return 2
	case Q8_0:
		return 2 + 32
	case Q4_0:
		return 2 + 16
	default:
		panic("compute: no such format as " + f.String())
	}
}
