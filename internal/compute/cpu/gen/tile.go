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

	t := &tileCode{
		assembler: a, rows: rows, vectors: vectors,
		bases: []reg.GPPhysical{reg.RSI, reg.R8, reg.R9, reg.R10, reg.R11, reg.R12}[:(rows+4)/5],
		step1: reg.RCX, step3: reg.RDX, b: reg.RDI, ldb: reg.RBX, step: reg.R13, k: reg.RAX, c: reg.R14, ldc: reg.R15,
	}
	t.begin(masked)
	if masked && a.wide {
		// A load under a mask takes the place of a multiplication, so whole rows are read without.
		n := reg.R14
		a.load("n", n)
		a.CMPQ(n, U8(uint8(columns)))
		a.JNE(LabelRef("partial"))
		t.sums("", false)
		a.JMP(LabelRef("done"))
		a.Label("partial")
		t.sums("Partial", true)
	} else {
		t.sums("", masked)
	}
	a.Label("done")
	a.store(rows, vectors, masked)
}

// tileCode writes the sums of one kernel. Five rows of A hang on each base: +0,
// +1, +2 and +4 steps, and +3.
type tileCode struct {
	*assembler
	rows, vectors int
	bases         []reg.GPPhysical
	step1, step3  reg.GPPhysical // from row to row of A, and over three
	b, ldb        reg.GPPhysical
	step, k       reg.GPPhysical // along the sum in A, and how much of it is left
	c, ldc        reg.GPPhysical // of the lines to ask for
}

// begin loads the parameters and clears the sums.
func (t *tileCode) begin(masked bool) {
	t.load("a", t.bases[0])
	t.load("rowStep", t.step1)
	t.SHLQ(U8(2), t.step1)
	t.LEAQ(Mem{Base: t.step1, Index: t.step1, Scale: 2}, t.step3)
	for i := 1; i < len(t.bases); i++ {
		t.LEAQ(Mem{Base: t.bases[i-1], Index: t.step1, Scale: 4}, t.bases[i])
		t.ADDQ(t.step1, t.bases[i])
	}
	if masked {
		t.columnMasks(t.vectors)
	}
	t.load("b", t.b)
	t.load("ldb", t.ldb)
	t.SHLQ(U8(2), t.ldb)
	t.load("step", t.step)
	t.SHLQ(U8(2), t.step)
	t.load("k", t.k)
	for i := range t.rows * t.vectors {
		t.zero(t.vector(i))
	}
}

// rowAt is where row i of A is.
func (t *tileCode) rowAt(i int) Mem {
	m := Mem{Base: t.bases[i/5]}
	switch i % 5 {
	case 0:
	case 3:
		m.Index, m.Scale = t.step3, 1
	default:
		m.Index, m.Scale = t.step1, uint8(i%5)
	}
	return m
}

// round adds what k gives, u steps on where a step is one value. A value of A
// is loaded once for all vectors: as an operand of each multiplication it would
// be loaded for each, and the processor has few loads to spare.
func (t *tileCode) round(u int, masked bool) {
	right := func(v int) reg.Register { return t.vector(t.rows*t.vectors + v) }
	for v := range t.vectors {
		t.readColumns(Mem{Base: t.b, Disp: v * t.bytes()}, v, right(v), masked)
	}
	t.ADDQ(t.ldb, t.b)
	for i := range t.rows {
		left := t.vector(t.rows*t.vectors + t.vectors)
		if t.wide { // there is one more
			left = t.vector(t.rows*t.vectors + t.vectors + i%2)
		}
		m := t.rowAt(i)
		m.Disp = 4 * u
		t.VBROADCASTSS(m, left)
		for v := range t.vectors {
			t.VFMADD231PS(left, right(v), t.vector(i*t.vectors+v))
		}
	}
}

// forward goes on in A.
func (t *tileCode) forward(distance Op) {
	for _, base := range t.bases {
		t.ADDQ(distance, base)
	}
}

// four goes four values along k, for a matrix that has them side by side.
func (t *tileCode) four(masked bool) {
	for u := range 4 {
		t.round(u, masked)
	}
	t.forward(U8(16))
	t.SUBQ(U8(4), t.k)
}

// sums goes along k: by four where the values of A are side by side, and else,
// and for what is left, by one.
func (t *tileCode) sums(name string, masked bool) {
	t.load("c", t.c)
	t.load("ldc", t.ldc)
	t.SHLQ(U8(2), t.ldc)
	t.CMPQ(t.step, U8(4))
	t.JNE(LabelRef("apart" + name))
	if masked {
		t.fetchRows()
		t.SUBQ(U8(4), t.k)
		t.JLT(LabelRef("few" + name))
		t.Label("loop" + name)
		t.four(true)
		t.JGE(LabelRef("loop" + name))
	} else {
		t.alongRows()
	}
	t.Label("few" + name)
	t.ADDQ(U8(4), t.k)
	t.JE(LabelRef("done"))
	t.JMP(LabelRef("rest" + name))
	t.Label("apart" + name)
	t.fetchRows()
	t.downColumns("rest"+name, masked)
}

// alongRows goes by four until k is under 0. The lines of C are asked for one
// by one in the last rounds: all at once they would wait for each other, and
// long before their use others would take their places in the first-level cache.
func (t *tileCode) alongRows() {
	late := 8 * t.rows
	t.SUBQ(U32(uint32(late)), t.k)
	t.JLT(LabelRef("short"))
	t.SUBQ(U8(4), t.k)
	t.JLT(LabelRef("late"))
	t.Label("loop")
	t.four(false)
	t.JGE(LabelRef("loop"))
	t.Label("late")
	t.ADDQ(U32(uint32(late)), t.k)
	t.Label("lateLoop")
	t.PREFETCHT0(Mem{Base: t.c})
	t.four(false)
	t.JLT(LabelRef("few"))
	if t.vectors*t.bytes() > 64 {
		t.PREFETCHT0(Mem{Base: t.c, Disp: 64})
	}
	t.ADDQ(t.ldc, t.c)
	t.four(false)
	t.JGE(LabelRef("lateLoop"))
	t.JMP(LabelRef("few"))
	t.Label("short")
	t.fetchRows()
	t.ADDQ(U32(uint32(late-4)), t.k)
	t.JGE(LabelRef("lateLoop"))
}

// downColumns goes by one, and asks for the rows that are ahead in A and B,
// which no processor does by itself down a column.
func (t *tileCode) downColumns(label string, masked bool) {
	const ahead = 16
	aheadB, aheadA := t.c, t.ldc
	t.IMUL3Q(U8(ahead), t.ldb, aheadB)
	t.ADDQ(t.b, aheadB)
	t.IMUL3Q(U8(ahead), t.step, aheadA)
	t.Label(label)
	for v := 0; v < t.vectors*t.bytes(); v += 64 {
		t.PREFETCHT0(Mem{Base: aheadB, Disp: v})
	}
	t.ADDQ(t.ldb, aheadB)
	for v := 0; v < 4*t.rows; v += 64 {
		t.PREFETCHT0(Mem{Base: t.bases[0], Index: aheadA, Scale: 1, Disp: v})
	}
	t.round(0, masked)
	t.forward(t.step)
	t.DECQ(t.k)
	t.JNE(LabelRef(label))
}

// fetchRows asks for the lines of C, and leaves c after them.
func (t *tileCode) fetchRows() {
	for range t.rows {
		for v := 0; v < t.vectors*t.bytes(); v += 64 {
			t.PREFETCHT0(Mem{Base: t.c, Disp: v})
		}
		t.ADDQ(t.ldc, t.c)
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
