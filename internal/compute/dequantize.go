package compute

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Dequantize sets dst to the values that data holds in format f: the
// reference for every faster reader. It panics when the lengths do not fit or
// are not whole blocks.
func Dequantize(f Format, dst []float32, data []byte) {
	if len(dst)%f.BlockValues() != 0 || len(data) != f.RowBytes(len(dst)) {
		panic(fmt.Sprintf("compute: %d bytes of %s for %d values", len(data), f, len(dst)))
	}
	switch f {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = F16ToF32(binary.LittleEndian.Uint16(data[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = BF16ToF32(binary.LittleEndian.Uint16(data[2*i:]))
		}
	case Q8_0:
		for ; len(dst) > 0; dst, data = dst[32:], data[34:] {
			dequantizeQ8((*[32]float32)(dst), (*[34]byte)(data))
		}
	case Q4_0:
		for ; len(dst) > 0; dst, data = dst[32:], data[18:] {
			dequantizeQ4((*[32]float32)(dst), (*[18]byte)(data))
		}
	}
}

func dequantizeQ8(dst *[32]float32, block *[34]byte) {
	d := F16ToF32(binary.LittleEndian.Uint16(block[:]))
	for j := range dst {
		dst[j] = d * float32(int8(block[2+j]))
	}
}

func dequantizeQ4(dst *[32]float32, block *[18]byte) {
	d := F16ToF32(binary.LittleEndian.Uint16(block[:]))
	for j := range 16 {
		b := block[2+j]
		dst[j] = d * float32(int(b&15)-8)
		dst[j+16] = d * float32(int(b>>4)-8)
	}
}
