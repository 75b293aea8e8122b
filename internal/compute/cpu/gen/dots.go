package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dotFormat is a storage format of weights that dot products read directly.
type dotFormat struct {
	name string
	size int // bytes of a value
}

var dotFormats = []dotFormat{{"F32", 4}, {"F16", 2}, {"BF16", 2}}

// dotLine is how many bytes of each row of weights a round of the loop reads.
const dotLine = 64

// dots writes the kernels that multiply rows of x by rows of weights where
// they lie, both read along the row. Every sum has one vector of strands and
// they are joined in one order, so the shape of the tile changes no result.
func (a *assembler) dots() {
	most := 6
	if !a.wide {
		most = 3
		a.constant["last"] = a.data("last", 2*a.lanes, func(i int) Constant {
			if i < a.lanes {
				return U32(0)
			}
			return U32(0xffffffff)
		})
	}
	for _, f := range dotFormats {
		for _, outs := range []int{1, 4} {
			for rows := 1; rows <= most; rows++ {
				k := dotKernel{assembler: a, dotFormat: f, outs: outs, rows: rows}
				k.write()
			}
		}
	}
}

// dotKernel is a kernel being written.
type dotKernel struct {
	*assembler
	dotFormat
	outs, rows int // of weights and of x
}

var (
	dotW, dotNext, dotStep1, dotStep3 = reg.RSI, reg.R8, reg.RCX, reg.RDX
	dotX                              = []reg.GPPhysical{reg.RDI, reg.R9}
	dotXStep1, dotXStep3, dotN        = reg.R10, reg.R11, reg.RBX
)

func (k *dotKernel) sum(m, o int) reg.Register { return k.vector(m*k.outs + o) }

// free returns a register that holds no sum: x's rows and then the weights while they are read.
func (k *dotKernel) free(i int) reg.Register { return k.vector(k.rows*k.outs + i) }

// steps is row i of those at base, +3 steps being in a register of its own.
func steps(base, step1, step3 reg.GPPhysical, i int) Mem {
	switch i {
	case 0:
		return Mem{Base: base}
	case 3:
		return Mem{Base: base, Index: step3, Scale: 1}
	default:
		return Mem{Base: base, Index: step1, Scale: uint8(i)}
	}
}

func (k *dotKernel) write() {
	least := ""
	if !k.wide {
		least = fmt.Sprintf(", %d or more", k.lanes)
	}
	k.function(fmt.Sprintf("dots%s%dx%d", k.name, k.rows, k.outs),
		"func(c *float32, ldc int, x *float32, ldx int, w *byte, stride int, n int, alpha float32, add bool)",
		fmt.Sprintf("multiplies %d rows of x by %d of weights, which begin stride bytes apart, over n values%s.", k.rows, k.outs, least))
	k.arguments()
	for i := range k.rows * k.outs {
		k.zero(k.vector(i))
	}
	if unrolled := dotLine / k.size / k.lanes; unrolled > 1 {
		k.loop("lines", "vectors", unrolled)
	}
	k.loop("vectors", "tail", 1)
	k.Label("tail")
	k.TESTQ(dotN, dotN)
	k.JE(LabelRef("done"))
	k.tail()
	k.Label("done")
	k.storeDots()
}

func (k *dotKernel) arguments() {
	k.load("w", dotW)
	k.load("stride", dotStep1)
	k.LEAQ(Mem{Base: dotStep1, Index: dotStep1, Scale: 2}, dotStep3)
	k.LEAQ(Mem{Base: dotW, Index: dotStep1, Scale: 4}, dotNext)
	k.load("x", dotX[0])
	k.load("ldx", dotXStep1)
	k.SHLQ(U8(2), dotXStep1)
	k.LEAQ(Mem{Base: dotXStep1, Index: dotXStep1, Scale: 2}, dotXStep3)
	if k.rows > 5 {
		k.LEAQ(Mem{Base: dotX[0], Index: dotXStep1, Scale: 4}, dotX[1])
		k.ADDQ(dotXStep1, dotX[1])
	}
	k.load("n", dotN)
}

// loop reads vectors of every row while there are that many.
func (k *dotKernel) loop(name, next string, vectors int) {
	k.Label(name)
	k.CMPQ(dotN, U8(uint8(vectors*k.lanes)))
	k.JLT(LabelRef(next))
	if k.outs > 1 && vectors*k.lanes*k.size == dotLine {
		// Processors do not fetch ahead the next rows while several are read side by side.
		for o := range k.outs {
			k.PREFETCHT0(steps(dotNext, dotStep1, dotStep3, o))
		}
	}
	for v := range vectors {
		k.round(v, false)
	}
	k.move(vectors * k.lanes)
	k.SUBQ(U8(uint8(vectors*k.lanes)), dotN)
	k.JMP(LabelRef(name))
}

// move goes on by n values.
func (k *dotKernel) move(n int) {
	k.ADDQ(U8(uint8(n*k.size)), dotW)
	k.ADDQ(U8(uint8(n*k.size)), dotNext)
	k.ADDQ(U8(uint8(n*4)), dotX[0])
	if k.rows > 5 {
		k.ADDQ(U8(uint8(n*4)), dotX[1])
	}
}

