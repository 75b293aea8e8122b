package main

import (
	"github.com/mmcloughlin/avo/reg"
)

// vectors writes the elementwise kernels without exponentials.
func (a *assembler) vectors() {
	x, y, z, t := a.vector(0), a.vector(1), a.vector(2), a.vector(3)
	p, q := a.vector(4), a.vector(5)

	a.function("add", "func(y *float32, a *float32, b *float32, n int)", "sets y to a + b.")
	a.elementwise([]string{"y", "a", "b"}, func(masked bool) {
		a.read(at(1), x, masked)
		a.read(at(2), y, masked)
		a.VADDPS(y, x, x)
		a.write(x, at(0), masked)
	})
	a.end()

	a.function("scale", "func(x *float32, n int, s float32)", "multiplies x by s.")
	a.spread("s", p)
	a.elementwise([]string{"x"}, func(masked bool) {
		a.read(at(0), x, masked)
		a.VMULPS(p, x, x)
		a.write(x, at(0), masked)
	})
	a.end()

	a.function("normalize", "func(y *float32, x *float32, gain *float32, n int, r float32)", "sets y to x·r·gain.")
	a.spread("r", p)
	a.elementwise([]string{"y", "x", "gain"}, func(masked bool) {
		a.read(at(1), x, masked)
		a.read(at(2), y, masked)
		a.VMULPS(p, x, x)
		a.VMULPS(y, x, x)
		a.write(x, at(0), masked)
	})
	a.end()

	a.function("addScaled", "func(sum *float32, a *float32, n int, s float32)", "adds a·s to sum.")
	a.spread("s", p)
	a.elementwise([]string{"sum", "a"}, func(masked bool) {
		a.read(at(0), t, masked)
		a.read(at(1), x, masked)
		a.VFMADD231PS(x, p, t)
		a.write(t, at(0), masked)
	})
	a.end()

	a.rotate(x, y, z, t, p, q)
}

// rotate writes the turn of n pairs.
func (a *assembler) rotate(x, y, cos, sin, sign, t reg.Register) {
	a.function("rotate", "func(a *float32, b *float32, cos *float32, sin *float32, n int, sign float32)",
		"turns the pairs (a, b) by angles of these cosines and sign times these sines.")
	a.spread("sign", sign)
	a.elementwise([]string{"a", "b", "cos", "sin"}, func(masked bool) {
		a.read(at(0), x, masked)
		a.read(at(1), y, masked)
		a.read(at(2), cos, masked)
		a.read(at(3), sin, masked)
		a.VMULPS(sign, sin, sin)
		a.VMULPS(cos, x, t)
		a.VFNMADD231PS(sin, y, t) // a·cos − b·sin
		a.VMULPS(cos, y, y)
		a.VFMADD231PS(sin, x, y) // b·cos + a·sin
		a.write(t, at(0), masked)
		a.write(y, at(1), masked)
	})
	a.end()
}
