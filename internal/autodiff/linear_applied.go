package autodiff

import "github.com/retort-ml/retort/internal/compute"

// applied is a Linear with the arrays of one use of it in a graph: x (N,In),
// y (N,Out), low (N,rank) where a part has an update, and z (N,Out) where one
// has a DoRA update: what y is before the rows' scales and the biases.
type applied struct {
	g            *Graph
	l            *Linear
	id           uint64 // of its dropout
	x, y, low, z compute.Mat
}

// forward sets y, and low and z for the gradient.
func (r *applied) forward() {
	dev, s := r.g.dev, &r.g.sums
	if r.low.Array != nil {
		r.reduce()
	}
	if r.z.Array == nil {
		r.l.multiply(dev, s, r.y, r.x, r.low)
	} else {
		r.l.multiply(dev, s, r.z, r.x, r.low)
		r.l.each(r.scaleRows)
	}
	r.l.addBias(dev, r.y, r.biasRow)
}

// biasRow is scratch memory for an update's bias or its gradient.
func (r *applied) biasRow(rows, cols int) compute.Mat {
	return r.g.temp("bias of low rank", rows, cols)
}

// reduce sets low to x·Aᵀ of the parts with an update, x being dropped for
// each of them by itself.
func (r *applied) reduce() {
	if !r.g.train || !r.l.dropout() {
		r.l.reduce(r.g.dev, &r.g.sums, r.low, r.x)
		return
	}
	r.l.each(func(i int, p *Part, _, cols columns) {
		if p.LoRA != nil {
			r.g.dev.MatMul(cols.of(r.low), r.dropped(i), p.LoRA.A.weight(), 1, false)
		}
	})
}

// dropped is x after the dropout of part i's update.
func (r *applied) dropped(i int) compute.Mat {
	p := r.l.Parts[i].LoRA.Dropout
	if p == 0 || !r.g.train {
		return r.x
	}
	d := r.g.temp("dropped", r.x.Rows, r.x.Cols)
	r.g.dev.Dropout(d, r.x, p, r.key(i))
	return d
}

func (r *applied) key(part int) uint64 { return r.g.key(r.id<<8 | uint64(part)) }

// scaleRows sets a part's columns of y from those of z. Dropout of the input of
// a DoRA update d is, as PEFT has it, y = W·(x−d) + g·z with z of d alone.
func (r *applied) scaleRows(i int, p *Part, out, cols columns) {
	g, dev, u := r.g, r.g.dev, p.LoRA
	y, z := out.of(r.y), out.of(r.z)
	if u == nil || u.Magnitude == nil {
		dev.Copy(y, z)
		return
	}
	u.Refresh(dev, p.Weight)
	if !g.train || u.Dropout == 0 {
		dev.MulRow(y, z, compute.Of(u.dora.gain))
		return
	}
	d := r.dropped(i)
	dev.MatMul(z, d, p.Weight, 1, false)
	dev.MatMul(z, cols.of(r.low), u.B.weight(), u.Scale, true)
	dev.Scale(d, -1)
	dev.Add(d, r.x, d)
	dev.MatMul(y, d, p.Weight, 1, false)
	scaled := out.of(g.temp("scaled rows", y.Rows, r.y.Cols))
	dev.MulRow(scaled, z, compute.Of(u.dora.gain))
	dev.Add(y, y, scaled)
}

