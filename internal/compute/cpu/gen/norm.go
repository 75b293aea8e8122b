package main

import "github.com/mmcloughlin/avo/reg"

// norms writes the kernels of RMSNorm and LayerNorm.
func (a *assembler) norms() {
	a.deviations()
	a.standardize()
	a.normSums()
	a.normGrad("normGrad", "sets dx to r·gain·dy − (x − mean)·back − level.", false)
	a.normGrad("normGradAdd", "adds r·gain·dy − (x − mean)·back − level to dx.", true)
	a.normGain()
}

func (a *assembler) deviations() {
	a.function("deviations", "func(x *float32, n int, mean float32) (sum float32, squares float32)",
		"returns Σ (x − mean) and Σ (x − mean)².")
	x, sum, squares, mean := a.vector(0), a.vector(1), a.vector(2), a.vector(3)
	a.zero(sum)
	a.zero(squares)
	a.spread("mean", mean)
	a.elementwise([]string{"x"}, func(masked bool) {
		a.readOr(at(0), x, mean, masked)
		a.VSUBPS(mean, x, x)
		a.VADDPS(x, sum, sum)
		a.VFMADD231PS(x, x, squares)
	})
	a.returnSums(sum, squares)
}

// returnSums returns the sums of the lanes of two vectors.
func (a *assembler) returnSums(vectors ...reg.Register) {
	for i, v := range vectors {
		a.fold(v, func(x, y reg.Register) { a.VADDPS(x, y, y) })
		p, err := a.ReturnIndex(i).Resolve()
		if err != nil {
			panic(err)
		}
		a.VMOVSS(asX(v), p.Addr)
	}
	a.end()
}

func (a *assembler) standardize() {
	a.function("standardize", "func(y *float32, x *float32, gain *float32, bias *float32, n int, mean float32, r float32)",
		"sets y to (x − mean)·r·gain + bias.")
	x, g, b, mean, r := a.vector(0), a.vector(1), a.vector(2), a.vector(3), a.vector(4)
	a.spread("mean", mean)
	a.spread("r", r)
	a.elementwise([]string{"y", "x", "gain", "bias"}, func(masked bool) {
		a.read(at(1), x, masked)
		a.read(at(2), g, masked)
		a.read(at(3), b, masked)
		a.VSUBPS(mean, x, x)
		a.VMULPS(r, x, x)
		a.VFMADD213PS(b, g, x) // x·gain + bias
		a.write(x, at(0), masked)
	})
	a.end()
}

func (a *assembler) normSums() {
	a.function("normSums", "func(dy *float32, x *float32, gain *float32, n int, mean float32) (sum float32, product float32)",
		"returns Σ dy·gain and Σ dy·gain·(x − mean).")
	d, x, g, mean := a.vector(0), a.vector(1), a.vector(2), a.vector(3)
	sum, product := a.vector(4), a.vector(5)
	a.zero(sum)
	a.zero(product)
	a.spread("mean", mean)
	a.elementwise([]string{"dy", "x", "gain"}, func(masked bool) {
		a.read(at(0), d, masked)
		a.read(at(1), x, masked)
		a.read(at(2), g, masked)
		a.VMULPS(g, d, d)
		a.VSUBPS(mean, x, x)
		a.VADDPS(d, sum, sum)
		a.VFMADD231PS(x, d, product)
	})
	a.returnSums(sum, product)
}

func (a *assembler) normGrad(name, comment string, add bool) {
	a.function(name, "func(dx *float32, dy *float32, x *float32, gain *float32, n int, mean float32, r float32, back float32, level float32)", comment)
	d, x, g, t := a.vector(0), a.vector(1), a.vector(2), a.vector(3)
	mean, r, back, level := a.vector(4), a.vector(5), a.vector(6), a.vector(7)
	a.spread("mean", mean)
	a.spread("r", r)
	a.spread("back", back)
	a.spread("level", level)
	a.elementwise([]string{"dx", "dy", "x", "gain"}, func(masked bool) {
		a.read(at(1), d, masked)
		a.read(at(2), x, masked)
		a.read(at(3), g, masked)
		a.VMULPS(r, g, g)
		a.VSUBPS(mean, x, x)
		a.VFMSUB213PS(level, g, d) // dy·gain·r − level
		a.VFNMADD231PS(back, x, d)
		if add {
			a.read(at(0), t, masked)
			a.VADDPS(t, d, d)
		}
		a.write(d, at(0), masked)
	})
	a.end()
}

func (a *assembler) normGain() {
	a.function("normGain", "func(sum *float32, dy *float32, x *float32, n int, mean float32, r float32)",
		"adds dy·(x − mean)·r to sum.")
	s, d, x, mean, r := a.vector(0), a.vector(1), a.vector(2), a.vector(3), a.vector(4)
	a.spread("mean", mean)
	a.spread("r", r)
	a.elementwise([]string{"sum", "dy", "x"}, func(masked bool) {
		a.read(at(0), s, masked)
		a.read(at(1), d, masked)
		a.read(at(2), x, masked)
		a.VSUBPS(mean, x, x)
		a.VMULPS(r, x, x)
		a.VFMADD231PS(x, d, s)
		a.write(s, at(0), masked)
	})
	a.end()
}
