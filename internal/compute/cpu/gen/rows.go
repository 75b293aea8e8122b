package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rows writes the kernels of Dropout, LogSoftmax, SumSquares and SumRows.
func (a *assembler) rows() {
	a.dropout()
	a.subtract()
	a.sumSquares()
	a.sumColumns()
}

// dropout writes SplitMix64 for as many indices as a vector has 64-bit lanes.
// Their 16-bit parts are in the order of the elements that they decide over.
func (a *assembler) dropout() {
	a.function("dropout", "func(y *float32, x *float32, n int, state uint64, drop int32, factor float32)",
		"sets y to x·factor or 0; n is a multiple of twice the lanes, over 0. state is that of the first four elements.")
	y, x, n := reg.RDI, reg.RSI, reg.RCX
	state, step, z, drop, factor := a.vector(0), a.vector(1), a.vector(2), a.vector(3), a.vector(4)
	t, v, keep := a.vector(5), a.vector(6), a.vector(7)
	a.load("y", y)
	a.load("x", x)
	a.load("n", n)
	p, err := a.Param("state").Resolve()
	if err != nil {
		panic(err)
	}
	a.VPBROADCASTQ(p.Addr, state)
	a.VPADDQ(a.constant["gammas"], state, state)
	a.VMOVUPS(a.constant["gammaStep"], step)
	a.spread("drop", drop)
	a.spread("factor", factor)
	a.Label("loop")
	a.VMOVUPS(state, z)
	a.shiftXor(30, z, t)
	a.multiply64("mix1", z, t, v)
	a.shiftXor(27, z, t)
	a.multiply64("mix2", z, t, v)
	a.shiftXor(31, z, t)
	for half := range 2 {
		bits := z.(interface {
			AsX() reg.Register
			AsY() reg.Register
		})
		m := Mem{Base: x, Disp: half * a.bytes()}
		if a.wide {
			part := bits.AsY()
			if half == 1 {
				a.VEXTRACTI64X4(U8(1), z, t.(interface{ AsY() reg.Register }).AsY())
				part = t.(interface{ AsY() reg.Register }).AsY()
			}
			a.VPMOVZXWD(part, v)
			a.VPCMPD(U8(notLess), drop, v, reg.K1)
			a.VMULPS_Z(m, factor, reg.K1, v)
		} else {
			part := bits.AsX()
			if half == 1 {
				a.VEXTRACTI128(U8(1), z, asX(t))
				part = asX(t)
			}
			a.VPMOVZXWD(part, v)
			a.VPCMPGTD(v, drop, keep) // dropped: drop > bits
			a.VMULPS(m, factor, v)
			a.VPANDN(v, keep, v)
		}
		a.VMOVUPS(v, Mem{Base: y, Disp: half * a.bytes()})
	}
	a.VPADDQ(step, state, state)
	a.ADDQ(U32(uint32(2*a.bytes())), x)
	a.ADDQ(U32(uint32(2*a.bytes())), y)
	a.SUBQ(U8(uint8(2*a.lanes)), n)
	a.JNE(LabelRef("loop"))
	a.end()
}

// shiftXor replaces z by z ^ z>>bits.
func (a *assembler) shiftXor(bits uint8, z, t reg.Register) {
	a.VPSRLQ(U8(bits), z, t)
	if a.wide {
		a.VPXORQ(t, z, z)
	} else {
		a.VPXOR(t, z, z)
	}
}

// multiply64 multiplies the 64-bit lanes of z by a constant, which AVX2 does
// in halves.
func (a *assembler) multiply64(name string, z, t, v reg.Register) {
	if a.wide {
		a.VPMULLQ(a.constant[name], z, z)
		return
	}
	a.VPSRLQ(U8(32), z, t)
	a.VPMULUDQ(a.constant[name], t, t)
	a.VPMULUDQ(a.constant[name+"High"], z, v)
	a.VPADDQ(v, t, t)
	a.VPSLLQ(U8(32), t, t)
	a.VPMULUDQ(a.constant[name], z, z)
	a.VPADDQ(t, z, z)
}

