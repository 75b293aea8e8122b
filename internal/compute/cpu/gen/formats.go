package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// formats writes the readers that dequantize does not: of plain float32, of
// Q5_0, of the formats with blocks of 256 values, and of NF4. Products and sums
// are rounded one by one, as package compute does it.
func (a *assembler) formats() {
	a.constant["three"] = a.data("three", a.lanes, func(int) Constant { return U32(3) })
	a.constant["sixteen"] = a.data("sixteen", a.lanes, func(int) Constant { return U32(16) })
	a.constant["thirtyTwo"] = a.data("thirtyTwo", a.lanes, func(int) Constant { return U32(32) })
	if !a.wide {
		a.constant["bits"] = a.data("bits", a.lanes, func(i int) Constant { return U32(1 << i) })
	}
	a.reader("f32", "32 values of float32", func(i int) {
		a.VMOVUPS(Mem{Base: reg.RSI, Disp: 4 * i}, a.vector(0))
	})
	a.q5()
	a.q4K()
	a.q6K()
	a.nf4()
}

// and sets v to the bits of v that are in the named constant.
func (a *assembler) and(constant string, v reg.Register) {
	if a.wide {
		a.VPANDD(a.constant[constant], v, v)
	} else {
		a.VPAND(a.constant[constant], v, v)
	}
}

// q5 takes 16 off where the fifth bit is not set.
func (a *assembler) q5() {
	v, scale, less := a.vector(0), a.vector(1), a.vector(2)
	a.reader("q5", "a block of Q5_0", func(i int) {
		if i == 0 {
			a.VPBROADCASTW(Mem{Base: reg.RSI}, reg.X1)
			a.VCVTPH2PS(reg.X1, reg.X1)
			a.VBROADCASTSS(reg.X1, scale)
		}
		a.VPMOVZXBD(Mem{Base: reg.RSI, Disp: 6 + i%16}, v)
		if i >= 16 {
			a.VPSRLD(U8(4), v, v)
		} else {
			a.and("fifteen", v)
		}
		if a.wide {
			a.KMOVW(Mem{Base: reg.RSI, Disp: 2 + i/8}, reg.K1)
			a.KNOTW(reg.K1, reg.K1)
			a.VPSUBD(a.constant["sixteen"], v, reg.K1, v)
		} else {
			a.VPBROADCASTB(Mem{Base: reg.RSI, Disp: 2 + i/8}, less)
			a.and("bits", less)
			a.zero(a.vector(3))
			a.VPCMPEQD(a.vector(3), less, less)
			a.and("sixteen", less)
			a.VPSUBD(less, v, v)
		}
		a.VCVTDQ2PS(v, v)
		a.VMULPS(scale, v, v)
	})
}

// groupReader begins the reader of one group of 32 values of each block. setup
// runs once, with the group's number in R8; read is for each block at RSI.
func (a *assembler) groupReader(name, what string, setup func(), read func()) {
	a.function(name, "func(dst *float32, src *byte, n int, stride int, group int, ahead int)",
		"sets dst to the values of a group of n blocks of "+what+", n over 0, which begin stride bytes apart, and asks for what is ahead bytes on.")
	a.load("dst", reg.RDI)
	a.load("src", reg.RSI)
	a.load("n", reg.RCX)
	a.load("stride", reg.RDX)
	a.load("group", reg.R8)
	a.load("ahead", reg.R13)
	setup()
	a.Label("loop")
	a.PREFETCHT0(Mem{Base: reg.RSI, Index: reg.R13, Scale: 1})
	read()
	a.ADDQ(reg.RDX, reg.RSI)
	a.ADDQ(U32(panelBytes), reg.RDI)
	a.DECQ(reg.RCX)
	a.JNE(LabelRef("loop"))
	a.end()
}

// both copies the first lane of X1 to all of the one vector, and the second to
// all of the other.
func (a *assembler) both(first, second reg.Register) {
	a.VMOVSHDUP(reg.X1, reg.X2)
	a.VBROADCASTSS(reg.X1, first)
	a.VBROADCASTSS(reg.X2, second)
}

