package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// panelBytes is the size of a row of a packed panel, 32 columns.
const panelBytes = 4 * 32

// transpose writes the packer of one vector's worth of rows. Four columns of
// every fourth row are loaded into the 128-bit lanes of one vector, so that
// what is left is a 4 × 4 transpose within lanes.
func (a *assembler) transpose() {
	a.function("transpose", "func(dst *float32, src *float32, stride int, depth int)",
		fmt.Sprintf("sets dst[32k+j] to src[j·stride+k] for j < %d, k < depth, a multiple of 4 over 0.", a.lanes))
	dst, depth, step1, step3 := reg.RDI, reg.RAX, reg.RCX, reg.RDX
	bases := []reg.GPPhysical{reg.RSI, reg.R8, reg.R9, reg.R10}[:a.lanes/4]
	a.load("dst", dst)
	a.load("src", bases[0])
	a.load("stride", step1)
	a.load("depth", depth)
	a.SHLQ(U8(2), step1)
	a.LEAQ(Mem{Base: step1, Index: step1, Scale: 2}, step3)
	for i := 1; i < len(bases); i++ {
		a.LEAQ(Mem{Base: bases[i-1], Index: step1, Scale: 4}, bases[i])
	}
	for i := 1; a.wide && i < 4; i++ {
		a.MOVL(U32(0xf<<(4*i)), reg.R11L)
		a.KMOVW(reg.R11L, []reg.OpmaskPhysical{reg.K1, reg.K2, reg.K3}[i-1])
	}
	a.Label("loop")
	for row := range 4 {
		a.gather(row, bases, step1, step3)
	}
	// v0…v3 hold rows 0…3 of each lane; t their halves, interleaved.
	v, t := a.vector, func(i int) reg.Register { return a.vector(4 + i) }
	a.VUNPCKLPS(v(1), v(0), t(0))
	a.VUNPCKHPS(v(1), v(0), t(1))
	a.VUNPCKLPS(v(3), v(2), t(2))
	a.VUNPCKHPS(v(3), v(2), t(3))
	for column := range 4 {
		low, high := t(column/2), t(2+column/2)
		if column%2 == 0 {
			a.VUNPCKLPD(high, low, v(column))
		} else {
			a.VUNPCKHPD(high, low, v(column))
		}
		a.VMOVUPS(v(column), Mem{Base: dst, Disp: column * panelBytes})
	}
	for _, base := range bases {
		a.ADDQ(U8(16), base)
	}
	a.ADDQ(U32(4*panelBytes), dst)
	a.SUBQ(U8(4), depth)
	a.JNE(LabelRef("loop"))
	a.end()
}

// gather loads four columns of rows row, row+4, … into the lanes of vector row.
func (a *assembler) gather(row int, bases []reg.GPPhysical, step1, step3 reg.GPPhysical) {
	v := a.vector(row)
	for lane, base := range bases {
		m := Mem{Base: base}
		switch row {
		case 1, 2:
			m.Index, m.Scale = step1, uint8(row)
		case 3:
			m.Index, m.Scale = step3, 1
		}
		switch {
		case lane == 0:
			a.VMOVUPS(m, v.(interface{ AsX() reg.Register }).AsX())
		case a.wide:
			a.VBROADCASTF32X4(m, []reg.OpmaskPhysical{reg.K1, reg.K2, reg.K3}[lane-1], v)
		default:
			a.VINSERTF128(U8(1), m, v, v)
		}
	}
}

// dequantize writes the readers of the storage formats. One multiplication
// makes each value, so they agree with package compute to the bit.
func (a *assembler) dequantize() {
	src := func(bytes int) Mem { return Mem{Base: reg.RSI, Disp: bytes} }
	v, scale := a.vector(0), a.vector(1)
	a.reader("f16", "32 values of IEEE 754 binary16", func(i int) {
		a.VCVTPH2PS(src(2*i), v)
	})
	a.reader("bf16", "32 values of bfloat16", func(i int) {
		a.VPMOVZXWD(src(2*i), v)
		a.VPSLLD(U8(16), v, v)
	})
	readScale := func() {
		a.VPBROADCASTW(src(0), reg.X1)
		a.VCVTPH2PS(reg.X1, reg.X1)
		a.VBROADCASTSS(reg.X1, scale)
	}
	a.reader("q8", "a block of Q8_0", func(i int) {
		if i == 0 {
			readScale()
		}
		a.VPMOVSXBD(src(2+i), v)
		a.VCVTDQ2PS(v, v)
		a.VMULPS(scale, v, v)
	})
	a.reader("q4", "a block of Q4_0", func(i int) {
		if i == 0 {
			readScale()
		}
		a.VPMOVZXBD(src(2+i%16), v)
		switch {
		case i >= 16:
			a.VPSRLD(U8(4), v, v)
		case a.wide:
			a.VPANDD(a.constant["fifteen"], v, v)
		default:
			a.VPAND(a.constant["fifteen"], v, v)
		}
		a.VPSUBD(a.constant["eight"], v, v)
		a.VCVTDQ2PS(v, v)
		a.VMULPS(scale, v, v)
	})
}

// reader writes the reader of a format. read loads the values from i on into vector 0.
func (a *assembler) reader(name, what string, read func(i int)) {
	a.function(name, "func(dst *float32, src *byte, n int, stride int, ahead int)",
		fmt.Sprintf("sets dst to n times %s, n over 0, which begin stride bytes apart, and asks for what is ahead bytes on.", what))
	a.load("dst", reg.RDI)
	a.load("src", reg.RSI)
	a.load("n", reg.RCX)
	a.load("stride", reg.RDX)
	a.load("ahead", reg.RBX)
	a.Label("loop")
	a.PREFETCHT0(Mem{Base: reg.RSI, Index: reg.RBX, Scale: 1})
	for i := 0; i < 32; i += a.lanes {
		read(i)
		a.VMOVUPS(a.vector(0), Mem{Base: reg.RDI, Disp: 4 * i})
	}
	a.ADDQ(reg.RDX, reg.RSI)
	a.ADDQ(U32(128), reg.RDI)
	a.DECQ(reg.RCX)
	a.JNE(LabelRef("loop"))
	a.end()
}
