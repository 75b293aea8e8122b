package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A block of x rounded to 8 bits: 32 values, their scale, their sum as a float
// and where the integer sums of its one or two parts start.
const (
	roundedScale = 32
	roundedSum   = 36
	roundedStart = 40
	roundedBytes = 48
)

// blockFormat is a format of interleaved weights: 32 values each of 16 rows,
// four of one row beside four of the next. Values are not negative. Package
// cpu's interleaved.go writes them.
type blockFormat struct {
	name     string
	bits     int  // of a value: 8, or 4 with planes of the bits over those behind
	parts    int  // groups of values with scales of their own
	super    bool // scales are 8-bit multiples of an f16 that eight blocks share
	minimums bool // a multiple of another f16 is subtracted from each value, and sums start at 0
	atOnce   int  // fours of products that a signed 16-bit sum holds, for AVX2; 0: not even one
}

var blockFormats = []blockFormat{
	{name: "blocksQ8", bits: 8, parts: 1},
	{name: "blocksQ4", bits: 4, parts: 1, atOnce: 4},
	{name: "blocksQ5", bits: 5, parts: 1, atOnce: 4},
	{name: "blocksQ4K", bits: 4, parts: 1, super: true, minimums: true, atOnce: 4},
	{name: "blocksQ6K", bits: 6, parts: 2, super: true, atOnce: 2},
}

// bytes is the size of a block of 16 rows, without scales.
func (f blockFormat) bytes() int { return 16 * 32 * f.bits / 8 }

// quads is how many times four values of a row are in a block.
const quads = 32 / 4

// fetchAhead is how far weights are fetched before they are read.
const fetchAhead = 4096

// blocks writes the kernels that multiply rounded rows of x by interleaved
// weights, 16 rows at a time with VPDPBUSD and 8 with AVX2.
func (a *assembler) blocks() {
	for _, c := range []struct {
		name string
		word uint32
	}{{"nibbles", 0x0f0f0f0f}, {"bits5", 0x10101010}, {"bits6", 0x30303030}, {"signs8", 0x80808080}, {"ones16", 0x00010001}} {
		a.constant[c.name] = a.data(c.name, a.lanes, func(int) Constant { return U32(c.word) })
	}
	most := 8
	if !a.wide {
		most = 4
	}
	for _, f := range blockFormats {
		for rows := 1; rows <= most; rows++ {
			k := blockKernel{assembler: a, blockFormat: f, rows: rows}
			k.write()
		}
	}
}

// blockKernel is a kernel being written.
type blockKernel struct {
	*assembler
	blockFormat
	rows int // of x
}

// The registers of a kernel's arguments.
var (
	blockX, blockW, blockScales, blockSupers = reg.RDI, reg.RSI, reg.RDX, reg.R8
	blockCount, blockGroup                   = reg.RCX, reg.R9
)

func (k *blockKernel) sum(m int) reg.Register      { return k.vector(m) }
func (k *blockKernel) products(m int) reg.Register { return k.vector(k.rows + m) }

// temporary returns a register that is none of the sums; 0 to 3 hold weights.
func (k *blockKernel) temporary(i int) reg.Register {
	if k.wide {
		return k.vector(16 + i)
	}
	return k.vector(8 + i)
}

// scale and minimum are where those of a part are; a format with two parts
// has two weights at a time at most.
func (k *blockKernel) scale(part int) reg.Register { return k.temporary(6 - 4*part) }
func (k *blockKernel) minimum() reg.Register       { return k.temporary(7) }
func (k *blockKernel) plane() reg.Register         { return k.temporary(7) }

// at is where a field of row m of x is.
func (k *blockKernel) at(m, field int) Mem { return Mem{Base: blockX, Disp: m*roundedBytes + field} }

func (k *blockKernel) write() {
	several := ""
	if k.wide {
		several = "Groups of 16 begin groupBytes apart. "
	}
	k.function(fmt.Sprintf("%sx%d", k.name, k.rows),
		"func(c *float32, ldc int, x *byte, w *byte, scales *byte, supers *byte, groupBytes int, blocks int, n int, alpha float32, add bool)",
		fmt.Sprintf("multiplies %d rounded rows of x by n rows of weights, up to %d, over blocks, more than 0. %sc is set or, if add, added to.", k.rows, k.most(), several))
	arrays := []struct {
		name      string
		at, group reg.GPPhysical
	}{{"w", blockW, reg.R10}, {"scales", blockScales, reg.R11}, {"supers", blockSupers, reg.R12}}
	if !k.super {
		arrays = arrays[:2]
	}
	for _, array := range arrays {
		k.load(array.name, array.group)
	}
	k.Label("group")
	k.load("x", blockX)
	k.load("blocks", blockCount)
	for _, array := range arrays {
		k.MOVQ(array.group, array.at)
	}
	if k.super {
		k.XORL(blockGroup.As32(), blockGroup.As32())
	}
	for m := range k.rows {
		k.zero(k.sum(m))
	}
	k.Label("loop")
	k.block()
	k.DECQ(blockCount)
	k.JNE(LabelRef("loop"))
	k.storeSums()
	if k.wide {
		k.load("groupBytes", reg.RAX)
		for _, array := range arrays {
			k.ADDQ(reg.RAX, array.group)
		}
		k.ADDQ(U8(64), k.argument("c"))
		k.SUBQ(U8(16), k.argument("n"))
		k.JG(LabelRef("group"))
	}
	k.end()
}