// q4K has d and dmin at 0, 12 bytes of scales and minimums at 4, values at 16.
func (a *assembler) q4K() {
	v, scale, minimum, shift := a.vector(0), a.vector(3), a.vector(4), reg.X5
	a.groupReader("q4K", "Q4_K", func() {
		a.MOVQ(reg.R8, reg.R9) // of four groups, which one: where its scale begins
		a.ANDQ(U8(3), reg.R9)
		a.MOVQ(reg.R8, reg.R10)
		a.SHRQ(U8(1), reg.R10)
		a.SHLQ(U8(5), reg.R10) // 32 bytes of values for two groups
		a.MOVQ(reg.R8, reg.RAX)
		a.ANDQ(U8(1), reg.RAX)
		a.SHLQ(U8(2), reg.RAX)
		a.VMOVQ(reg.RAX, shift)
	}, func() {
		packed := func(from int) Mem { return Mem{Base: reg.RSI, Index: reg.R9, Scale: 1, Disp: 4 + from} }
		a.MOVBLZX(packed(0), reg.EAX)
		a.MOVBLZX(packed(4), reg.EBX)
		a.CMPQ(reg.R8, U8(4))
		a.JGE(LabelRef("second"))
		a.ANDL(U8(63), reg.EAX)
		a.ANDL(U8(63), reg.EBX)
		a.JMP(LabelRef("scaled"))
		a.Label("second") // four bits of a byte of its own, and two that the first four groups leave
		a.MOVBLZX(packed(8), reg.R11L)
		a.SHRL(U8(6), reg.EAX)
		a.SHLL(U8(4), reg.EAX)
		a.SHRL(U8(6), reg.EBX)
		a.SHLL(U8(4), reg.EBX)
		a.MOVL(reg.R11L, reg.R12L)
		a.ANDL(U8(15), reg.R12L)
		a.ORL(reg.R12L, reg.EAX)
		a.SHRL(U8(4), reg.R11L)
		a.ORL(reg.R11L, reg.EBX)
		a.Label("scaled")
		a.VMOVD(reg.EAX, reg.X1)
		a.VPINSRD(U8(1), reg.EBX, reg.X1, reg.X1)
		a.VCVTDQ2PS(reg.X1, reg.X1)
		a.VMOVD(Mem{Base: reg.RSI}, reg.X2)
		a.VCVTPH2PS(reg.X2, reg.X2)
		a.VMULPS(reg.X2, reg.X1, reg.X1)
		a.both(scale, minimum)
		for i := 0; i < 32; i += a.lanes {
			a.VPMOVZXBD(Mem{Base: reg.RSI, Index: reg.R10, Scale: 1, Disp: 16 + i}, v)
			a.VPSRLD(shift, v, v)
			a.and("fifteen", v)
			a.VCVTDQ2PS(v, v)
			a.VMULPS(scale, v, v)
			a.VSUBPS(minimum, v, v)
			a.VMOVUPS(v, Mem{Base: reg.RDI, Disp: 4 * i})
		}
	})
}

// q6K has the lower four bits at 0, the upper two at 128, scales at 192, d at 208.
func (a *assembler) q6K() {
	v, upper, scales := a.vector(0), a.vector(7), []reg.Register{a.vector(3), a.vector(4)}
	shift, upperShift := reg.X5, reg.X6
	a.groupReader("q6K", "Q6_K", func() {
		a.MOVQ(reg.R8, reg.R9) // lower bits: 64 bytes for half a block, groups 0 and 2, 1 and 3 together
		a.SHRQ(U8(2), reg.R9)
		a.MOVQ(reg.R9, reg.R10) // upper bits: 32 bytes for half a block
		a.SHLQ(U8(6), reg.R9)
		a.SHLQ(U8(5), reg.R10)
		a.MOVQ(reg.R8, reg.RAX)
		a.ANDQ(U8(1), reg.RAX)
		a.SHLQ(U8(5), reg.RAX)
		a.ADDQ(reg.RAX, reg.R9)
		a.MOVQ(reg.R8, reg.RAX)
		a.ANDQ(U8(2), reg.RAX)
		a.SHLQ(U8(1), reg.RAX)
		a.VMOVQ(reg.RAX, shift)
		a.MOVQ(reg.R8, reg.RAX)
		a.ANDQ(U8(3), reg.RAX)
		a.SHLQ(U8(1), reg.RAX)
		a.VMOVQ(reg.RAX, upperShift)
	}, func() {
		a.MOVWLZX(Mem{Base: reg.RSI, Index: reg.R8, Scale: 2, Disp: 192}, reg.EAX)
		a.VMOVD(reg.EAX, reg.X1)
		a.VPMOVSXBD(reg.X1, reg.X1)
		a.VCVTDQ2PS(reg.X1, reg.X1)
		a.VPBROADCASTW(Mem{Base: reg.RSI, Disp: 208}, reg.X2)
		a.VCVTPH2PS(reg.X2, reg.X2)
		a.VMULPS(reg.X2, reg.X1, reg.X1)
		a.both(scales[0], scales[1])
		for i := 0; i < 32; i += a.lanes {
			a.VPMOVZXBD(Mem{Base: reg.RSI, Index: reg.R9, Scale: 1, Disp: i}, v)
			a.VPSRLD(shift, v, v)
			a.and("fifteen", v)
			a.VPMOVZXBD(Mem{Base: reg.RSI, Index: reg.R10, Scale: 1, Disp: 128 + i}, upper)
			a.VPSRLD(upperShift, upper, upper)
			a.and("three", upper)
			a.VPSLLD(U8(4), upper, upper)
			a.VPADDD(upper, v, v)
			a.VPSUBD(a.constant["thirtyTwo"], v, v)
			a.VCVTDQ2PS(v, v)
			a.VMULPS(scales[i/16], v, v)
			a.VMOVUPS(v, Mem{Base: reg.RDI, Disp: 4 * i})
		}
	})
}

