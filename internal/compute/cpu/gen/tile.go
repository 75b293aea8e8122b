package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tiles writes the matrix kernels, which keep rows × columns sums in registers:
// as many rows as the registers allow, and every smaller number for the rest.
func (a *assembler) tiles() {
	if a.wide {
		for rows := 1; rows <= 14; rows++ {
			a.tile(rows, 2, true)
			a.tile(rows, 1, true)
		}
		a.tile(28, 1, true)
		return
	}
	for rows := 1; rows <= 6; rows++ {
		a.tile(rows, 2, false)
	}
	for rows := 1; rows <= 4; rows++ {
		a.tile(rows, 2, true)
	}
}

// tile writes one kernel. Every sum has its own lane, and grows by one fused
// multiplication and addition for each k, so the shape of the tile changes no result.
func (a *assembler) tile(rows, vectors int, masked bool) {
	columns := vectors * a.lanes
	name := fmt.Sprintf("tile%dx%d", rows, columns)
	limit := fmt.Sprintf("n ≤ %d", columns)
	if !masked {
		limit = fmt.Sprintf("n = %d", columns)
	} else if !a.wide {
		name = fmt.Sprintf("tail%dx%d", rows, columns)
	}
	a.function(name, "func(c *float32, ldc int, a *float32, rowStep int, step int, b *float32, ldb int, n int, k int, alpha float32, add bool)",
		fmt.Sprintf("sets C (%d,n), or adds to it, with %s. Distances are in float32 values.", rows, limit))

	// Five rows hang on each base: +0, +1, +2 and +4 steps, and +3.
	bases := []reg.GPPhysical{reg.RSI, reg.R8, reg.R9, reg.R10, reg.R11, reg.R12}[:(rows+4)/5]
	step1, step3 := reg.RCX, reg.RDX
	a.load("a", bases[0])
	a.load("rowStep", step1)
	a.SHLQ(U8(2), step1)
	a.LEAQ(Mem{Base: step1, Index: step1, Scale: 2}, step3)
	for i := 1; i < len(bases); i++ {
		a.LEAQ(Mem{Base: bases[i-1], Index: step1, Scale: 4}, bases[i])
		a.ADDQ(step1, bases[i])
	}
	rowAt := func(i int) Mem {
		base := bases[i/5]
		switch i % 5 {
		case 0:
			return Mem{Base: base}
		case 3:
			return Mem{Base: base, Index: step3, Scale: 1}
		default:
			return Mem{Base: base, Index: step1, Scale: uint8(i % 5)}
		}
	}
	b, ldb, step, k := reg.RDI, reg.RBX, reg.R13, reg.RAX
	a.fetchC(rows, vectors)
	if masked {
		a.columnMasks(vectors)
	}
	a.load("b", b)
	a.load("ldb", ldb)
	a.SHLQ(U8(2), ldb)
	a.load("step", step)
	a.SHLQ(U8(2), step)
	a.load("k", k)

	sum := func(i, v int) reg.Register { return a.vector(i*vectors + v) }
	right := func(v int) reg.Register { return a.vector(rows*vectors + v) }
	left := a.vector(min(rows*vectors+vectors, 31))
	for i := range rows * vectors {
		a.zero(a.vector(i))
	}
	// round adds what k gives, u steps on where a step is one value.
	round := func(u int, masked bool) {
		for v := range vectors {
			a.readColumns(Mem{Base: b, Disp: v * a.bytes()}, v, right(v), masked)
		}
		a.ADDQ(ldb, b)
		for i := range rows {
			m := rowAt(i)
			m.Disp = 4 * u
			if a.wide {
				for v := range vectors {
					a.VFMADD231PS_BCST(m, right(v), sum(i, v))
				}
				continue
			}
			a.VBROADCASTSS(m, left)
			for v := range vectors {
				a.VFMADD231PS(left, right(v), sum(i, v))
			}
		}
	}
	forward := func(distance Op) {
		for _, base := range bases {
			a.ADDQ(distance, base)
		}
	}
	// sums goes along k. The usual matrix has its values side by side: four of them to a loop.
	sums := func(name string, masked bool) {
		const unrolled = 4
		a.CMPQ(step, U8(4))
		a.JNE(LabelRef("rest" + name))
		a.SUBQ(U8(unrolled), k)
		a.JLT(LabelRef("few" + name))
		a.Label("loop" + name)
		for u := range unrolled {
			round(u, masked)
		}
		forward(U8(4 * unrolled))
		a.SUBQ(U8(unrolled), k)
		a.JGE(LabelRef("loop" + name))
		a.Label("few" + name)
		a.ADDQ(U8(unrolled), k)
		a.JE(LabelRef("done"))
		a.Label("rest" + name)
		round(0, masked)
		forward(step)
		a.DECQ(k)
		a.JNE(LabelRef("rest" + name))
	}
	if masked && a.wide {
		// A load under a mask takes the place of a multiplication, so whole rows are read without.
		n := reg.R14
		a.load("n", n)
		a.CMPQ(n, U8(uint8(columns)))
		a.JNE(LabelRef("partial"))
		sums("", false)
		a.JMP(LabelRef("done"))
		a.Label("partial")
		sums("Partial", true)
	} else {
		sums("", masked)
	}
	a.Label("done")
	a.store(rows, vectors, masked)
}

