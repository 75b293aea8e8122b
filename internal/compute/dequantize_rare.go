package compute

import (
	"encoding/binary"
	"math"
)

// dequantizeRare sets dst to group g of a block in one of the formats that are
// read by portable code alone.
func dequantizeRare(f Format, dst *[groupValues]float32, block []byte, g int) {
	switch f {
	case Q4_1:
		dequantizeQ41(dst, (*[20]byte)(block))
	case Q5_1:
		dequantizeQ51(dst, (*[24]byte)(block))
	case Q2_K:
		dequantizeQ2K(dst, (*[84]byte)(block), g)
	case Q3_K:
		dequantizeQ3K(dst, (*[110]byte)(block), g)
	case Q5_K:
		dequantizeQ5K(dst, (*[176]byte)(block), g)
	case IQ4_NL:
		dequantizePositions(dst, halfAt(block, 0), block[2:], &normalTable)
	case IQ4_XS:
		dequantizeIQ4XS(dst, (*[136]byte)(block), g)
	case TQ1_0:
		dequantizeTQ1(dst, (*[54]byte)(block), g)
	case TQ2_0:
		dequantizeTQ2(dst, (*[66]byte)(block), g)
	case MXFP4:
		dequantizePositions(dst, math.Float32frombits(powerBits(block[0])), block[1:], &fp4Table)
	default:
		panic("compute: no blocks of " + f.String())
	}
}

func halfAt(block []byte, at int) float32 { return F16ToF32(binary.LittleEndian.Uint16(block[at:])) }

func dequantizeQ41(dst *[32]float32, block *[20]byte) {
	d, m := halfAt(block[:], 0), halfAt(block[:], 2)
	for j, b := range block[4:] {
		dst[j] = float32(d*float32(b&15)) + m // the conversion forbids one rounding for both
		dst[j+16] = float32(d*float32(b>>4)) + m
	}
}

func dequantizeQ51(dst *[32]float32, block *[24]byte) {
	d, m := halfAt(block[:], 0), halfAt(block[:], 2)
	fifth := binary.LittleEndian.Uint32(block[4:])
	for j, b := range block[8:] {
		low, high := uint32(b&15)|fifth>>j&1<<4, uint32(b>>4)|fifth>>(j+16)&1<<4
		dst[j] = float32(d*float32(low)) + m
		dst[j+16] = float32(d*float32(high)) + m
	}
}

// dequantizeQ2K reads group g of 8: d·scale·q − dmin·minimum, where scale and
// minimum are the low and the high half of a byte for every 16 values. The four
// groups of half a block share 32 bytes of q, two bits for each.
func dequantizeQ2K(dst *[32]float32, block *[84]byte, g int) {
	packed := block[16+g/4*32:][:32]
	d, dmin := halfAt(block[:], 80), halfAt(block[:], 82)
	for j := range dst {
		both := block[2*g+j/16]
		scale, low := d*float32(both&15), dmin*float32(both>>4)
		dst[j] = float32(scale*float32(packed[j]>>(g%4*2)&3)) - low
	}
}

// dequantizeQ3K reads group g of 8: d·(scale−32)·(q−4), with a scale for every
// 16 values. The lower two bits of q are as in Q2_K, the third of all groups in
// 32 bytes, a bit for each.
func dequantizeQ3K(dst *[32]float32, block *[110]byte, g int) {
	packed := block[32+g/4*32:][:32]
	d := halfAt(block[:], 108)
	for j := range dst {
		scale := d * float32(scaleQ3K((*[12]byte)(block[96:]), 2*g+j/16)-32)
		q := int(packed[j]>>(g%4*2)&3) | int(block[j]>>g&1)<<2
		dst[j] = scale * float32(q-4)
	}
}

// scaleQ3K is the scale of 16 values, i of 16: the lower 4 bits are in 8 bytes,
// two scales to each, and the upper 2 in 4 bytes, four to each.
func scaleQ3K(packed *[12]byte, i int) int {
	return int(packed[i%8]>>(i/8*4)&15) | int(packed[8+i%4]>>(i/4*2)&3)<<4
}

// dequantizeQ5K reads group g of 8: as in Q4_K, with the fifth bits of all
// groups in 32 bytes, a bit for each.
func dequantizeQ5K(dst *[32]float32, block *[176]byte, g int) {
	scale, minimum := scaleQ4K((*[12]byte)(block[4:]), g)
	d, low := halfAt(block[:], 0)*float32(scale), halfAt(block[:], 2)*float32(minimum)
	for j, b := range block[48+g/2*32:][:32] {
		q := b>>(g%2*4)&15 | block[16+j]>>g&1<<4
		dst[j] = float32(d*float32(q)) - low
	}
}

// normalTable has the values of IQ4_NL and IQ4_XS.
var normalTable = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// fp4Table has twice the values of FP4 (E2M1): a sign, two bits of exponent and
// one of fraction.
var fp4Table = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// dequantizePositions reads 16 bytes of two positions in a table each.
func dequantizePositions(dst *[32]float32, d float32, packed []byte, table *[16]int8) {
	for j, b := range packed[:16] {
		dst[j] = d * float32(table[b&15])
		dst[j+16] = d * float32(table[b>>4])
	}
}

// dequantizeIQ4XS reads group g of 8: d·(scale−32) times a value of the table.
// Of the scales, the lower 4 bits are in 4 bytes, two to each, and the upper 2
// in 16 bits.
func dequantizeIQ4XS(dst *[32]float32, block *[136]byte, g int) {
	high := int(binary.LittleEndian.Uint16(block[2:]))
	scale := int(block[4+g/2]>>(g%2*4)&15) | high>>(2*g)&3<<4
	dequantizePositions(dst, halfAt(block[:], 0)*float32(scale-32), block[8+16*g:], &normalTable)
}

// dequantizeTQ1 reads group g of 8. A byte is a fraction of 256 whose first
// digits in base 3 are values that lie apart: of 160 values, 32 bytes have five
// each, of the next 80, 16 bytes have five, and of the last 16, 4 have four.
func dequantizeTQ1(dst *[32]float32, block *[54]byte, g int) {
	powers := [5]byte{1, 3, 9, 27, 81}
	d := halfAt(block[:], 52)
	for j := range dst {
		i, first, apart := 32*g+j, 0, 32
		if i >= 240 {
			i, first, apart = i-240, 48, 4
		} else if i >= 160 {
			i, first, apart = i-160, 32, 16
		}
		rest := block[first+i%apart] * powers[i/apart] // what is past 256 are the digits before
		dst[j] = d * float32(int(uint(rest)*3>>8)-1)
	}
}

// dequantizeTQ2 reads group g of 8: d·(q−1), with q as in Q2_K.
func dequantizeTQ2(dst *[32]float32, block *[66]byte, g int) {
	d := halfAt(block[:], 64)
	for j, b := range block[g/4*32:][:32] {
		dst[j] = d * float32(int(b>>(g%4*2)&3)-1)
	}
}

// powerBits are the bits of half the power of two that an exponent in E8M0
// says, 2^(e−127): half, because fp4Table has twice the values.
func powerBits(e byte) uint32 {
	if e < 2 { // denormal numbers
		return 1 << (21 + e)
	}
	return (uint32(e) - 1) << 23
}
