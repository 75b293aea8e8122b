package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The registers of a loop over rows: the row, how many are left, and where
// what is seen of it begins and ends.
var (
	softmaxRow, softmaxRest  = reg.R8, reg.R9
	softmaxFrom, softmaxTo   = reg.R10, reg.R11
	softmaxBegin, softmaxEnd = reg.RSI, reg.RDX
	softmaxWidth, softmaxLd  = reg.RBX, reg.R13
)

// softmaxes writes the kernels of rows of attention scores.
func (a *assembler) softmaxes() {
	a.softmaxRows()
	a.softmaxGradRows()
}

// beginRows loads what both kernels have, and begins the loop over rows.
func (a *assembler) beginRows(first string) {
	a.load(first, softmaxRow)
	a.load("ld", softmaxLd)
	a.SHLQ(U8(2), softmaxLd)
	a.load("rows", softmaxRest)
	a.load("from", softmaxFrom)
	a.load("to", softmaxTo)
	a.load("width", softmaxWidth)
	a.VMOVUPS(a.constant["maxExponent"], a.vector(6))
	a.Label("row")
	a.MOVLQZX(Mem{Base: softmaxFrom}, softmaxBegin)
	a.MOVLQZX(Mem{Base: softmaxTo}, softmaxEnd)
}

// endRows goes to the next row.
func (a *assembler) endRows(rows ...reg.GPPhysical) {
	for _, r := range rows {
		a.ADDQ(softmaxLd, r)
	}
	a.ADDQ(U8(4), softmaxFrom)
	a.ADDQ(U8(4), softmaxTo)
	a.DECQ(softmaxRest)
	a.JNE(LabelRef("row"))
	a.end()
}

// sweep loops over RCX values of a row, a vector at a time and then once under
// a mask. body has RDI as the distance from the row's begin.
func (a *assembler) sweep(name string, body func(masked bool)) {
	a.Label(name)
	a.CMPQ(reg.RCX, U8(uint8(a.lanes)))
	a.JLT(LabelRef(name + "Tail"))
	body(false)
	a.ADDQ(U8(uint8(a.bytes())), reg.RDI)
	a.SUBQ(U8(uint8(a.lanes)), reg.RCX)
	a.JMP(LabelRef(name))
	a.Label(name + "Tail")
	a.TESTQ(reg.RCX, reg.RCX)
	a.JE(LabelRef(name + "Done"))
	a.tailMask(reg.RCX)
	body(true)
	a.Label(name + "Done")
}

// seen sets RDI and RCX to what is seen of the row.
func (a *assembler) seen() {
	a.MOVQ(softmaxBegin, reg.RDI)
	a.SHLQ(U8(2), reg.RDI)
	a.MOVQ(softmaxEnd, reg.RCX)
	a.SUBQ(softmaxBegin, reg.RCX)
}

// clearUnseen writes zeros to what is not seen of the rows.
func (a *assembler) clearUnseen(rows ...reg.GPPhysical) {
	zero := a.vector(0)
	a.zero(zero)
	write := func(masked bool) {
		for _, r := range rows {
			a.write(zero, Mem{Base: r, Index: reg.RDI, Scale: 1}, masked)
		}
	}
	a.XORQ(reg.RDI, reg.RDI)
	a.MOVQ(softmaxBegin, reg.RCX)
	a.sweep("before", write)
	a.MOVQ(softmaxEnd, reg.RDI)
	a.SHLQ(U8(2), reg.RDI)
	a.MOVQ(softmaxWidth, reg.RCX)
	a.SUBQ(softmaxEnd, reg.RCX)
	a.sweep("behind", write)
}

func (a *assembler) softmaxRows() {
	a.function("softmaxRows", "func(x *float32, ld int, rows int, from *int32, to *int32, width int, stats *float32)",
		"replaces the values from[i] ≤ j < to[i] of row i by exp(x − largest) and the others up to width by 0; stats has the largest value and the sum of each row.")
	x, n, t, keep := a.vector(0), a.vector(1), a.vector(2), a.vector(3)
	sum, largest, limit, least := a.vector(4), a.vector(5), a.vector(6), a.vector(8)
	at, stats := Mem{Base: softmaxRow, Index: reg.RDI, Scale: 1}, reg.R12
	a.load("stats", stats)
	a.VMOVUPS(a.constant["minusInf"], least)
	a.beginRows("x")
	a.clearUnseen(softmaxRow)
	a.VMOVAPS(least, largest)
	a.seen()
	a.sweep("largest", func(masked bool) {
		a.readOr(at, x, least, masked)
		a.VMAXPS(largest, x, largest) // the first operand if one is a NaN
	})
	a.fold(largest, func(x, y reg.Register) { a.VMAXPS(x, y, y) })
	a.VMOVSS(asX(largest), Mem{Base: stats})
	a.VBROADCASTSS(asX(largest), largest)
	a.zero(sum)
	a.seen()
	a.sweep("exp", func(masked bool) {
		a.read(at, x, masked)
		a.VSUBPS(largest, x, x)
		a.powerOrZero(x, n, t, keep, limit, masked)
		a.VADDPS(x, sum, sum)
		a.write(x, at, masked)
	})
	a.fold(sum, func(x, y reg.Register) { a.VADDPS(x, y, y) })
	a.VMOVSS(asX(sum), Mem{Base: stats, Disp: 4})
	a.ADDQ(U8(8), stats)
	a.endRows(softmaxRow)
}

func (a *assembler) softmaxGradRows() {
	a.function("softmaxGradRows", "func(p *float32, ds *float32, ld int, rows int, from *int32, to *int32, width int, stats *float32, scale float32)",
		"replaces the values from[i] ≤ j < to[i] of row i of p by exp(p − stats[2i]) and those of ds by scale·p·(ds − stats[2i+1]), and the others up to width by 0.")
	x, n, t, keep := a.vector(0), a.vector(1), a.vector(2), a.vector(3)
	shift, delta, limit, scale := a.vector(4), a.vector(5), a.vector(6), a.vector(8)
	ds, stats := reg.R14, reg.R12
	a.load("stats", stats)
	a.load("ds", ds)
	a.spread("scale", scale)
	a.beginRows("p")
	a.clearUnseen(softmaxRow, ds)
	a.VBROADCASTSS(Mem{Base: stats}, shift)
	a.VBROADCASTSS(Mem{Base: stats, Disp: 4}, delta)
	a.seen()
	a.sweep("values", func(masked bool) {
		at := func(row reg.GPPhysical) Mem { return Mem{Base: row, Index: reg.RDI, Scale: 1} }
		a.read(at(softmaxRow), x, masked)
		a.VSUBPS(shift, x, x)
		a.powerOrZero(x, n, t, keep, limit, masked)
		a.write(x, at(softmaxRow), masked)
		a.read(at(ds), n, masked)
		a.VSUBPS(delta, n, n)
		a.VMULPS(scale, x, x)
		a.VMULPS(n, x, x)
		a.write(x, at(ds), masked)
	})
	a.ADDQ(U8(8), stats)
	a.endRows(softmaxRow, ds)
}

func asX(r reg.Register) reg.Register { return r.(interface{ AsX() reg.Register }).AsX() }