// fetchC asks for the lines of C, which are there when the sums are.
func (a *assembler) fetchC(rows, vectors int) {
	c, ldc := reg.RDI, reg.RBX
	a.load("c", c)
	a.load("ldc", ldc)
	a.SHLQ(U8(2), ldc)
	for range rows {
		for v := 0; v < vectors*a.bytes(); v += 64 {
			a.PREFETCHT0(Mem{Base: c, Disp: v})
		}
		a.ADDQ(ldc, c)
	}
}

// store scales the sums and stores them, or adds them to what is there.
func (a *assembler) store(rows, vectors int, masked bool) {
	c, ldc, add := reg.RSI, reg.RCX, reg.RAX
	alpha, old := a.vector(rows*vectors), a.vector(rows*vectors+1)
	a.load("c", c)
	a.load("ldc", ldc)
	a.SHLQ(U8(2), ldc)
	a.spread("alpha", alpha)
	p, err := a.Param("add").Resolve()
	if err != nil {
		panic(err)
	}
	a.MOVBLZX(p.Addr, add.As32())
	a.TESTL(add.As32(), add.As32())
	a.JNE(LabelRef("adding"))
	for i := range rows {
		for v := range vectors {
			sum := a.vector(i*vectors + v)
			a.VMULPS(alpha, sum, sum)
			a.writeColumns(sum, v, Mem{Base: c, Disp: v * a.bytes()}, masked)
		}
		a.ADDQ(ldc, c)
	}
	a.end()
	a.Label("adding")
	for i := range rows {
		for v := range vectors {
			sum, m := a.vector(i*vectors+v), Mem{Base: c, Disp: v * a.bytes()}
			a.readColumns(m, v, old, masked)
			a.VFMADD213PS(old, alpha, sum)
			a.writeColumns(sum, v, m, masked)
		}
		a.ADDQ(ldc, c)
	}
	a.end()
}

// columnMasks sets the masks of n columns: K1 and K2, or vectors 14 and 15.
func (a *assembler) columnMasks(vectors int) {
	n, bits := reg.RAX, reg.EDI
	a.load("n", n)
	if a.wide {
		a.MOVL(U32(0xffffffff), bits)
		a.BZHIL(n.As32(), bits, bits)
		a.KMOVW(bits, reg.K1)
		if vectors > 1 {
			a.SHRL(U8(16), bits)
			a.KMOVW(bits, reg.K2)
		}
		return
	}
	a.LEAQ(a.ones.Offset(64), reg.RDI)
	a.SHLQ(U8(2), n)
	a.SUBQ(n, reg.RDI)
	for v := range vectors {
		a.VMOVUPS(Mem{Base: reg.RDI, Disp: v * a.bytes()}, a.vector(14+v))
	}
}

func (a *assembler) readColumns(m Mem, v int, r reg.Register, masked bool) {
	switch {
	case !masked:
		a.VMOVUPS(m, r)
	case a.wide:
		a.VMOVUPS_Z(m, []reg.OpmaskPhysical{reg.K1, reg.K2}[v], r)
	default:
		a.VMASKMOVPS(m, a.vector(14+v), r)
	}
}

func (a *assembler) writeColumns(r reg.Register, v int, m Mem, masked bool) {
	switch {
	case !masked:
		a.VMOVUPS(r, m)
	case a.wide:
		a.VMOVUPS(r, []reg.OpmaskPhysical{reg.K1, reg.K2}[v], m)
	default:
		a.VMASKMOVPS(r, a.vector(14+v), m)
	}
}
