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
	// gelu and geluGrad are the same with the tanh form of GELU.
	gelu     func(out, gate, up []float32)
	geluGrad func(dgate, dup, dout, gate, up []float32)
	// softCap sets x to limit·tanh(x/limit).
	softCap func(x []float32, limit float32)
	// add sets y to a + b; y may be either.
	add func(y, a, b []float32)
	// scale multiplies x by s.
	scale func(x []float32, s float32)
	// normalize sets y to x·r·gain.
	normalize func(y, x, gain []float32, r float32)
	// deviations returns Σ (x − mean) and Σ (x − mean)².
	deviations func(x []float32, mean float32) (sum, squares float32)
	// standardize sets y to (x − mean)·r·gain + bias.
	standardize func(y, x, gain, bias []float32, mean, r float32)
	// normSums returns Σ dy·gain and Σ dy·gain·(x − mean).
	normSums func(dy, x, gain []float32, mean float32) (sum, product float32)
	// normGrad sets dx to r·gain·dy − (x − mean)·back − level, or adds it when add.
	normGrad func(dx, dy, x, gain []float32, s normSlope, add bool)
	// normGain adds dy·(x − mean)·r to sum.
	normGain func(sum, dy, x []float32, mean, r float32)
	// softmaxRows replaces what is seen of each row of x by exp(x − largest), 0
	// as exp has it, and what else is in its width by 0. stats has the largest
	// and the sum of each row, −Inf and 0 of none. Rows are ld values apart.
	softmaxRows func(x []float32, ld, width int, b bounds, stats []float32)
	// softmaxGradRows replaces what is seen of each row of p by exp(p −
	// stats[2i]), and of ds by scale·p·(ds − stats[2i+1]) with that p, what else
	// is in their width by 0.
	softmaxGradRows func(p, ds []float32, ld, width int, b bounds, stats []float32, scale float32)
	// dropout sets y to x·factor, or to 0 where 16 bits of SplitMix64 are under
	// drop: state is what it mixes for the first four elements.
	dropout func(y, x []float32, state uint64, drop int32, factor float32)
	// subtract takes s and then t away from x.
	subtract func(x []float32, s, t float32)
	// sumSquares returns Σ x², summed in float64.
	sumSquares func(x []float32) float64
	// sumColumns adds the sums of up to panelWidth columns of x to sums.
	sumColumns func(sums *[panelWidth]float64, x view)
	// rotate turns the pairs (a, b) by angles of these cosines and sign times these sines.
	rotate func(a, b, cos, sin []float32, sign float32)
	// adamW updates param, m and v from grad.
	adamW func(param, grad, m, v []float32, c adamCoefficients)
	// addScaled adds a·s to sum.
	addScaled func(sum, a []float32, s float32)
	// score sets s[h·lds+j] to scale·Σ q[h·E+c]·keys[j][c] for every row j of
	// keys (n,E), n ≥ minScored, and all heads h of q. E is a multiple of
	// scoreColumns. Values are to the bit what panel gives.
	score func(s []float32, lds int, q []float32, keys view, scale float32)
	// weigh adds Σ p[h·ldp+i]·values[i] over the rows i of values (n,E) to c[h·E…]
	// for all heads h of c. The sums begin with what is in c, so that cutting the rows
	// changes nothing, and are to the bit what panel gives.
	weigh func(c, p []float32, ldp int, values view)
	// peak does n rounds of multiplications and additions in registers, and
	// returns how many operations those are.
	peak func(n int) int
}

// portable returns the kernels in Go, which run everywhere.
func portable() kernels {
	return kernels{
		name:            "go",
		grain:           1 << 15,
		panel:           panelGo,
		transpose:       transposeGo,
		convert:         convertGo,
		dot:             dotGo,
		maximum:         maximumGo,
		exp:             expGo,
		silu:            siluGo,
		siluGrad:        siluGradGo,
		gelu:            geluGo,
		geluGrad:        geluGradGo,
		add:             addGo,
		scale:           scaleGo,
		softCap:         softCapGo,
		normalize:       normalizeGo,
		deviations:      deviationsGo,
		standardize:     standardizeGo,
		normSums:        normSumsGo,
		normGrad:        normGradGo,
		normGain:        normGainGo,
		softmaxRows:     softmaxRowsGo,
		softmaxGradRows: softmaxGradRowsGo,
		rotate:          rotateGo,
		dropout:         dropoutGo,
		subtract:        subtractGo,
		sumSquares:      sumSquaresGo,
		sumColumns:      sumColumnsGo,
		adamW:           adamWGo,
		addScaled:       addScaledGo,
		score:           scoreGo,
		weigh:           weighGo,
		dots:            dotsGo,
		blocks:          blocksGo,
		blockRows:       maxBlockRows,
		round:           roundGo,
		peak:            peakGo,
	}
}