// round multiplies a vector of every row, v vectors on.
func (k *dotKernel) round(v int, masked bool) {
	for m := range k.rows {
		at := steps(dotX[m/5], dotXStep1, dotXStep3, m%5)
		at.Disp = 4 * v * k.lanes
		switch {
		case masked && k.wide:
			k.VMOVUPS_Z(at, reg.K1, k.free(m))
		case masked:
			k.VANDPS(at, k.free(k.rows), k.free(m))
		default:
			k.VMOVUPS(at, k.free(m))
		}
	}
	w := k.free(k.rows)
	for o := range k.outs {
		at := steps(dotW, dotStep1, dotStep3, o)
		at.Disp = k.size * v * k.lanes
		k.weights(at, w, masked)
		for m := range k.rows {
			k.VFMADD231PS(w, k.free(m), k.sum(m, o))
		}
	}
}

// weights reads a vector of weights as float32. In AVX2 a masked one is whole
// and its first lanes, which have been added before, are cleared.
func (k *dotKernel) weights(at Mem, w reg.Register, masked bool) {
	mask := masked && k.wide
	switch {
	case k.name == "F32" && mask:
		k.VMOVUPS_Z(at, reg.K1, w)
	case k.name == "F32":
		k.VMOVUPS(at, w)
	case k.name == "F16" && mask:
		k.VCVTPH2PS_Z(at, reg.K1, w)
	case k.name == "F16":
		k.VCVTPH2PS(at, w)
	case mask:
		k.VPMOVZXWD_Z(at, reg.K1, w)
	default:
		k.VPMOVZXWD(at, w)
	}
	if k.name == "BF16" {
		k.VPSLLD(U8(16), w, w)
	}
	if masked && !k.wide {
		k.VANDPS(Mem{Base: reg.R12}, w, w)
	}
}

// tail does the values after the last whole vector: under a mask, or in AVX2
// as the last part of a vector that ends with them.
func (k *dotKernel) tail() {
	if k.wide {
		k.tailMask(dotN)
		k.round(0, true)
		return
	}
	k.LEAQ(k.constant["last"], reg.R12)
	k.LEAQ(Mem{Base: reg.R12, Index: dotN, Scale: 4}, reg.R12)
	k.SUBQ(U8(uint8(k.lanes)), dotN) // less than 0
	k.LEAQ(Mem{Base: dotX[0], Index: dotN, Scale: 4}, dotX[0])
	k.LEAQ(Mem{Base: dotW, Index: dotN, Scale: uint8(k.size)}, dotW)
	k.VMOVUPS(Mem{Base: reg.R12}, k.free(k.rows))
	k.round(0, true)
}

// storeDots joins the strands of each sum, four sums together, and stores
// them. A single one is joined with itself, in the same order.
func (k *dotKernel) storeDots() {
	c, ldc, add := reg.RSI, reg.RCX, reg.RAX
	k.load("c", c)
	k.load("ldc", ldc)
	k.SHLQ(U8(2), ldc)
	k.MOVBLZX(k.argument("add"), add.As32())
	x, alpha := lowest(k.free(0)), lowest(k.free(2))
	k.spread("alpha", alpha)
	for m := range k.rows {
		k.join(m)
		sum, at, label := lowest(k.sum(m, 0)), Mem{Base: c}, fmt.Sprintf("set%d", m)
		k.VMULPS(alpha, sum, sum)
		k.TESTL(add.As32(), add.As32())
		k.JE(LabelRef(label))
		if k.outs == 1 {
			k.VMOVSS(at, x)
		} else {
			k.VMOVUPS(at, x)
		}
		k.VADDPS(x, sum, sum)
		k.Label(label)
		if k.outs == 1 {
			k.VMOVSS(sum, at)
		} else {
			k.VMOVUPS(sum, at)
		}
		k.ADDQ(ldc, c)
	}
	k.end()
}

// join sets the first lanes of row m's first vector to its sums.
func (k *dotKernel) join(m int) {
	sum := func(o int) reg.Register { return k.sum(m, min(o, k.outs-1)) }
	t, u := k.free(0), k.free(1)
	pair := func(low, high func(...Op), x, y, to reg.Register) {
		low(y, x, t)
		high(y, x, u)
		k.VADDPS(u, t, to)
	}
	pair(k.VUNPCKLPS, k.VUNPCKHPS, sum(0), sum(1), sum(0))
	if k.outs > 1 {
		pair(k.VUNPCKLPS, k.VUNPCKHPS, sum(2), sum(3), sum(2))
	}
	pair(k.VUNPCKLPD, k.VUNPCKHPD, sum(0), sum(2), sum(0))
	if k.wide {
		k.VEXTRACTF64X4(U8(1), sum(0), half(t))
		k.VADDPS(half(t), half(sum(0)), half(sum(0)))
		k.VEXTRACTF32X4(U8(1), half(sum(0)), lowest(t))
	} else {
		k.VEXTRACTF128(U8(1), sum(0), lowest(t))
	}
	k.VADDPS(lowest(t), lowest(sum(0)), lowest(sum(0)))
}

func lowest(r reg.Register) reg.Register { return r.(interface{ AsX() reg.Register }).AsX() }
func half(r reg.Register) reg.Register   { return r.(interface{ AsY() reg.Register }).AsY() }
