//go:build !purego

package cpu

// norms are the kernels in assembly of RMSNorm and LayerNorm, of n values each.
type norms struct {
	deviations  func(x *float32, n int, mean float32) (sum, squares float32)
	standardize func(y, x, gain, bias *float32, n int, mean, r float32)
	sums        func(dy, x, gain *float32, n int, mean float32) (sum, product float32)
	grad        func(dx, dy, x, gain *float32, n int, mean, r, back, level float32)
	gradAdd     func(dx, dy, x, gain *float32, n int, mean, r, back, level float32)
	gain        func(sum, dy, x *float32, n int, mean, r float32)
}

// normWith sets the kernels of the norms.
func (k *kernels) normWith(v norms) {
	k.deviations = func(x []float32, mean float32) (sum, squares float32) {
		pieces(len(x), func(i, n int) {
			s, q := v.deviations(&x[i], n, mean)
			sum, squares = sum+s, squares+q
		})
		return sum, squares
	}
	k.standardize = func(y, x, gain, bias []float32, mean, r float32) {
		x, gain, bias = x[:len(y)], gain[:len(y)], bias[:len(y)]
		pieces(len(y), func(i, n int) { v.standardize(&y[i], &x[i], &gain[i], &bias[i], n, mean, r) })
	}
	k.normSums = func(dy, x, gain []float32, mean float32) (sum, product float32) {
		x, gain = x[:len(dy)], gain[:len(dy)]
		pieces(len(dy), func(i, n int) {
			s, p := v.sums(&dy[i], &x[i], &gain[i], n, mean)
			sum, product = sum+s, product+p
		})
		return sum, product
	}
	k.normGrad = func(dx, dy, x, gain []float32, s normSlope, add bool) {
		dy, x, gain = dy[:len(dx)], x[:len(dx)], gain[:len(dx)]
		kernel := v.grad
		if add {
			kernel = v.gradAdd
		}
		pieces(len(dx), func(i, n int) { kernel(&dx[i], &dy[i], &x[i], &gain[i], n, s.mean, s.r, s.back, s.level) })
	}
	k.normGain = func(sum, dy, x []float32, mean, r float32) {
		dy, x = dy[:len(sum)], x[:len(sum)]
		pieces(len(sum), func(i, n int) { v.gain(&sum[i], &dy[i], &x[i], n, mean, r) })
	}
}
