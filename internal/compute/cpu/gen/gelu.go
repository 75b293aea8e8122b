package main

import "github.com/mmcloughlin/avo/reg"

// gelus writes the kernels of the tanh form of GELU, x·sigmoid(u) with
// u = x·(gelu1 + gelu3·x²); see glu.go of package cpu.
func (a *assembler) gelus() {
	x, s, n, t := a.vector(0), a.vector(1), a.vector(2), a.vector(3)
	limit, one, up, d, square := a.vector(4), a.vector(5), a.vector(6), a.vector(7), a.vector(8)
	u := a.vector(9)
	begin := func() {
		a.VMOVUPS(a.constant["maxExponent"], limit)
		a.VMOVUPS(a.constant["one"], one)
	}
	a.function("gelu", "func(out *float32, gate *float32, up *float32, n int)", "sets out to gelu(gate)·up.")
	begin()
	a.elementwise([]string{"out", "gate", "up"}, func(masked bool) {
		a.read(at(1), x, masked)
		a.read(at(2), up, masked)
		a.geluArgument(x, square, u)
		a.sigmoid(u, s, n, t, limit, one)
		a.VMULPS(s, x, x)
		a.VMULPS(up, x, x)
		a.write(x, at(0), masked)
	})
	a.end()

	a.function("geluGrad", "func(dgate *float32, dup *float32, dout *float32, gate *float32, up *float32, n int)",
		"sets dup to dout·gelu(gate) and dgate to dout·up·gelu'(gate).")
	begin()
	a.elementwise([]string{"dgate", "dup", "dout", "gate", "up"}, func(masked bool) {
		a.read(at(3), x, masked)
		a.read(at(4), up, masked)
		a.read(at(2), d, masked)
		a.geluArgument(x, square, u)
		a.sigmoid(u, s, n, t, limit, one)
		// The slope of u; where x² is more, s·(1−s) is 0, and 0·∞ would be no number.
		a.VMOVUPS(a.constant["geluFar"], n)
		a.VMINPS(square, n, square)
		a.VMOVUPS(a.constant["geluSlope1"], n)
		a.VFMADD231PS(a.constant["geluSlope3"], square, n)
		a.VMULPS(up, d, up) // dout·up
		a.VMULPS(s, d, d)
		a.VMULPS(x, d, d) // dout·x·s
		a.VSUBPS(s, one, t)
		a.VMULPS(s, t, t)
		a.VMULPS(x, t, t)
		a.VFMADD231PS(n, t, s) // s + x·s·(1−s)·u'
		a.VMULPS(s, up, up)
		a.write(up, at(0), masked)
		a.write(d, at(1), masked)
	})
	a.end()
}

// geluArgument sets square to x² and u to x·(gelu1 + gelu3·x²).
func (a *assembler) geluArgument(x, square, u reg.Register) {
	a.VMULPS(x, x, square)
	a.VMOVUPS(a.constant["geluSlope1"], u)
	a.VFMADD231PS(a.constant["geluCube"], square, u)
	a.VMULPS(x, u, u)
}