// most is how many rows of weights one call does. The masks of columns know
// no more than 255.
func (k *blockKernel) most() int {
	if k.wide {
		return 128
	}
	return k.lanes
}

// argument is where an argument of the function is.
func (a *assembler) argument(name string) Mem {
	p, err := a.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return p.Addr
}

// block adds what one block gives to the sums.
func (k *blockKernel) block() {
	k.readScales()
	for line := 0; line < k.bytes(); line += 64 {
		k.PREFETCHT0(Mem{Base: blockW, Disp: fetchAhead + line})
	}
	for part := range k.parts {
		for m := range k.rows {
			if k.minimums || k.signed() {
				k.zero(k.products(m))
			} else {
				k.VPBROADCASTD(k.at(m, roundedStart+4*part), k.products(m))
			}
		}
		k.multiply(part*quads/k.parts, (part+1)*quads/k.parts)
		k.addProducts(part)
	}
	k.ADDQ(U32(uint32(k.rows*roundedBytes)), blockX)
	k.ADDQ(U32(uint32(k.bytes())), blockW)
	k.ADDQ(U8(32), blockScales)
}

// storeSums sets c to alpha times the sums, plus what is there if add: plus 0
// otherwise, which a mask without lanes reads.
func (k *blockKernel) storeSums() {
	c, ldc, add, n := reg.RSI, reg.RDX, reg.RDI, reg.RCX
	alpha, old := k.temporary(0), k.temporary(1)
	k.load("c", c)
	k.load("ldc", ldc)
	k.SHLQ(U8(2), ldc)
	k.load("n", n)
	k.spread("alpha", alpha)
	k.MOVBLZX(k.argument("add"), add.As32())
	k.NEGL(add.As32()) // all bits, or none
	masks := [2]reg.Register{reg.K1, reg.K2}
	if k.wide {
		k.MOVL(U32(math.MaxUint32), reg.EAX)
		k.BZHIL(n.As32(), reg.EAX, reg.EAX)
		k.KMOVW(reg.EAX, reg.K1)
		k.ANDL(add.As32(), reg.EAX)
		k.KMOVW(reg.EAX, reg.K2)
	} else {
		masks = [2]reg.Register{k.temporary(2), k.temporary(3)}
		k.LEAQ(k.ones.Offset(64), reg.RAX)
		k.SHLQ(U8(2), n)
		k.SUBQ(n, reg.RAX)
		k.VMOVUPS(Mem{Base: reg.RAX}, masks[0])
		k.VMOVD(add.As32(), lowest(masks[1]))
		k.VPBROADCASTD(lowest(masks[1]), masks[1])
		k.VPAND(masks[0], masks[1], masks[1])
	}
	for m := range k.rows {
		if k.wide {
			k.VMOVUPS_Z(Mem{Base: c}, masks[1], old)
		} else {
			k.VMASKMOVPS(Mem{Base: c}, masks[1], old)
		}
		k.VFMADD213PS(old, alpha, k.sum(m))
		if k.wide {
			k.VMOVUPS(k.sum(m), masks[0], Mem{Base: c})
		} else {
			k.VMASKMOVPS(k.sum(m), masks[0], Mem{Base: c})
		}
		k.ADDQ(ldc, c)
	}
}

// signed says that values are made signed before they are multiplied.
func (k *blockKernel) signed() bool { return !k.wide && k.atOnce == 0 }

// readScales reads the scales of 16 rows, two bytes each.
func (k *blockKernel) readScales() {
	if !k.super {
		k.VCVTPH2PS(Mem{Base: blockScales}, k.scale(0))
		return
	}
	// Eight blocks have one f16 for every row, or two.
	group := reg.RAX
	k.MOVQ(blockGroup, group)
	k.ANDQ(I8(-64), group)
	k.ADDQ(U8(8), blockGroup)
	shared := k.temporary(0)
	multiple := func(i int, v reg.Register) {
		m := Mem{Base: blockScales, Disp: 16 * i}
		if k.minimums {
			k.VPMOVZXBD(m, v)
		} else {
			k.VPMOVSXBD(m, v)
		}
		k.VCVTDQ2PS(v, v)
		k.VMULPS(shared, v, v)
	}
	k.VCVTPH2PS(Mem{Base: blockSupers, Index: group, Scale: 1}, shared)
	for part := range k.parts {
		multiple(part, k.scale(part))
	}
	if k.minimums {
		k.VCVTPH2PS(Mem{Base: blockSupers, Disp: 32, Index: group, Scale: 1}, shared)
		multiple(1, k.minimum())
	}
}

