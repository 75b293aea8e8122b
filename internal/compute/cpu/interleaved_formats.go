package cpu

import "encoding/binary"

// Sizes of the blocks of stored rows.
const (
	bytesQ8  = 34
	bytesQ4  = 18
	bytesQ5  = 22
	bytesQ4K = 144
	bytesQ6K = 210
)

// readQ8 makes signed values 128 larger.
func readQ8(row []byte, b int) (fours [blockFours]uint32) {
	block := row[bytesQ8*b+2 : bytesQ8*(b+1)]
	for j := range fours {
		fours[j] = binary.LittleEndian.Uint32(block[4*j:]) ^ 0x80808080
	}
	return fours
}

func readQ4(row []byte, b int) [blockFours]uint32 { return readNibbles(row[bytesQ4*b+2:]) }

// readNibbles reads 16 bytes: the low halves and then the high ones.
func readNibbles(packed []byte) (fours [blockFours]uint32) {
	for j := range blockFours / 2 {
		word := binary.LittleEndian.Uint32(packed[4*j:])
		fours[j], fours[blockFours/2+j] = word&0x0f0f0f0f, word>>4&0x0f0f0f0f
	}
	return fours
}

func scalesOfQ8(scales, _, row []byte, b, i int) { copy(scales[2*i:2*i+2], row[bytesQ8*b:]) }

func scalesOfQ4(scales, _, row []byte, b, i int) { copy(scales[2*i:2*i+2], row[bytesQ4*b:]) }

// readQ5 puts the fifth bits, one of 32 for each value, beside the others.
func readQ5(row []byte, b int) [blockFours]uint32 {
	block := row[bytesQ5*b : bytesQ5*(b+1)]
	fifth := binary.LittleEndian.Uint32(block[2:])
	fours := readNibbles(block[6:])
	for j := range fours {
		bits := fifth >> (4 * j) & 15
		fours[j] |= bits * 0x00204081 & 0x01010101 << 4 // a byte for each bit
	}
	return fours
}

func scalesOfQ5(scales, _, row []byte, b, i int) { copy(scales[2*i:2*i+2], row[bytesQ5*b:]) }

// blockK returns the stored block of 256 values that has block b of a row, and which of its eight that is.
func blockK(row []byte, b, size int) (block []byte, g int) {
	return row[b/superBlocks*size:][:size], b % superBlocks
}

// readQ4K reads 32 bytes, which two blocks share: the low or the high halves.
func readQ4K(row []byte, b int) (fours [blockFours]uint32) {
	block, g := blockK(row, b, bytesQ4K)
	packed := block[16+g/2*32:][:32]
	for j := range fours {
		fours[j] = binary.LittleEndian.Uint32(packed[4*j:]) >> (g % 2 * 4) & 0x0f0f0f0f
	}
	return fours
}

// scalesOfQ4K unpacks scales and minimums of 6 bits. Those of the first four
// blocks are the lower 6 bits of a byte each; the upper 2 belong to the others.
func scalesOfQ4K(scales, supers, row []byte, b, i int) {
	block, g := blockK(row, b, bytesQ4K)
	packed := block[4:16]
	scale, minimum := packed[g%4]&63, packed[g%4+4]&63
	if g >= 4 {
		scale, minimum = packed[g+4]&15|packed[g-4]>>6<<4, packed[g+4]>>4|packed[g]>>6<<4
	}
	scales[i], scales[groupRows+i] = scale, minimum
	shared := supers[b/superBlocks*superBytes:]
	copy(shared[2*i:2*i+2], block)
	copy(shared[2*groupRows+2*i:][:2], block[2:])
}

// readQ6K joins lower and upper bits. Of half a block, four of eight, the lower
// four bits are in 64 bytes, two in the low halves and two in the high ones,
// and the upper two in 32 bytes.
func readQ6K(row []byte, b int) (fours [blockFours]uint32) {
	block, g := blockK(row, b, bytesQ6K)
	half, quarter := g/4, g%4
	lower, upper := block[64*half+32*(quarter%2):][:32], block[128+32*half:][:32]
	for j := range fours {
		low := binary.LittleEndian.Uint32(lower[4*j:]) >> (quarter / 2 * 4) & 0x0f0f0f0f
		high := binary.LittleEndian.Uint32(upper[4*j:]) >> (2 * quarter) & 0x03030303
		fours[j] = low | high<<4
	}
	return fours
}

func scalesOfQ6K(scales, supers, row []byte, b, i int) {
	block, g := blockK(row, b, bytesQ6K)
	scales[i], scales[groupRows+i] = block[192+2*g], block[192+2*g+1]
	copy(supers[b/superBlocks*superBytes+2*i:][:2], block[208:])
}
