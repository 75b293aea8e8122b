package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const less = 17 // comparison without a signal: less than, which a NaN is not

// softCap writes the kernel of limit·tanh(x/limit); see softcap.go of package cpu.
func (a *assembler) softCap() {
	a.function("softCap", "func(x *float32, n int, limit float32, inverse float32)", "sets x to limit·tanh(x·inverse).")
	x, s, n, t := a.vector(0), a.vector(1), a.vector(2), a.vector(3)
	most, one, limit, inverse := a.vector(4), a.vector(5), a.vector(6), a.vector(7)
	square, y, keep := a.vector(8), a.vector(9), a.vector(10)
	a.VMOVUPS(a.constant["maxExponent"], most)
	a.VMOVUPS(a.constant["one"], one)
	a.spread("limit", limit)
	a.spread("inverse", inverse)
	a.elementwise([]string{"x"}, func(masked bool) {
		a.read(at(0), x, masked)
		a.VMULPS(inverse, x, x)
		a.VMULPS(x, x, square)
		a.VMOVUPS(a.constant["tanh0"], y)
		for _, name := range []string{"tanh1", "tanh2", "tanh3", "tanh4"} {
			a.VFMADD213PS(a.constant[name], square, y)
		}
		a.VMULPS(square, y, y)
		a.VFMADD213PS(x, x, y)
		a.VADDPS(x, x, x)
		a.sigmoid(x, s, n, t, most, one)
		a.VADDPS(s, s, s)
		a.VSUBPS(one, s, s)
		if a.wide {
			a.VCMPPS(U8(less), a.constant["tanhNear"], square, reg.K2)
			a.VMOVAPS(y, reg.K2, s)
		} else {
			a.VCMPPS(U8(less), a.constant["tanhNear"], square, keep)
			a.VBLENDVPS(keep, y, s, s)
		}
		a.VMULPS(limit, s, s)
		a.write(s, at(0), masked)
	})
	a.end()
}
