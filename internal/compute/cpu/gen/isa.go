package main

import (
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is an instruction set.
type isa struct {
	name, suffix string
	lanes        int // float32 values of a vector
	wide         bool
}

var (
	avx512 = isa{name: "avx512", suffix: "AVX512", lanes: 16, wide: true}
	avx2   = isa{name: "avx2", suffix: "AVX2", lanes: 8}
)

// bytes is the size of a vector.
func (s isa) bytes() int { return 4 * s.lanes }

var registers = [32]reg.VecPhysical{
	reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
	reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
	reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
}

// vector returns vector register i: there are 32 in AVX-512, 16 in AVX2.
func (s isa) vector(i int) reg.Register {
	if s.wide {
		return registers[i]
	}
	return registers[:16][i].AsY()
}

// assembler writes functions of one instruction set. Registers are physical:
// there is nothing to allocate in loops as small as these.
type assembler struct {
	*build.Context
	isa
	constant map[string]Mem // a whole vector each
	ones     Mem            // 16 words of ones, then 16 of zeros: masks of AVX2
}

// constants writes the read-only data.
func (a *assembler) constants() {
	a.constant = map[string]Mem{}
	for _, c := range []struct {
		name  string
		value float32
	}{
		{"one", 1}, {"log2e", math.Log2E}, {"ln2High", 0.693359375}, {"ln2Low", -2.12194440e-4},
		{"minExponent", -69}, {"maxExponent", 100}, {"minSigmoid", -80}, {"minusInf", float32(math.Inf(-1))},
		// Cephes' expf; see exp.go of package cpu.
		{"exp0", 1.9875691500e-4}, {"exp1", 1.3981999507e-3}, {"exp2", 8.3334519073e-3},
		{"exp3", 4.1665795894e-2}, {"exp4", 1.6666665459e-1}, {"exp5", 5.0000001201e-1},
		// 2·sqrt(2/π), that times 0.044715, three times that, and an x² far out.
		{"geluSlope1", 1.5957691216057308}, {"geluCube", 0.07135481282702305}, {"geluSlope3", 0.21406443848106915}, {"geluFar", 1e6},
		// Cephes' tanhf for small x, and the x² under which it is good.
		{"tanh0", -5.70498872745e-3}, {"tanh1", 2.06390887954e-2}, {"tanh2", -5.37397155531e-2},
		{"tanh3", 1.33314422036e-1}, {"tanh4", -3.33332819422e-1}, {"tanhNear", 0.625 * 0.625},
	} {
		a.constant[c.name] = a.data(c.name, a.lanes, func(int) Constant { return U32(math.Float32bits(c.value)) })
	}
	a.constant["bias"] = a.data("bias", a.lanes, func(int) Constant { return U32(127) })
	a.constant["fifteen"] = a.data("fifteen", a.lanes, func(int) Constant { return U32(15) })
	a.constant["eight"] = a.data("eight", a.lanes, func(int) Constant { return U32(8) })
	a.constant["sign"] = a.data("sign", a.lanes, func(int) Constant { return U32(1 << 31) })
	a.splitMix()
	if !a.wide {
		a.ones = a.data("ones", 32, func(i int) Constant {
			if i < 16 {
				return U32(math.MaxUint32)
			}
			return U32(0)
		})
	}
}

// splitMix writes the numbers of SplitMix64: its step times 0, 1, 2 …, its
// step of a whole vector, and its factors and their upper halves.
func (a *assembler) splitMix() {
	gamma := uint64(0x9e3779b97f4a7c15)
	wide := func(name string, value func(i int) uint64) {
		a.constant[name] = a.data(name, a.lanes, func(i int) Constant { return U32(value(i/2) >> (32 * (i % 2))) })
	}
	wide("gammas", func(i int) uint64 { return uint64(i) * gamma })
	wide("gammaStep", func(int) uint64 { return uint64(a.lanes/2) * gamma })
	for i, factor := range []uint64{0xbf58476d1ce4e5b9, 0x94d049bb133111eb} {
		name := []string{"mix1", "mix2"}[i]
		wide(name, func(int) uint64 { return factor })
		if !a.wide {
			wide(name+"High", func(int) uint64 { return factor >> 32 })
		}
	}
}

func (a *assembler) data(name string, words int, value func(i int) Constant) Mem {
	base := a.StaticGlobal(name + a.suffix)
	a.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range words {
		a.AddDatum(4*i, value(i))
	}
	return base
}

// function begins a function with its comment.
func (a *assembler) function(name, signature, comment string) {
	a.Function(name + a.suffix)
	a.Attributes(attr.NOSPLIT)
	a.SignatureExpr(signature)
	a.Doc(name + a.suffix + " " + comment)
	a.Pragma("noescape")
}

// end returns; without VZEROUPPER all SSE code after it would be slow.
func (a *assembler) end() {
	a.VZEROUPPER()
	a.RET()
}

// load reads a 64-bit parameter into a register.
func (a *assembler) load(name string, r reg.GPPhysical) { a.Load(a.Param(name), r) }

// spread copies a float32 parameter into all lanes.
func (a *assembler) spread(name string, v reg.Register) {
	p, err := a.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	a.VBROADCASTSS(p.Addr, v)
}

// returnFloat returns the first lane of x; not with avo's Store, which writes
// an SSE instruction among AVX ones.
func (a *assembler) returnFloat(x reg.Register) {
	p, err := a.ReturnIndex(0).Resolve()
	if err != nil {
		panic(err)
	}
	a.VMOVSS(x, p.Addr)
	a.end()
}

// zero clears a vector.
func (a *assembler) zero(v reg.Register) {
	if a.wide {
		a.VPXORD(v, v, v)
	} else {
		a.VXORPS(v, v, v)
	}
}

// tailMask sets the mask of the first n lanes: K1, or vector 15.
func (a *assembler) tailMask(n reg.GPPhysical) {
	if a.wide {
		a.MOVL(U32(math.MaxUint32), reg.EAX)
		a.BZHIL(n.As32(), reg.EAX, reg.EAX)
		a.KMOVW(reg.EAX, reg.K1)
		return
	}
	a.LEAQ(a.ones.Offset(64), reg.RAX)
	a.SHLQ(U8(2), n)
	a.SUBQ(n, reg.RAX)
	a.VMOVUPS(Mem{Base: reg.RAX}, a.vector(15))
}

// read loads a vector, and only the masked lanes of it when masked, the others being 0.
func (a *assembler) read(m Mem, v reg.Register, masked bool) {
	switch {
	case !masked:
		a.VMOVUPS(m, v)
	case a.wide:
		a.VMOVUPS_Z(m, reg.K1, v)
	default:
		a.VMASKMOVPS(m, a.vector(15), v)
	}
}

// write stores a vector, and only the masked lanes of it when masked.
func (a *assembler) write(v reg.Register, m Mem, masked bool) {
	switch {
	case !masked:
		a.VMOVUPS(v, m)
	case a.wide:
		a.VMOVUPS(v, reg.K1, m)
	default:
		a.VMASKMOVPS(v, a.vector(15), m)
	}
}

// pointers are the registers of an elementwise function's arrays, in order.
var pointers = []reg.GPPhysical{reg.RDI, reg.RSI, reg.RDX, reg.R8, reg.R9}

// elementwise loops over n values of the named arrays, a vector at a time and
// then once over what is left, under a mask.
func (a *assembler) elementwise(arrays []string, body func(masked bool)) {
	for i, name := range arrays {
		a.load(name, pointers[i])
	}
	a.load("n", reg.RCX)
	a.Label("loop")
	a.CMPQ(reg.RCX, U8(uint8(a.lanes)))
	a.JLT(LabelRef("tail"))
	body(false)
	for i := range arrays {
		a.ADDQ(U8(uint8(a.bytes())), pointers[i])
	}
	a.SUBQ(U8(uint8(a.lanes)), reg.RCX)
	a.JMP(LabelRef("loop"))
	a.Label("tail")
	a.TESTQ(reg.RCX, reg.RCX)
	a.JE(LabelRef("done"))
	a.tailMask(reg.RCX)
	body(true)
	a.Label("done")
}

// at is where the i-th array of an elementwise function is.
func at(i int) Mem { return Mem{Base: pointers[i]} }
