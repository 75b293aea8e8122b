package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// round writes the kernel that rounds x to 8 bits, which 8 lanes do well
// enough for both instruction sets.
func (a *assembler) round() {
	a.roundConstants()
	a.function("round", "func(dst *byte, step int, x *float32, blocks int, offset int, split int)",
		"rounds blocks, more than 0, of 32 values of x, to every step bytes of dst. Integer sums start at −offset times the sum of the values, of each half of them if split is −1, not 0.")
	dst, step, x, blocks, largest := reg.RDI, reg.RDX, reg.RSI, reg.RCX, reg.EAX
	a.load("dst", dst)
	a.load("step", step)
	a.load("x", x)
	a.load("blocks", blocks)
	value := func(i int) reg.Register { return a.vector(i) }
	absolute := reg.X4
	scale, inverse, limit, split, offset, positive := reg.X5, reg.X6, reg.X10, reg.X11, reg.X12, reg.Y13
	a.VMOVUPS(a.constant["positive"], positive)
	a.VMOVSS(a.constant["limit8"], limit)
	a.VPBROADCASTD(a.argument("offset"), offset)
	a.VPBROADCASTD(a.argument("split"), split)
	a.Label("loop")
	for i := range 4 {
		a.VMOVUPS(Mem{Base: x, Disp: 32 * i}, value(i))
	}
	// As integers, magnitudes are in order too, and every NaN is the largest.
	a.VPAND(positive, value(0), reg.Y4)
	for i := 1; i < 4; i++ {
		a.VPAND(positive, value(i), reg.Y7)
		a.VPMAXSD(reg.Y7, reg.Y4, reg.Y4)
	}
	a.VEXTRACTI128(U8(1), reg.Y4, reg.X7)
	a.VPMAXSD(reg.X7, absolute, absolute)
	for _, order := range []uint8{0b1110, 0b0001} {
		a.VPSHUFD(U8(order), absolute, reg.X7)
		a.VPMAXSD(reg.X7, absolute, absolute)
	}
	a.VMOVD(absolute, largest)
	a.VDIVSS(limit, absolute, scale)
	a.VDIVSS(absolute, limit, inverse)
	a.CMPL(largest, U32(math.Float32bits(0x1p-119)))
	a.JLT(LabelRef("nothing"))
	a.CMPL(largest, U32(math.Float32bits(float32(math.Inf(1)))))
	a.JGE(LabelRef("infinite"))
	a.Label("write")
	a.VBROADCASTSS(inverse, reg.Y6)
	for i := range 4 {
		a.VMULPS(reg.Y6, value(i), value(i))
		a.VCVTPS2DQ(value(i), value(i))
	}
	a.VPACKSSDW(value(1), value(0), value(0))
	a.VPACKSSDW(value(3), value(2), value(2))
	a.VPACKSSWB(value(2), value(0), value(0))
	a.VMOVUPS(a.constant["unpacked"], reg.Y7)
	a.VPERMD(value(0), reg.Y7, value(0))
	a.VMOVUPS(value(0), Mem{Base: dst})
	a.VMOVSS(scale, Mem{Base: dst, Disp: roundedScale})

	a.VMOVUPS(a.constant["ones8"], reg.Y7)
	a.VPMADDUBSW(value(0), reg.Y7, value(0))
	a.VPMADDWD(a.constant["ones16"], value(0), value(0))
	halves, whole := reg.X0, reg.X1
	a.VEXTRACTI128(U8(1), value(0), whole)
	a.VPHADDD(whole, halves, halves)
	a.VPHADDD(halves, halves, halves) // low, high, low, high
	a.VPHADDD(halves, halves, whole)
	a.VCVTDQ2PS(whole, reg.X2)
	a.VMOVSS(reg.X2, Mem{Base: dst, Disp: roundedSum})
	a.VBLENDVPS(split, halves, whole, whole)
	a.VPMULLD(offset, whole, whole)
	a.VPXOR(halves, halves, halves)
	a.VPSUBD(whole, halves, whole)
	a.VMOVLPS(whole, Mem{Base: dst, Disp: roundedStart})

	a.ADDQ(step, dst)
	a.ADDQ(U32(4*32), x)
	a.DECQ(blocks)
	a.JNE(LabelRef("loop"))
	a.end()

	a.Label("infinite")
	for i := range 4 {
		a.VPXOR(value(i), value(i), value(i))
	}
	a.VPXOR(inverse, inverse, inverse)
	a.VMOVSS(a.constant["nan"], scale)
	a.JMP(LabelRef("write"))
	a.Label("nothing")
	a.VPXOR(inverse, inverse, inverse)
	a.VPXOR(scale, scale, scale)
	a.JMP(LabelRef("write"))
}

// roundConstants writes the data of round.
func (a *assembler) roundConstants() {
	a.constant["positive"] = a.data("positive", a.lanes, func(int) Constant { return U32(math.MaxInt32) })
	a.constant["limit8"] = a.data("limit8", 1, func(int) Constant { return U32(math.Float32bits(127)) })
	a.constant["nan"] = a.data("nan", 1, func(int) Constant { return U32(0x7fc00000) })
	a.constant["ones8"] = a.data("ones8", a.lanes, func(int) Constant { return U32(0x01010101) })
	a.constant["unpacked"] = a.data("unpacked", a.lanes, func(i int) Constant { return U32(uint32([]int{0, 4, 1, 5, 2, 6, 3, 7}[i])) })
}
