package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dot writes the product of two vectors, in four strands.
func (a *assembler) dot() {
	a.function("dot", "func(a *float32, b *float32, n int) float32", "returns Σ a·b.")
	x, n := []reg.GPPhysical{reg.RDI, reg.RSI}, reg.RCX
	a.load("a", x[0])
	a.load("b", x[1])
	a.load("n", n)
	for i := range 4 {
		a.zero(a.vector(i))
	}
	step := func(strands int, masked bool) {
		for i := range strands {
			a.read(Mem{Base: x[0], Disp: i * a.bytes()}, a.vector(4+i), masked)
			if masked {
				a.read(Mem{Base: x[1]}, a.vector(5), true)
				a.VFMADD231PS(a.vector(5), a.vector(4), a.vector(0))
				return
			}
			a.VFMADD231PS(Mem{Base: x[1], Disp: i * a.bytes()}, a.vector(4+i), a.vector(i))
		}
		a.ADDQ(U32(uint32(strands*a.bytes())), x[0])
		a.ADDQ(U32(uint32(strands*a.bytes())), x[1])
		a.SUBQ(U8(uint8(strands*a.lanes)), n)
	}
	for _, strands := range []int{4, 1} {
		loop, next := fmt.Sprintf("loop%d", strands), fmt.Sprintf("after%d", strands)
		a.Label(loop)
		a.CMPQ(n, U8(uint8(strands*a.lanes)))
		a.JLT(LabelRef(next))
		step(strands, false)
		a.JMP(LabelRef(loop))
		a.Label(next)
	}
	a.TESTQ(n, n)
	a.JE(LabelRef("done"))
	a.tailMask(n)
	step(1, true)
	a.Label("done")
	a.VADDPS(a.vector(1), a.vector(0), a.vector(0))
	a.VADDPS(a.vector(3), a.vector(2), a.vector(2))
	a.VADDPS(a.vector(2), a.vector(0), a.vector(0))
	a.reduce(a.vector(0), func(x, y reg.Register) { a.VADDPS(x, y, y) })
}

// adamW writes an update of the optimizer; package cpu says what the coefficients are.
func (a *assembler) adamW() {
	a.function("adamW", "func(param *float32, grad *float32, m *float32, v *float32, n int, gradScale float32, beta1 float32, rest1 float32, beta2 float32, rest2 float32, keep float32, rate float32, root float32, eps float32)",
		"does one update of n values.")
	coefficients := map[string]reg.Register{}
	for i, name := range []string{"gradScale", "beta1", "rest1", "beta2", "rest2", "keep", "rate", "root", "eps"} {
		coefficients[name] = a.vector(5 + i)
		a.spread(name, a.vector(5+i))
	}
	p, g, m, v, t := a.vector(0), a.vector(1), a.vector(2), a.vector(3), a.vector(4)
	a.elementwise([]string{"param", "grad", "m", "v"}, func(masked bool) {
		for i, r := range []reg.Register{p, g, m, v} {
			a.read(at(i), r, masked)
		}
		a.VMULPS(coefficients["gradScale"], g, g)
		a.VMULPS(coefficients["rest1"], g, t)
		a.VFMADD132PS(coefficients["beta1"], t, m) // m = m·beta1 + t
		a.VMULPS(g, g, g)
		a.VMULPS(coefficients["rest2"], g, t)
		a.VFMADD132PS(coefficients["beta2"], t, v)
		a.write(m, at(2), masked)
		a.write(v, at(3), masked)
		a.VSQRTPS(v, v)
		a.VFMADD213PS(coefficients["eps"], coefficients["root"], v) // sqrt(v)·root + eps
		a.VMULPS(coefficients["rate"], m, m)
		a.VDIVPS(v, m, m)
		a.VFMSUB132PS(coefficients["keep"], m, p) // p·keep − m
		a.write(p, at(0), masked)
	})
	a.end()
}

// peak writes the loop of fused multiplications and additions in registers
// that matrix kernels are measured against.
func (a *assembler) peak() {
	const strands = 12
	a.function("peak", "func(n int)", fmt.Sprintf("does n rounds, over 0, of %d operations of %d multiplications and additions.", strands, a.lanes))
	a.load("n", reg.RCX)
	for i := range strands + 2 {
		a.zero(a.vector(i))
	}
	a.Label("loop")
	for i := range strands {
		a.VFMADD231PS(a.vector(strands), a.vector(strands+1), a.vector(i))
	}
	a.DECQ(reg.RCX)
	a.JNE(LabelRef("loop"))
	a.end()
}

// pause writes the instruction that lets a waiting loop rest, in every
// processor of the architecture.
func (a *assembler) pause() {
	a.Function("pause")
	a.Attributes(attr.NOSPLIT)
	a.SignatureExpr("func()")
	a.Doc("pause rests for some 20 to 60 ns, in a loop that waits for another thread.")
	a.Pragma("noescape")
	a.PAUSE()
	a.RET()
}
