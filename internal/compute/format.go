package compute

import (
	"fmt"
	"strings"
)

// Format names how a Weight's values are stored, little-endian.
type Format uint8

// The storage formats. Those with a number after Q have ggml's block layouts
// (ggml-common.h): blocks of 32 values along a row, of 256 where the name ends
// in K; IQ4_NL and MXFP4 have blocks of 32, IQ4_XS, TQ1_0 and TQ2_0 of 256. NF4
// is bitsandbytes' format, see NF4Data.
const (
	F32  Format = iota
	F16         // IEEE 754 binary16
	BF16        // the upper half of a float32
	Q8_0        // f16 d, 32 signed bytes q: d·q
	Q4_0        // f16 d, 16 bytes of two 4-bit q: d·(q−8); value j in the low half of byte j, value j+16 in the high half
	Q5_0        // f16 d, 4 bytes of the fifth bits, 16 bytes as in Q4_0: d·(q−16)
	Q4_K        // eight groups of 32 values, each with a scale and a minimum of 6 bits
	Q6_K        // sixteen groups of 16 values of 6 bits, each with a scale of 8 bits
	NF4         // 4 bits each, positions in a table, and a scale for 64 of them

	// Those below are read by portable code alone.

	Q4_1    // f16 d, f16 m, 16 bytes as in Q4_0: d·q+m
	Q5_1    // f16 d, f16 m, 4 bytes of the fifth bits, 16 bytes as in Q4_0: d·q+m
	Q2_K    // sixteen groups of 16 values of 2 bits, each with a scale and a minimum of 4 bits
	Q3_K    // sixteen groups of 16 values of 3 bits, each with a signed scale of 6 bits
	Q5_K    // as Q4_K, with a fifth bit
	IQ4_NL  // as Q4_0, with positions in a table
	IQ4_XS  // eight groups of 32 positions in that table, each with a signed scale of 6 bits
	TQ1_0   // f16 d and numbers of base 3, five or four to a byte: −d, 0 or d
	TQ2_0   // f16 d and 2 bits each: −d, 0, d or 2·d
	MXFP4   // a power of two and 16 bytes as in Q4_0, positions in the table of FP4 (E2M1)
	TABLE4  // 4 bits each, positions in a table, and an f32 scale for 64 of them, see Table4Data
	formats // how many there are
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
	case Q4_1:
		return "Q4_1"
	case Q5_1:
		return "Q5_1"
	case Q2_K:
		return "Q2_K"
	case Q3_K:
		return "Q3_K"
	case Q5_K:
		return "Q5_K"
	case IQ4_NL:
		return "IQ4_NL"
	case IQ4_XS:
		return "IQ4_XS"
	case TQ1_0:
		return "TQ1_0"
	case TQ2_0:
		return "TQ2_0"
	case MXFP4:
		return "MXFP4"
	case TABLE4:
		return "TABLE4"
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
// be a multiple of it. That of NF4 and TABLE4 is 32, as its blocks of 64 may reach from
// one row into the next.
func (f Format) BlockValues() int {
	switch f {
	case Q8_0, Q4_0, Q5_0, NF4, Q4_1, Q5_1, IQ4_NL, MXFP4, TABLE4:
		return groupValues
	case Q4_K, Q6_K, Q2_K, Q3_K, Q5_K, IQ4_XS, TQ1_0, TQ2_0:
		return 256
	default:
		return 1
	}
}

// RowBytes returns the size of a row of in values, a multiple of BlockValues:
// for NF4 and TABLE4 that of its 4-bit values alone, as scales lie elsewhere.
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
	case NF4, TABLE4:
		return 16
	case Q4_1:
		return 2 + 2 + 16
	case Q5_1:
		return 2 + 2 + 4 + 16
	case Q2_K:
		return 16 + 64 + 2 + 2
	case Q3_K:
		return 32 + 64 + 12 + 2
	case Q5_K:
		return 2 + 2 + 12 + 32 + 128
	case IQ4_NL:
		return 2 + 16
	case IQ4_XS:
		return 2 + 2 + 4 + 128
	case TQ1_0:
		return 48 + 4 + 2
	case TQ2_0:
		return 64 + 2
	case MXFP4:
		return 1 + 16
	default:
		panic("compute: no such format as " + f.String())
	}
}
