package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	toNearest = 8 // rounding without a signal
	notLess   = 5 // comparison: not less than, which a NaN is not
)

// exponentials writes the kernels around e^x and the two reductions beside them.
func (a *assembler) exponentials() {
	a.maximum()
	a.exp()
	a.silu()
	a.siluGrad()
}

// power replaces x by e^x, at most e^100 for a finite x, using n and t. A NaN
// stays one, as the minimum keeps its first operand then. Under −87 the result
// is undefined: the caller masks it or limits x.
func (a *assembler) power(x, n, t, limit reg.Register) {
	a.VMINPS(x, limit, x)
	a.VMULPS(a.constant["log2e"], x, n)
	if a.wide {
		a.VRNDSCALEPS(U8(toNearest), n, n)
	} else {
		a.VROUNDPS(U8(toNearest), n, n)
	}
	a.VFNMADD231PS(a.constant["ln2High"], n, x)
	a.VFNMADD231PS(a.constant["ln2Low"], n, x)
	a.VMOVUPS(a.constant["exp0"], t)
	for _, name := range []string{"exp1", "exp2", "exp3", "exp4", "exp5", "one", "one"} {
		a.VFMADD213PS(a.constant[name], x, t)
	}
	if a.wide {
		a.VSCALEFPS(n, t, x)
		return
	}
	// 2^n in two factors, as no exponent holds n of the largest x.
	a.VCVTPS2DQ(n, n)
	a.VPSRAD(U8(1), n, x)
	a.VPSUBD(x, n, n)
	for _, half := range []reg.Register{x, n} {
		a.VPADDD(a.constant["bias"], half, half)
		a.VPSLLD(U8(23), half, half)
		a.VMULPS(half, t, t)
	}
	a.VMOVAPS(t, x)
}

// powerOrZero replaces x by e^x, 0 under e^−69 and in lanes that are not
// masked, using n, t and keep.
func (a *assembler) powerOrZero(x, n, t, keep, limit reg.Register, masked bool) {
	if a.wide {
		if masked {
			a.VCMPPS(U8(notLess), a.constant["minExponent"], x, reg.K1, reg.K2)
		} else {
			a.VCMPPS(U8(notLess), a.constant["minExponent"], x, reg.K2)
		}
		a.power(x, n, t, limit)
		a.VMOVAPS_Z(x, reg.K2, x)
		return
	}
	a.VCMPPS(U8(notLess), a.constant["minExponent"], x, keep)
	if masked {
		a.VANDPS(a.vector(15), keep, keep)
	}
	a.power(x, n, t, limit)
	a.VANDPS(keep, x, x)
}

func (a *assembler) exp() {
	a.function("exp", "func(dst *float32, x *float32, n int, shift float32) float32",
		"sets dst to exp(x − shift), 0 under exp(−69), and returns the sum.")
	x, n, t, keep := a.vector(0), a.vector(1), a.vector(2), a.vector(3)
	sum, shift, limit := a.vector(4), a.vector(5), a.vector(6)
	a.zero(sum)
	a.spread("shift", shift)
	a.VMOVUPS(a.constant["maxExponent"], limit)
	a.elementwise([]string{"dst", "x"}, func(masked bool) {
		a.read(at(1), x, masked)
		a.VSUBPS(shift, x, x)
		a.powerOrZero(x, n, t, keep, limit, masked)
		a.VADDPS(x, sum, sum)
		a.write(x, at(0), masked)
	})
	a.reduce(sum, func(x, y reg.Register) { a.VADDPS(x, y, y) })
}

// reduce returns all lanes of v, joined by op.
func (a *assembler) reduce(v reg.Register, op func(x, y reg.Register)) {
	a.fold(v, op)
	a.returnFloat(asX(v))
}

// fold joins all lanes of v into its first one, using vector 7.
func (a *assembler) fold(v reg.Register, op func(x, y reg.Register)) {
	y := a.vector(7).(interface {
		AsX() reg.Register
		AsY() reg.Register
	})
	w := v.(interface {
		AsX() reg.Register
		AsY() reg.Register
	})
	if a.wide {
		a.VEXTRACTF64X4(U8(1), v, y.AsY())
		op(y.AsY(), w.AsY())
	}
	a.VEXTRACTF128(U8(1), w.AsY(), y.AsX())
	op(y.AsX(), w.AsX())
	for _, order := range []uint8{0b1110, 0b0001} {
		a.VPERMILPS(U8(order), w.AsX(), y.AsX())
		op(y.AsX(), w.AsX())
	}
}