// nf4 counts groups of 32 values over the whole matrix: two of them have one
// scale. The table of 16 values is in registers, where a permutation looks up a
// vector of codes; it ignores the bits above a code.
func (a *assembler) nf4() {
	a.function("nf4", "func(dst *float32, codes *byte, absmax *byte, nestedAbsmax *float32, quantMap *float32, nestedMap *float32, offset float32, group int, n int, step int, ahead int)",
		"sets dst to n groups of 32 values of NF4, n over 0, every step-th one from group on, and asks for the codes ahead bytes on.")
	group, v, scale, codes, offset := reg.R10, a.vector(0), a.vector(1), a.vector(2), reg.X3
	low, high := a.vector(4), a.vector(5)
	a.load("quantMap", reg.RAX)
	a.VMOVUPS(Mem{Base: reg.RAX}, low)
	if !a.wide {
		a.VMOVUPS(Mem{Base: reg.RAX, Disp: 32}, high)
	}
	a.load("dst", reg.RDI)
	a.load("codes", reg.RSI)
	a.load("absmax", reg.RDX)
	a.load("nestedAbsmax", reg.R8)
	a.load("nestedMap", reg.R9)
	a.spread("offset", offset)
	a.load("group", group)
	a.load("n", reg.RCX)
	a.load("step", reg.R11)
	a.load("ahead", reg.R12)
	a.ADDQ(reg.RSI, reg.R12)
	a.Label("loop")
	a.MOVQ(group, reg.RAX)
	a.SHRQ(U8(1), reg.RAX)
	a.MOVBLZX(Mem{Base: reg.RDX, Index: reg.RAX, Scale: 1}, reg.EBX)
	a.VMOVSS(Mem{Base: reg.R9, Index: reg.RBX, Scale: 4}, reg.X1)
	a.SHRQ(U8(8), reg.RAX)
	a.VMULSS(Mem{Base: reg.R8, Index: reg.RAX, Scale: 4}, reg.X1, reg.X1)
	a.VADDSS(offset, reg.X1, reg.X1)
	a.VBROADCASTSS(reg.X1, scale)
	a.MOVQ(group, reg.RAX)
	a.SHLQ(U8(4), reg.RAX)
	a.PREFETCHT0(Mem{Base: reg.R12, Index: reg.RAX, Scale: 1})
	for i := 0; i < 32; i += a.lanes {
		// A byte becomes 8, of which the lower four get the first code.
		a.VPMOVZXBQ(Mem{Base: reg.RSI, Index: reg.RAX, Scale: 1, Disp: i / 2}, v)
		a.VPSRLQ(U8(4), v, codes)
		a.VPSLLQ(U8(32), v, v)
		if a.wide {
			a.VPORQ(v, codes, codes)
			a.VPERMPS(low, codes, v)
		} else {
			a.VPOR(v, codes, codes)
			a.VPERMPS(low, codes, v)
			a.VPERMPS(high, codes, a.vector(6))
			a.VPSLLD(U8(28), codes, codes)
			a.VBLENDVPS(codes, a.vector(6), v, v)
		}
		a.VMULPS(scale, v, v)
		a.VMOVUPS(v, Mem{Base: reg.RDI, Disp: 4 * i})
	}
	a.ADDQ(reg.R11, group)
	a.ADDQ(U32(panelBytes), reg.RDI)
	a.DECQ(reg.RCX)
	a.JNE(LabelRef("loop"))
	a.end()
}
