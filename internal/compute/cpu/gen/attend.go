package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// attendHeads is how many query heads a kernel takes at most: they share what
// is read of their keys and values.
const attendHeads = 4

// attend writes the kernels of one query row against rows of keys and values.
func (a *assembler) attend() {
	for heads := 1; heads <= attendHeads; heads++ {
		a.scoreRows(heads)
	}
	for heads := 1; heads <= attendHeads; heads++ {
		for vectors := a.lanes / 4; vectors > 1; vectors /= 2 {
			a.weighRows(heads, vectors, false)
		}
		a.weighRows(heads, 1, true)
	}
}

// scoreRows writes the scores of some query heads: a vector's worth of keys at
// a time, transposed on the way, so that every score is one sum over columns
// in ascending order, as in the matrix kernels.
func (a *assembler) scoreRows(heads int) {
	a.function(fmt.Sprintf("score%d", heads), "func(s *float32, lds int, q *float32, ldq int, k *float32, stride int, keys int, depth int, scale float32)",
		fmt.Sprintf("sets s[h·lds+j] to scale·Σ q[h·ldq+c]·k[j·stride+c] for h < %d, j < keys, a multiple of %d over 0, c < depth, a multiple of 4 over 0.", heads, a.lanes))
	s, q, depth, keys := reg.RDI, reg.RSI, reg.RAX, reg.R13
	step1, step3, head1, head3 := reg.RCX, reg.RDX, reg.RBX, reg.R12
	bases := []reg.GPPhysical{reg.R8, reg.R9, reg.R10, reg.R11}[:a.lanes/4]
	ahead, line := reg.R14, reg.R15
	a.load("s", s)
	a.load("k", bases[0])
	a.load("keys", keys)
	a.load("stride", step1)
	a.SHLQ(U8(2), step1)
	a.LEAQ(Mem{Base: step1, Index: step1, Scale: 2}, step3)
	for i := 1; i < len(bases); i++ {
		a.LEAQ(Mem{Base: bases[i-1], Index: step1, Scale: 4}, bases[i])
	}
	a.load("ldq", head1)
	a.SHLQ(U8(2), head1)
	a.LEAQ(Mem{Base: head1, Index: head1, Scale: 2}, head3)
	a.MOVQ(step1, ahead)
	a.SHLQ(U8(5), ahead)
	for i := 1; a.wide && i < 4; i++ {
		a.MOVL(U32(0xf<<(4*i)), reg.EAX)
		a.KMOVW(reg.EAX, []reg.OpmaskPhysical{reg.K1, reg.K2, reg.K3}[i-1])
	}
	scale, sum := a.vector(8), func(h int) reg.Register { return a.vector(9 + h) }
	a.spread("scale", scale)
	a.Label("block")
	for h := range heads {
		a.zero(sum(h))
	}
	a.load("q", q)
	a.load("depth", depth)
	// round adds four columns, and fetches a line of row of each base, ahead keys on.
	round := func(row int) {
		a.fourColumns(bases, step1, step3)
		for c := range 4 {
			for h := range heads {
				m := along(q, head1, head3, h)
				m.Disp = 4 * c
				if a.wide {
					a.VFMADD231PS_BCST(m, a.vector(c), sum(h))
					continue
				}
				a.VBROADCASTSS(m, a.vector(4))
				a.VFMADD231PS(a.vector(4), a.vector(c), sum(h))
			}
		}
		for _, base := range bases {
			a.LEAQ(Mem{Base: base, Index: ahead, Scale: 1}, line)
			a.PREFETCHT0(along(line, step1, step3, row))
		}
		for _, r := range append([]reg.GPPhysical{q}, bases...) {
			a.ADDQ(U8(16), r)
		}
	}
	a.SUBQ(U8(16), depth)
	a.JLT(LabelRef("few"))
	a.Label("sixteen")
	for row := range 4 {
		round(row)
	}
	a.SUBQ(U8(16), depth)
	a.JGE(LabelRef("sixteen"))
	a.Label("few")
	a.ADDQ(U8(16), depth)
	a.JE(LabelRef("scored"))
	a.Label("four")
	round(0)
	a.SUBQ(U8(4), depth)
	a.JNE(LabelRef("four"))
	a.Label("scored")
	a.load("lds", q)
	a.MOVQ(s, depth)
	for h := range heads {
		a.VMULPS(scale, sum(h), sum(h))
		a.VMOVUPS(sum(h), Mem{Base: depth})
		a.LEAQ(Mem{Base: depth, Index: q, Scale: 4}, depth)
	}
	a.ADDQ(U8(uint8(a.bytes())), s)
	a.load("depth", depth)
	a.SHLQ(U8(2), depth)
	for _, base := range bases {
		a.SUBQ(depth, base)
		for range a.lanes / 8 {
			a.LEAQ(Mem{Base: base, Index: step1, Scale: 8}, base)
		}
	}
	a.SUBQ(U8(uint8(a.lanes)), keys)
	a.JNE(LabelRef("block"))
	a.end()
}