// readOr loads a vector, with what other has in lanes that are not masked.
func (a *assembler) readOr(m Mem, v, other reg.Register, masked bool) {
	switch {
	case !masked:
		a.VMOVUPS(m, v)
	case a.wide:
		a.VMOVUPS(other, v)
		a.VMOVUPS(m, reg.K1, v)
	default:
		a.VMASKMOVPS(m, a.vector(15), v)
		a.VBLENDVPS(a.vector(15), v, other, v)
	}
}

func (a *assembler) maximum() {
	a.function("maximum", "func(x *float32, n int) float32", "returns the largest of n values that are not NaN, −Inf of none.")
	x, largest, least := a.vector(0), a.vector(1), a.vector(2)
	a.VMOVUPS(a.constant["minusInf"], largest)
	a.VMOVUPS(largest, least)
	a.elementwise([]string{"x"}, func(masked bool) {
		a.readOr(at(0), x, least, masked)
		a.VMAXPS(largest, x, largest) // the first operand if one is a NaN
	})
	a.reduce(largest, func(x, y reg.Register) { a.VMAXPS(x, y, y) })
}

// sigmoid sets s to 1/(1+e^−x), using n and t.
func (a *assembler) sigmoid(x, s, n, t, limit, one reg.Register) {
	if a.wide {
		a.VPXORD(a.constant["sign"], x, s)
	} else {
		a.VXORPS(a.constant["sign"], x, s)
	}
	// e^−80 is 0 beside 1, and power is good there; a NaN is the first operand.
	a.VMOVUPS(a.constant["minSigmoid"], t)
	a.VMAXPS(s, t, s)
	a.power(s, n, t, limit)
	a.VADDPS(one, s, s)
	a.VDIVPS(s, one, s)
}

func (a *assembler) silu() {
	a.function("silu", "func(out *float32, gate *float32, up *float32, n int)", "sets out to gate·sigmoid(gate)·up.")
	x, s, n, t := a.vector(0), a.vector(1), a.vector(2), a.vector(3)
	limit, one, up := a.vector(4), a.vector(5), a.vector(6)
	a.VMOVUPS(a.constant["maxExponent"], limit)
	a.VMOVUPS(a.constant["one"], one)
	a.elementwise([]string{"out", "gate", "up"}, func(masked bool) {
		a.read(at(1), x, masked)
		a.read(at(2), up, masked)
		a.sigmoid(x, s, n, t, limit, one)
		a.VMULPS(s, x, x)
		a.VMULPS(up, x, x)
		a.write(x, at(0), masked)
	})
	a.end()
}

func (a *assembler) siluGrad() {
	a.function("siluGrad", "func(dgate *float32, dup *float32, dout *float32, gate *float32, up *float32, n int)",
		"sets dup to dout·gate·s and dgate to dout·up·s·(1 + gate·(1−s)) with s = sigmoid(gate).")
	x, s, n, t := a.vector(0), a.vector(1), a.vector(2), a.vector(3)
	limit, one, up, d := a.vector(4), a.vector(5), a.vector(6), a.vector(7)
	a.VMOVUPS(a.constant["maxExponent"], limit)
	a.VMOVUPS(a.constant["one"], one)
	a.elementwise([]string{"dgate", "dup", "dout", "gate", "up"}, func(masked bool) {
		a.read(at(3), x, masked)
		a.read(at(4), up, masked)
		a.read(at(2), d, masked)
		a.sigmoid(x, s, n, t, limit, one)
		a.VMULPS(s, d, d) // dout·s
		a.VMULPS(x, d, t)
		a.VMULPS(up, d, d)
		a.VSUBPS(s, one, s)
		a.VFMADD213PS(one, x, s) // 1 + x·(1−s)
		a.VMULPS(s, d, d)
		a.write(d, at(0), masked)
		a.write(t, at(1), masked)
	})
	a.end()
}
