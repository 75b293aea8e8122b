package cpu

import (
	"encoding/binary"

	"github.com/retort-ml/retort/internal/compute"
)

const (
	// groupRows is how many rows of weights are interleaved: lanes of AVX-512.
	groupRows = 16
	// blockFours is how many times four values of a row are in a block.
	blockFours = blockValues / 4
	// scaleBytes is the size of the scales of a block of a group, and
	// superBytes that of what superBlocks blocks share.
	scaleBytes  = 2 * groupRows
	superBytes  = 4 * groupRows
	superBlocks = 8
)

// interleaved is a quantized weight in the order in which kernels read it.
// Sixteen rows are a group. A group has its blocks of 32 values, then the
// scales of each block, then what eight blocks share, if the format has that.
//
// In a block, four values of the first row are followed by the same four of the
// second and so on: 64 values, a line. Lines of 8-bit values follow each
// other. Otherwise two lines share one, the first in the low halves of the
// bytes, and planes follow: a byte of a plane has the upper bits of that byte of
// 8 (one bit each) or 4 (two bits each) lines, the first in the lowest bits.
// Values are not negative: the format's offset has been added.
type interleaved struct {
	format     blockFormat
	blocks     int // of a row
	groups     int
	groupBytes int
	data       []byte // begins at a multiple of 64 bytes, as groups do
}

// blockFormat is how a storage format is interleaved.
type blockFormat struct {
	bits     int   // of a value: 8, or 4 and more
	offset   int32 // of the interleaved values; 0 where they have minimums
	split    bool  // each half of a block has a scale: 16 signed bytes for the first halves, 16 for the second, in units of the super-block's
	minimums bool  // scales are 16 bytes and 16 for minimums, in units of the super-block's two
	// read returns block b of a stored row, four values to a word.
	read func(row []byte, b int) [blockFours]uint32
	// scales writes the scales of block b of a stored row to those of row i of a group.
	scales func(scales, supers, row []byte, b, i int)
}

// super says that scales are multiples of an f16 that superBlocks blocks share.
func (f blockFormat) super() bool { return f.split || f.minimums }

// bytes is the size of a block of a group, without scales.
func (f blockFormat) bytes() int { return groupRows * blockValues * f.bits / 8 }

// groupBytes is the size of a group of rows of so many blocks.
func (f blockFormat) groupBytes(blocks int) int {
	n := blocks * (f.bytes() + scaleBytes)
	if f.super() {
		n += blocks / superBlocks * superBytes
	}
	return (n + 63) &^ 63
}

// blockFormatOf returns how a format is interleaved, and whether it is one of
// those that are multiplied as integers.
func blockFormatOf(f compute.Format) (blockFormat, bool) {
	switch f {
	case compute.Q8_0:
		return blockFormat{bits: 8, offset: 128, read: readQ8, scales: scalesOfQ8}, true
	case compute.Q4_0:
		return blockFormat{bits: 4, offset: 8, read: readQ4, scales: scalesOfQ4}, true
	case compute.Q5_0:
		return blockFormat{bits: 5, offset: 16, read: readQ5, scales: scalesOfQ5}, true
	case compute.Q4_K:
		return blockFormat{bits: 4, minimums: true, read: readQ4K, scales: scalesOfQ4K}, true
	case compute.Q6_K:
		return blockFormat{bits: 6, offset: 32, split: true, read: readQ6K, scales: scalesOfQ6K}, true
	default:
		return blockFormat{}, false
	}
}

// interleavedKey is where a weight keeps its interleaved copy.
type interleavedKey struct{}

// interleavedOf returns w interleaved, which is done once.
func (d *Device) interleavedOf(w *compute.Weight) *interleaved {
	if v := w.Derived(interleavedKey{}, nil); v != nil {
		return v.(*interleaved)
	}
	return w.Derived(interleavedKey{}, func() any { return d.interleave(w) }).(*interleaved)
}

func (d *Device) interleave(w *compute.Weight) *interleaved {
	f, _ := blockFormatOf(w.Format)
	blocks, groups := w.In/blockValues, (w.Out+groupRows-1)/groupRows
	v := &interleaved{format: f, blocks: blocks, groups: groups, groupBytes: f.groupBytes(blocks)}
	v.data = d.slab.bytes(groups * v.groupBytes)
	rowBytes := w.Format.RowBytes(w.In)
	d.parallelIf(w.Out*w.In > 8*chunkValues, groups, func(_ *worker, g int) {
		for i := range min(groupRows, w.Out-g*groupRows) {
			row := g*groupRows + i
			v.setRow(g, i, w.Data()[row*rowBytes:(row+1)*rowBytes])
		}
	})
	return v
}

// group returns the blocks, scales and shared scales of group g.
func (v *interleaved) group(g int) (w, scales, supers []byte) {
	group := v.data[g*v.groupBytes : (g+1)*v.groupBytes]
	w, scales = group[:v.blocks*v.format.bytes()], group[v.blocks*v.format.bytes():]
	if v.format.super() {
		supers = scales[v.blocks*scaleBytes:][:v.blocks/superBlocks*superBytes]
	}
	return w, scales[:v.blocks*scaleBytes], supers
}

// setRow writes row i of group g.
func (v *interleaved) setRow(g, i int, row []byte) {
	w, scales, supers := v.group(g)
	size := v.format.bytes()
	for b := range v.blocks {
		v.format.setBlock(w[b*size:(b+1)*size], i, v.format.read(row, b))
		v.format.scales(scales[b*scaleBytes:], supers, row, b, i)
	}
}

// setBlock writes the values of row i of a group's block.
func (f blockFormat) setBlock(dst []byte, i int, fours [blockFours]uint32) {
	set := func(line int, word uint32) { binary.LittleEndian.PutUint32(dst[64*line+4*i:], word) }
	if f.bits == 8 {
		for j, four := range fours {
			set(j, four)
		}
		return
	}
	for j := 0; j < blockFours; j += 2 {
		set(j/2, fours[j]&0x0f0f0f0f|fours[j+1]&0x0f0f0f0f<<4)
	}
	upper, perPlane, mask := f.upper()
	if upper == 0 {
		return
	}
	for from := 0; from < blockFours; from += perPlane {
		plane := uint32(0)
		for j := range perPlane {
			plane |= fours[from+j] >> 4 & mask << (upper * j)
		}
		set(blockFours/2+from/perPlane, plane)
	}
}

// block reads back the values of row i of a group's block.
func (f blockFormat) block(dst *[blockValues]uint8, block []byte, i int) {
	get := func(line int) uint32 { return binary.LittleEndian.Uint32(block[64*line+4*i:]) }
	put := func(j int, four uint32) { binary.LittleEndian.PutUint32(dst[4*j:], four) }
	if f.bits == 8 {
		for j := range blockFours {
			put(j, get(j))
		}
		return
	}
	upper, perPlane, mask := f.upper()
	for j := 0; j < blockFours; j += 2 {
		word := get(j / 2)
		low, high := word&0x0f0f0f0f, word>>4&0x0f0f0f0f
		if upper > 0 {
			plane := get(blockFours/2+j/perPlane) >> (upper * (j % perPlane))
			low |= plane & mask << 4
			high |= plane >> upper & mask << 4
		}
		put(j, low)
		put(j+1, high)
	}
}

// upper returns how many bits of a value are in planes, how many times four
// values have theirs in one plane, and a mask of the bits of four values.
func (f blockFormat) upper() (bits, perPlane int, mask uint32) {
	bits = f.bits - 4
	if bits == 0 {
		return 0, 0, 0
	}
	return bits, 8 / bits, uint32(1<<bits-1) * 0x01010101
}
