package compute

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Dequantize sets dst to the values that data holds in format f: the
// reference for every faster reader. It panics when the lengths do not fit or
// are not whole blocks, and for NF4 and TABLE4, whose bytes mean nothing without
// what lies beside them: see Weight.Part.
func Dequantize(f Format, dst []float32, data []byte) {
	if len(dst)%f.BlockValues() != 0 || len(data) != f.RowBytes(len(dst)) || f == NF4 || f == TABLE4 {
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
	default:
		dequantizeGroups(f, dst, data, 0)
	}
}

// dequantizeGroups sets dst, whole groups, to the values of a row in ggml's
// blocks from group first on.
func dequantizeGroups(f Format, dst []float32, row []byte, first int) {
	perBlock, size := f.BlockValues()/groupValues, f.blockBytes()
	for g := first; len(dst) > 0; g, dst = g+1, dst[groupValues:] {
		group, block := (*[groupValues]float32)(dst), row[g/perBlock*size:]
		switch f {
		case Q8_0:
			dequantizeQ8(group, (*[34]byte)(block))
		case Q4_0:
			dequantizeQ4(group, (*[18]byte)(block))
		case Q5_0:
			dequantizeQ5(group, (*[22]byte)(block))
		case Q4_K:
			dequantizeQ4K(group, (*[144]byte)(block), g%perBlock)
		case Q6_K:
			dequantizeQ6K(group, (*[210]byte)(block), g%perBlock)
		default:
			dequantizeRare(f, group, block[:size], g%perBlock)
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

func dequantizeQ5(dst *[32]float32, block *[22]byte) {
	d := F16ToF32(binary.LittleEndian.Uint16(block[:]))
	fifth := binary.LittleEndian.Uint32(block[2:])
	for j := range 16 {
		b := block[6+j]
		low, high := int(b&15)|int(fifth>>j&1)<<4, int(b>>4)|int(fifth>>(j+16)&1)<<4
		dst[j] = d * float32(low-16)
		dst[j+16] = d * float32(high-16)
	}
}

// dequantizeQ4K reads group g of 8: d·scale·q − dmin·minimum, where d and dmin
// are f16 and scales and minimums 12 bytes of 6 bits each. Two groups share 32
// bytes of q, the first in the low halves.
func dequantizeQ4K(dst *[32]float32, block *[144]byte, g int) {
	scale, minimum := scaleQ4K((*[12]byte)(block[4:]), g)
	d := F16ToF32(binary.LittleEndian.Uint16(block[:])) * float32(scale)
	low := F16ToF32(binary.LittleEndian.Uint16(block[2:])) * float32(minimum)
	for j, b := range block[16+g/2*32:][:32] {
		dst[j] = float32(d*float32(b>>(g%2*4)&15)) - low // the conversion forbids one rounding for both
	}
}

// scaleQ4K is scale and minimum of group g. Those of the first four groups are
// the lower 6 bits of a byte each; the upper 2 belong to the others.
func scaleQ4K(packed *[12]byte, g int) (scale, minimum byte) {
	if g < 4 {
		return packed[g] & 63, packed[g+4] & 63
	}
	return packed[g+4]&15 | packed[g-4]>>6<<4, packed[g+4]>>4 | packed[g]>>6<<4
}

// dequantizeQ6K reads group g of 8: d·scale·(q−32), with a signed scale for
// every 16 values. Of the 128 values of half a block, the four groups, the
// lower four bits are in 64 bytes, two groups in the low halves and two in the
// high ones, and the upper two bits in 32 bytes, two bits for each group.
func dequantizeQ6K(dst *[32]float32, block *[210]byte, g int) {
	half, quarter := g/4, g%4
	lower := block[64*half+32*(quarter%2):][:32]
	upper := block[128+32*half:][:32]
	d := F16ToF32(binary.LittleEndian.Uint16(block[208:]))
	for j := range dst {
		q := int(lower[j]>>(quarter/2*4)&15) | int(upper[j]>>(2*quarter)&3)<<4
		scale := d * float32(int8(block[192+2*g+j/16]))
		dst[j] = scale * float32(q-32)
	}
}
