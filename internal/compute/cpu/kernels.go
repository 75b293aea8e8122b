package cpu

import "github.com/retort-ml/retort/internal/compute"

// panelWidth is the number of columns of a packed panel: one block of the
// quantized formats, two vectors of AVX-512.
const panelWidth = 32

// kernels are the inner loops that exist in more than one instruction set. A
// test ties each of them to its *_ref.go.
type kernels struct {
	name string
	// grain is how many multiplications and additions are worth a second
	// thread: a few µs, some times what it takes to share them.
	grain int
	// panel multiplies one panel: see product.
	panel func(p product)
	// transpose sets dst[k·panelWidth+j] to rows[j·stride+k] for j < n, k < depth.
	transpose func(dst, rows []float32, stride, n, depth int)
	// convert sets dst to groups of panelWidth values of w, to the bit as
	// w.Part does: the first begins at (row, col), each of the others below
	// the one before it if down, and beside it if not.
	convert func(dst []float32, w *compute.Weight, row, col int, down bool)
	// dots multiplies rows of x by rows of weights: see dots.
	dots func(p dots)
	// blocks multiplies rounded rows of x, up to blockRows of them, by
	// interleaved weights: see blockProduct. Results are the same bytes in
	// every instruction set.
	blocks    func(p blockProduct)
	blockRows int
	// round rounds whole blocks of x to 8 bits: see roundGo.
	round func(dst []rounded, step int, x []float32, offset int32, split bool)
	// dot returns Σ a·b of two slices of one length.
	dot func(a, b []float32) float32
	// maximum returns the largest value, −Inf of none; a NaN does not count.
	maximum func(x []float32) float32
	// exp sets dst to exp(x − shift), 0 where x − shift < minExponent, and
	// returns the sum. dst may be x.
	exp func(dst, x []float32, shift float32) float32
	// silu sets out to gate·sigmoid(gate)·up.
	silu func(out, gate, up []float32)
	// siluGrad sets dgate and dup from dout.
	siluGrad func(dgate, dup, dout, gate, up []float32)
	// add sets y to a + b; y may be either.
	add func(y, a, b []float32)
	// scale multiplies x by s.
	scale func(x []float32, s float32)
	// normalize sets y to x·r·gain.
	normalize func(y, x, gain []float32, r float32)
	// normalizeGrad adds r·gain·dy − x·back to dx.
	normalizeGrad func(dx, dy, x, gain []float32, r, back float32)
	// addProduct adds a·b·s to sum.
	addProduct func(sum, a, b []float32, s float32)
	// softmaxGrad sets ds to s·p·(ds − delta).
	softmaxGrad func(ds, p []float32, delta, s float32)
	// rotate turns the pairs (a, b) by angles of these cosines and sign times these sines.
	rotate func(a, b, cos, sin []float32, sign float32)
	// adamW updates param, m and v from grad.
	adamW func(param, grad, m, v []float32, c adamCoefficients)
	// peak does n rounds of multiplications and additions in registers, and
	// returns how many operations those are.
	peak func(n int) int
}

// portable returns the kernels in Go, which run everywhere.
func portable() kernels {
	return kernels{
		name:          "go",
		grain:         1 << 15,
		panel:         panelGo,
		transpose:     transposeGo,
		convert:       convertGo,
		dots:          dotsGo,
		blocks:        blocksGo,
		blockRows:     maxBlockRows,
		round:         roundGo,
		dot:           dotGo,
		maximum:       maximumGo,
		exp:           expGo,
		silu:          siluGo,
		siluGrad:      siluGradGo,
		add:           addGo,
		scale:         scaleGo,
		normalize:     normalizeGo,
		normalizeGrad: normalizeGradGo,
		addProduct:    addProductGo,
		softmaxGrad:   softmaxGradGo,
		rotate:        rotateGo,
		adamW:         adamWGo,
		peak:          peakGo,
	}
}