// fourColumns loads four columns of a vector's worth of rows into vectors 0 to
// 3, and changes vectors 4 to 7.
func (a *assembler) fourColumns(bases []reg.GPPhysical, step1, step3 reg.GPPhysical) {
	for row := range 4 {
		a.gather(row, bases, step1, step3)
	}
	v, t := a.vector, func(i int) reg.Register { return a.vector(4 + i) }
	a.VUNPCKLPS(v(1), v(0), t(0))
	a.VUNPCKHPS(v(1), v(0), t(1))
	a.VUNPCKLPS(v(3), v(2), t(2))
	a.VUNPCKHPS(v(3), v(2), t(3))
	for half := range 2 {
		a.VUNPCKLPD(t(2+half), t(half), v(2*half))
		a.VUNPCKHPD(t(2+half), t(half), v(2*half+1))
	}
}

// weighRows writes the weighted sum of rows of values, for some query heads
// and columns in registers.
func (a *assembler) weighRows(heads, vectors int, masked bool) {
	columns := fmt.Sprintf("j < %d", vectors*a.lanes)
	if masked {
		columns = fmt.Sprintf("j < n ≤ %d", a.lanes)
	}
	a.function(fmt.Sprintf("weigh%dx%d", heads, vectors), "func(c *float32, ldc int, p *float32, ldp int, v *float32, stride int, keys int, n int)",
		fmt.Sprintf("adds Σ p[h·ldp+i]·v[i·stride+j] to c[h·ldc+j] for h < %d, i < keys, over 0, %s.", heads, columns))
	p, ldp1, ldp3 := reg.RSI, reg.RCX, reg.RDX
	v, stride, keys, ahead := reg.R8, reg.R9, reg.R10, reg.R11
	if masked {
		a.load("n", reg.RCX)
		a.tailMask(reg.RCX)
	}
	sum := func(h, i int) reg.Register { return a.vector(h*vectors + i) }
	row := func(i int) reg.Register { return a.vector(heads*vectors + i) }
	weight := a.vector(heads*vectors + vectors)
	// each calls f with the place of each sum.
	each := func(f func(m Mem, r reg.Register)) {
		a.load("c", reg.RDI)
		a.load("ldc", reg.RBX)
		for h := range heads {
			for i := range vectors {
				f(Mem{Base: reg.RDI, Disp: i * a.bytes()}, sum(h, i))
			}
			a.LEAQ(Mem{Base: reg.RDI, Index: reg.RBX, Scale: 4}, reg.RDI)
		}
	}
	each(func(m Mem, r reg.Register) { a.read(m, r, masked) })
	a.load("p", p)
	a.load("ldp", ldp1)
	a.SHLQ(U8(2), ldp1)
	a.LEAQ(Mem{Base: ldp1, Index: ldp1, Scale: 2}, ldp3)
	a.load("v", v)
	a.load("stride", stride)
	a.SHLQ(U8(2), stride)
	a.load("keys", keys)
	a.LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, ahead)
	a.Label("loop")
	for i := range vectors {
		a.read(Mem{Base: v, Disp: i * a.bytes()}, row(i), masked)
	}
	for disp := 0; disp < vectors*a.bytes(); disp += 64 {
		a.PREFETCHT0(Mem{Base: v, Index: ahead, Scale: 8, Disp: disp})
	}
	for h := range heads {
		a.VBROADCASTSS(along(p, ldp1, ldp3, h), weight)
		for i := range vectors {
			a.VFMADD231PS(weight, row(i), sum(h, i))
		}
	}
	a.ADDQ(U8(4), p)
	a.ADDQ(stride, v)
	a.DECQ(keys)
	a.JNE(LabelRef("loop"))
	each(func(m Mem, r reg.Register) { a.write(r, m, masked) })
	a.end()
}

// along is i steps on from base, i up to 3.
func along(base, step1, step3 reg.GPPhysical, i int) Mem {
	switch i {
	case 0:
		return Mem{Base: base}
	case 3:
		return Mem{Base: base, Index: step3, Scale: 1}
	default:
		return Mem{Base: base, Index: step1, Scale: uint8(i)}
	}
}
