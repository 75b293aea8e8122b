//go:build !purego

package cpu

// pieceValues bounds what one call in assembly does, which the scheduler
// cannot interrupt: 16,384 values take some 20 µs.
const pieceValues = 16384

// pieces calls f for pieces of n values, each of count values from i on.
func pieces(n int, f func(i, count int)) {
	for i := 0; i < n; i += pieceValues {
		f(i, min(pieceValues, n-i))
	}
}

// vectors are the kernels in assembly that go along rows, of n values each.
type vectors struct {
	dot        func(a, b *float32, n int) float32
	maximum    func(x *float32, n int) float32
	exp        func(dst, x *float32, n int, shift float32) float32
	silu       func(out, gate, up *float32, n int)
	siluGrad   func(dgate, dup, dout, gate, up *float32, n int)
	gelu       func(out, gate, up *float32, n int)
	geluGrad   func(dgate, dup, dout, gate, up *float32, n int)
	add        func(y, a, b *float32, n int)
	scale      func(x *float32, n int, s float32)
	softCap    func(x *float32, n int, limit, inverse float32)
	normalize  func(y, x, gain *float32, n int, r float32)
	addScaled  func(sum, a *float32, n int, s float32)
	dropout    func(y, x *float32, n int, state uint64, drop int32, factor float32)
	subtract   func(x *float32, n int, s, t float32)
	sumSquares func(x *float32, n int) float64
	sumColumns func(sums *float64, x *float32, stride, rows int)
	rotate     func(a, b, cos, sin *float32, n int, sign float32)
	adamW      func(param, grad, m, v *float32, n int, gradScale, beta1, rest1, beta2, rest2, keep, rate, root, eps float32)
}

// kernels wraps v: slices of one length, which the kernels in assembly do not
// check, and calls of bounded time.
func (v vectors) kernels() kernels {
	k := kernels{
		dot: func(a, b []float32) float32 {
			b = b[:len(a)]
			sum := float32(0)
			pieces(len(a), func(i, n int) { sum += v.dot(&a[i], &b[i], n) })
			return sum
		},
		maximum: func(x []float32) float32 {
			largest := v.maximum(nil, 0) // of none
			pieces(len(x), func(i, n int) { largest = max(largest, v.maximum(&x[i], n)) })
			return largest
		},
		exp: func(dst, x []float32, shift float32) float32 {
			dst = dst[:len(x)]
			sum := 0.0
			pieces(len(x), func(i, n int) { sum += float64(v.exp(&dst[i], &x[i], n, shift)) })
			return float32(sum)
		},
	}
	v.addActivations(&k)
	v.addRows(&k)
	v.addSums(&k)
	return k
}

func (v vectors) addActivations(k *kernels) {
	k.silu, k.gelu = gatedPieces(v.silu), gatedPieces(v.gelu)
	k.siluGrad, k.geluGrad = gatedGradPieces(v.siluGrad), gatedGradPieces(v.geluGrad)
	k.rotate = func(a, b, cos, sin []float32, sign float32) {
		b, cos, sin = b[:len(a)], cos[:len(a)], sin[:len(a)]
		pieces(len(a), func(i, n int) { v.rotate(&a[i], &b[i], &cos[i], &sin[i], n, sign) })
	}
}

// gatedPieces is a gated activation of slices.
func gatedPieces(f func(out, gate, up *float32, n int)) func(out, gate, up []float32) {
	return func(out, gate, up []float32) {
		gate, up = gate[:len(out)], up[:len(out)]
		pieces(len(out), func(i, n int) { f(&out[i], &gate[i], &up[i], n) })
	}
}

// gatedGradPieces is its gradient.
func gatedGradPieces(f func(dgate, dup, dout, gate, up *float32, n int)) func(dgate, dup, dout, gate, up []float32) {
	return func(dgate, dup, dout, gate, up []float32) {
		dgate, dup, gate, up = dgate[:len(dout)], dup[:len(dout)], gate[:len(dout)], up[:len(dout)]
		pieces(len(dout), func(i, n int) { f(&dgate[i], &dup[i], &dout[i], &gate[i], &up[i], n) })
	}
}

func (v vectors) addRows(k *kernels) {
	k.add = func(y, a, b []float32) {
		a, b = a[:len(y)], b[:len(y)]
		pieces(len(y), func(i, n int) { v.add(&y[i], &a[i], &b[i], n) })
	}
	k.scale = func(x []float32, s float32) {
		pieces(len(x), func(i, n int) { v.scale(&x[i], n, s) })
	}
	k.softCap = func(x []float32, limit float32) {
		pieces(len(x), func(i, n int) { v.softCap(&x[i], n, limit, 1/limit) })
	}
	k.normalize = func(y, x, gain []float32, r float32) {
		x, gain = x[:len(y)], gain[:len(y)]
		pieces(len(y), func(i, n int) { v.normalize(&y[i], &x[i], &gain[i], n, r) })
	}
	k.addScaled = func(sum, a []float32, s float32) {
		a = a[:len(sum)]
		pieces(len(sum), func(i, n int) { v.addScaled(&sum[i], &a[i], n, s) })
	}
	k.adamW = func(param, grad, m, w []float32, c adamCoefficients) {
		grad, m, w = grad[:len(param)], m[:len(param)], w[:len(param)]
		pieces(len(param), func(i, n int) {
			v.adamW(&param[i], &grad[i], &m[i], &w[i], n, c.gradScale, c.beta1, c.rest1, c.beta2, c.rest2, c.keep, c.rate, c.root, c.eps)
		})
	}
}

func (v vectors) addSums(k *kernels) {
	k.dropout = func(y, x []float32, state uint64, drop int32, factor float32) {
		x = x[:len(y)]
		whole := len(y) / 32 * 32 // a multiple of what any of them takes at a time
		for i := 0; i < whole; i += pieceValues {
			v.dropout(&y[i], &x[i], min(pieceValues, whole-i), state+uint64(i)/4*splitMixStep, drop, factor)
		}
		dropoutGo(y[whole:], x[whole:], state+uint64(whole)/4*splitMixStep, drop, factor)
	}
	k.subtract = func(x []float32, s, t float32) {
		pieces(len(x), func(i, n int) { v.subtract(&x[i], n, s, t) })
	}
	k.sumSquares = func(x []float32) float64 {
		sum := 0.0
		pieces(len(x), func(i, n int) { sum += v.sumSquares(&x[i], n) })
		return sum
	}
	k.sumColumns = func(sums *[panelWidth]float64, x view) {
		if x.cols < panelWidth {
			sumColumnsGo(sums, x)
			return
		}
		const most = pieceValues / panelWidth
		for i := 0; i < x.rows; i += most {
			n := min(most, x.rows-i)
			_ = x.data[(i+n-1)*x.stride+panelWidth-1] // the kernel does not check
			v.sumColumns(&sums[0], &x.data[i*x.stride], x.stride, n)
		}
	}
}
