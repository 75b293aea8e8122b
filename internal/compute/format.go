package compute

import (
	"fmt"
	"strings"
)

// Format names how a Weight's values are stored, little-endian.
type Format uint8

// The storage formats. Those with a number after Q have ggml's block layouts
// (ggml-common.h): blocks of 32 values along a row, of 256 where the name ends
// in K. NF4 is bitsandbytes' format, see NF4Data.
const (
	F32     Format = iota
	F16            // IEEE 754 binary16
	BF16           // the upper half of a float32
	Q8_0           // f16 d, 32 signed bytes q: d·q
	Q4_0           // f16 d, 16 bytes of two 4-bit q: d·(q−8); value j in the low half of byte j, value j+16 in the high half
	Q5_0           // f16 d, 4 bytes of the fifth bits, 16 bytes as in Q4_0: d·(q−16)
	Q4_K           // eight groups of 32 values, each with a scale and a minimum of 6 bits
	Q6_K           // sixteen groups of 16 values of 6 bits, each with a scale of 8 bits
	NF4            // 4 bits each, positions in a table, and a scale for 64 of them
	formats        // how many there are
)

// groupValues is how many values of a quantized row are read together: blocks
// are whole groups, and no group reaches from one block into the next.
const groupValues = 32

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
	case Q5_0:
		return "Q5_0"
	case Q4_K:
		return "Q4_K"
	case Q6_K:
		return "Q6_K"
	case NF4:
		return "NF4"
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
// be a multiple of it. That of NF4 is 32, as its blocks of 64 may reach from
// one row into the next.
func (f Format) BlockValues() int {
	switch f {
	case Q8_0, Q4_0, Q5_0, NF4:
		return groupValues
	case Q4_K, Q6_K:
		return 256
	default:
		return 1
	}
}

// RowBytes returns the size of a row of in values, a multiple of BlockValues:
// for NF4 that of its 4-bit values alone, as scales lie elsewhere.
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
	case Q5_0:
		return 2 + 4 + 16
	case Q4_K:
		return 2 + 2 + 12 + 128
	case Q6_K:
		return 128 + 64 + 16 + 2
	case NF4:
		return 16
	default:
		panic("compute: no such format as " + f.String())
	}
}