// backward adds to the parameters' gradients, and sets dx unless it has no array.
func (r *applied) backward(dx, dy compute.Mat) {
	dev := r.g.dev
	r.l.each(func(_ int, p *Part, out, _ columns) {
		if p.WeightParam != nil {
			dev.MatMulOuter(compute.Of(p.WeightParam.Grad), out.of(dy), r.x, 1, true)
		}
		if p.BiasParam != nil {
			dev.SumRows(compute.Of(p.BiasParam.Grad), out.of(dy))
		}
		if u := p.LoRA; u != nil && u.Bias != nil {
			sum, grad := r.biasRow(1, p.Weight.Out), compute.Of(u.Bias.Grad)
			dev.Clear(sum)
			dev.SumRows(sum, out.of(dy))
			dev.Scale(sum, u.Scale)
			dev.Add(grad, grad, sum)
		}
	})
	dz := r.backwardScales(dy)
	var dlow compute.Mat
	if r.low.Array != nil {
		dlow = r.backwardUpdates(dz)
	}
	if dx.Array == nil {
		return
	}
	s := &r.g.sums
	s.begin()
	s.product(dx, false)
	r.l.each(func(_ int, p *Part, out, cols columns) {
		if p.LoRA != nil && p.LoRA.Dropout == 0 {
			s.term(compute.Term{X: out.of(dz), W: p.Weight, Alpha: 1, Grad: true})
			s.term(compute.Term{X: cols.of(dlow), W: p.LoRA.A.weight(), Alpha: 1, Grad: true})
		} else {
			s.term(compute.Term{X: out.of(dy), W: p.Weight, Alpha: 1, Grad: true})
		}
	})
	dev.MatMulSums(s.products)
	r.addDropped(dx, dlow, dy, dz)
}

// backwardScales returns the gradient of z, g·dy, and adds that of the
// magnitudes, Σ dy·z/norm. Without DoRA updates z is y.
func (r *applied) backwardScales(dy compute.Mat) compute.Mat {
	if r.z.Array == nil {
		return dy
	}
	dev, dz := r.g.dev, r.g.temp("scaled rows", dy.Rows, dy.Cols)
	r.l.each(func(_ int, p *Part, out, _ columns) {
		u := p.LoRA
		if u == nil || u.Magnitude == nil {
			dev.Copy(out.of(dz), out.of(dy))
			return
		}
		dev.MulRow(out.of(dz), out.of(dy), compute.Of(u.dora.inverse))
		dev.SumProducts(compute.Of(u.Magnitude.Grad), out.of(dz), out.of(r.z))
		dev.MulRow(out.of(dz), out.of(dy), compute.Of(u.dora.gain))
	})
	return dz
}

// backwardUpdates adds the gradients of the parts' A and B, and returns that
// of x·Aᵀ.
func (r *applied) backwardUpdates(dz compute.Mat) compute.Mat {
	g, dev, low, s := r.g, r.g.dev, r.low, &r.g.sums
	dlow := g.temp("gradient of low rank", low.Rows, low.Cols)
	s.begin()
	r.l.each(func(_ int, p *Part, out, cols columns) {
		if p.LoRA != nil {
			s.product(cols.of(dlow), false)
			s.term(compute.Term{X: out.of(dz), W: p.LoRA.B.weight(), Alpha: p.LoRA.Scale, Grad: true})
		}
	})
	dev.MatMulSums(s.products)
	r.l.each(func(i int, p *Part, out, cols columns) {
		if u := p.LoRA; u != nil {
			dev.MatMulOuter(compute.Of(u.B.Grad), out.of(dz), cols.of(low), u.Scale, true)
			dev.MatMulOuter(compute.Of(u.A.Grad), cols.of(dlow), r.dropped(i), 1, true)
		}
	})
	return dlow
}

// addDropped adds what comes to dx through updates whose input was dropped:
// through A, and for a DoRA update through the matrix, with dz−dy, too.
func (r *applied) addDropped(dx, dlow, dy, dz compute.Mat) {
	g, dev := r.g, r.g.dev
	r.l.each(func(i int, p *Part, out, cols columns) {
		u := p.LoRA
		if u == nil || u.Dropout == 0 {
			return
		}
		d := g.temp("dropped", dx.Rows, dx.Cols)
		dev.MatMulGrad(d, cols.of(dlow), u.A.weight(), 1, false)
		if u.Magnitude != nil {
			dev.MatMulGrad(d, out.of(dz), p.Weight, 1, true)
			dev.MatMulGrad(d, out.of(dy), p.Weight, -1, true)
		}
		dev.Dropout(d, d, u.Dropout, r.key(i))
		dev.Add(dx, dx, d)
	})
}