func (a *assembler) subtract() {
	a.function("subtract", "func(x *float32, n int, s float32, t float32)", "takes s and then t away from x.")
	x, s, t := a.vector(0), a.vector(1), a.vector(2)
	a.spread("s", s)
	a.spread("t", t)
	a.elementwise([]string{"x"}, func(masked bool) {
		a.read(at(0), x, masked)
		a.VSUBPS(s, x, x)
		a.VSUBPS(t, x, x)
		a.write(x, at(0), masked)
	})
	a.end()
}

// sumSquares adds in float64, in two strands.
func (a *assembler) sumSquares() {
	a.function("sumSquares", "func(x *float32, n int) float64", "returns Σ x², summed in float64.")
	x, low, high := a.vector(0), a.vector(1), a.vector(2)
	s0, s1 := a.vector(3), a.vector(4)
	a.zero(s0)
	a.zero(s1)
	a.elementwise([]string{"x"}, func(masked bool) {
		a.read(at(0), x, masked)
		a.widen(x, low, high)
		a.VFMADD231PD(low, low, s0)
		a.VFMADD231PD(high, high, s1)
	})
	a.VADDPD(s1, s0, s0)
	w := s0.(interface {
		AsX() reg.Register
		AsY() reg.Register
	})
	y := s1.(interface {
		AsX() reg.Register
		AsY() reg.Register
	})
	if a.wide {
		a.VEXTRACTF64X4(U8(1), s0, y.AsY())
		a.VADDPD(y.AsY(), w.AsY(), w.AsY())
	}
	a.VEXTRACTF128(U8(1), w.AsY(), y.AsX())
	a.VADDPD(y.AsX(), w.AsX(), w.AsX())
	a.VPERMILPD(U8(1), w.AsX(), y.AsX())
	a.VADDSD(y.AsX(), w.AsX(), w.AsX())
	p, err := a.ReturnIndex(0).Resolve()
	if err != nil {
		panic(err)
	}
	a.VMOVSD(w.AsX(), p.Addr)
	a.end()
}

// widen makes float64 values of the two halves of x.
func (a *assembler) widen(x, low, high reg.Register) {
	half := x.(interface {
		AsX() reg.Register
		AsY() reg.Register
	})
	upper := high.(interface {
		AsX() reg.Register
		AsY() reg.Register
	})
	if a.wide {
		a.VCVTPS2PD(half.AsY(), low)
		a.VEXTRACTF64X4(U8(1), x, upper.AsY())
		a.VCVTPS2PD(upper.AsY(), high)
		return
	}
	a.VCVTPS2PD(half.AsX(), low)
	a.VEXTRACTF128(U8(1), x, upper.AsX())
	a.VCVTPS2PD(upper.AsX(), high)
}

// sumColumns sums 32 columns in registers.
func (a *assembler) sumColumns() {
	a.function("sumColumns", "func(sums *float64, x *float32, stride int, rows int)",
		"adds Σ x[i·stride+j] over i < rows, over 0, to sums[j] for j < 32.")
	sums, x, stride, rows := reg.RDI, reg.RSI, reg.RDX, reg.RCX
	a.load("sums", sums)
	a.load("x", x)
	a.load("stride", stride)
	a.SHLQ(U8(2), stride)
	a.load("rows", rows)
	n := 2 * 32 / a.lanes
	for i := range n {
		a.VMOVUPS(Mem{Base: sums, Disp: i * a.bytes()}, a.vector(i))
	}
	a.Label("loop")
	for i := range n {
		a.VCVTPS2PD(Mem{Base: x, Disp: i * a.bytes() / 2}, a.vector(n+i%4))
		a.VADDPD(a.vector(n+i%4), a.vector(i), a.vector(i))
	}
	a.ADDQ(stride, x)
	a.DECQ(rows)
	a.JNE(LabelRef("loop"))
	for i := range n {
		a.VMOVUPS(a.vector(i), Mem{Base: sums, Disp: i * a.bytes()})
	}
	a.end()
}