// multiply adds the products of fours from ≤ i < to.
func (k *blockKernel) multiply(from, to int) {
	if k.wide {
		for i := from; i < to; i++ {
			w := k.temporary(i % 2)
			k.read4(i, w)
			for m := range k.rows {
				k.VPDPBUSD_BCST(k.at(m, 4*i), w, k.products(m))
			}
		}
		return
	}
	x, y := k.temporary(4), k.temporary(5)
	if k.atOnce == 0 { // the sign of the weight goes to x, so that no 16-bit sum is too large
		w, absolute := k.temporary(0), k.temporary(1)
		for i := from; i < to; i++ {
			k.read4(i, w)
			k.VPXOR(k.constant["signs8"], w, w)
			k.VPABSB(w, absolute)
			for m := range k.rows {
				k.VPBROADCASTD(k.at(m, 4*i), x)
				k.VPSIGNB(w, x, x)
				k.VPMADDUBSW(x, absolute, x)
				k.VPMADDWD(k.constant["ones16"], x, x)
				k.VPADDD(x, k.products(m), k.products(m))
			}
		}
		return
	}
	for i := from; i < to; i += k.atOnce {
		for j := range k.atOnce {
			k.read4(i+j, k.temporary(j))
		}
		for m := range k.rows {
			for j := range k.atOnce {
				to := []reg.Register{x, y}[min(j, 1)]
				k.VPBROADCASTD(k.at(m, 4*(i+j)), to)
				k.VPMADDUBSW(to, k.temporary(j), to)
				if j > 0 {
					k.VPADDW(y, x, x)
				}
			}
			k.VPMADDWD(k.constant["ones16"], x, x)
			k.VPADDD(x, k.products(m), k.products(m))
		}
	}
}

// read4 sets w to the i-th four values of every row.
func (k *blockKernel) read4(i int, w reg.Register) {
	if k.bits == 8 {
		k.VMOVUPS(Mem{Base: blockW, Disp: 64 * i}, w)
		return
	}
	k.VMOVUPS(Mem{Base: blockW, Disp: 64 * (i / 2)}, w)
	if i%2 == 1 {
		k.VPSRLW(U8(4), w, w)
	}
	k.and(k.constant["nibbles"], w, w)
	if k.bits == 4 {
		return
	}
	// A byte of a plane has the upper bits of that byte of several fours.
	upper := k.bits - 4
	perPlane := 8 / upper
	if i%perPlane == 0 {
		k.VMOVUPS(Mem{Base: blockW, Disp: 256 + 64*(i/perPlane)}, k.plane())
	}
	mask, t := k.constant[fmt.Sprintf("bits%d", k.bits)], k.temporary(4)
	switch shift := 4 - upper*(i%perPlane); {
	case shift > 0:
		k.VPSLLW(U8(uint8(shift)), k.plane(), t)
	case shift < 0:
		k.VPSRLW(U8(uint8(-shift)), k.plane(), t)
	default:
		k.VMOVUPS(k.plane(), t)
	}
	if k.wide {
		k.VPTERNLOGD(U8(0xf8), mask, t, w) // w or (t and mask)
		return
	}
	k.VPAND(mask, t, t)
	k.VPOR(t, w, w)
}

func (k *blockKernel) and(x Op, y, to reg.Register) {
	if k.wide {
		k.VPANDD(x, y, to)
	} else {
		k.VPAND(x, y, to)
	}
}

// addProducts scales the integer sums of a part and adds them.
func (k *blockKernel) addProducts(part int) {
	t := k.temporary(4)
	for m := range k.rows {
		p := k.products(m)
		k.VCVTDQ2PS(p, p)
		k.VMULPS(k.scale(part), p, p)
		switch {
		case k.wide && k.minimums:
			k.VFNMADD231PS_BCST(k.at(m, roundedSum), k.minimum(), p)
		case k.minimums:
			k.VBROADCASTSS(k.at(m, roundedSum), t)
			k.VFNMADD231PS(t, k.minimum(), p)
		}
		if k.wide {
			k.VFMADD231PS_BCST(k.at(m, roundedScale), p, k.sum(m))
		} else {
			k.VBROADCASTSS(k.at(m, roundedScale), t)
			k.VFMADD231PS(t, p, k.sum(m))
		}
	}
}
