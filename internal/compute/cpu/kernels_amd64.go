//go:build !purego

package cpu

import "github.com/klauspost/cpuid/v2"

//go:generate go -C gen run . -dir ..

// peakStrands is how many sums the peak loops keep going.
const peakStrands = 12

// fastest returns the best kernels for this processor.
func fastest() kernels {
	switch {
	case hasAVX512():
		return withAVX512()
	case hasAVX2():
		return withAVX2()
	default:
		return portable()
	}
}

func hasAVX2() bool {
	return cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.BMI2)
}

func hasAVX512() bool {
	return hasAVX2() && cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL)
}

func withAVX512() kernels {
	wide := tiles{columns: 32, byRows: []tile{
		tile1x32AVX512, tile2x32AVX512, tile3x32AVX512, tile4x32AVX512, tile5x32AVX512, tile6x32AVX512, tile7x32AVX512,
		tile8x32AVX512, tile9x32AVX512, tile10x32AVX512, tile11x32AVX512, tile12x32AVX512, tile13x32AVX512, tile14x32AVX512,
	}}
	narrow := tiles{columns: 16, high: 28, highest: tile28x16AVX512, byRows: []tile{
		tile1x16AVX512, tile2x16AVX512, tile3x16AVX512, tile4x16AVX512, tile5x16AVX512, tile6x16AVX512, tile7x16AVX512,
		tile8x16AVX512, tile9x16AVX512, tile10x16AVX512, tile11x16AVX512, tile12x16AVX512, tile13x16AVX512, tile14x16AVX512,
	}}
	k := vectors{
		dot:        dotAVX512,
		maximum:    maximumAVX512,
		exp:        expAVX512,
		silu:       siluAVX512,
		siluGrad:   siluGradAVX512,
		gelu:       geluAVX512,
		geluGrad:   geluGradAVX512,
		add:        addAVX512,
		scale:      scaleAVX512,
		softCap:    softCapAVX512,
		normalize:  normalizeAVX512,
		addScaled:  addScaledAVX512,
		rotate:     rotateAVX512,
		dropout:    dropoutAVX512,
		subtract:   subtractAVX512,
		sumSquares: sumSquaresAVX512,
		sumColumns: sumColumnsAVX512,
		adamW:      adamWAVX512,
	}.kernels()
	k.name, k.grain = "avx512", 1<<18
	k.panel = func(p product) {
		if p.n <= narrow.columns {
			narrow.multiply(p)
		} else {
			wide.multiply(p)
		}
	}
	k.transpose = func(dst, rows []float32, stride, n, depth int) {
		transposeVectors(transposeAVX512, 16, dst, rows, stride, n, depth)
	}
	k.convert = readers{
		f32: f32AVX512, f16: f16AVX512, bf16: bf16AVX512, q8: q8AVX512, q4: q4AVX512, q5: q5AVX512,
		q4K: q4KAVX512, q6K: q6KAVX512, nf4: nf4AVX512,
	}.convert
	k.attendWith(attenders{
		lanes: 16,
		score: [4]scorer{score1AVX512, score2AVX512, score3AVX512, score4AVX512},
		weigh: []weigher{
			{64, [4]weigherCall{weigh1x4AVX512, weigh2x4AVX512, weigh3x4AVX512, weigh4x4AVX512}},
			{32, [4]weigherCall{weigh1x2AVX512, weigh2x2AVX512, weigh3x2AVX512, weigh4x2AVX512}},
			{16, [4]weigherCall{weigh1x1AVX512, weigh2x1AVX512, weigh3x1AVX512, weigh4x1AVX512}},
		},
	})
	k.normWith(norms{deviationsAVX512, standardizeAVX512, normSumsAVX512, normGradAVX512, normGradAddAVX512, normGainAVX512})
	k.softmaxWith(softmaxes{rows: softmaxRowsAVX512, grad: softmaxGradRowsAVX512})
	k.peak = func(n int) int {
		peakAVX512(n)
		return n * peakStrands * 2 * 16
	}
	addVectorAVX512(&k, cpuid.CPU.Supports(cpuid.AVX512VNNI))
	return k
}

func withAVX2() kernels {
	full := tiles{columns: 16, byRows: []tile{tile1x16AVX2, tile2x16AVX2, tile3x16AVX2, tile4x16AVX2, tile5x16AVX2, tile6x16AVX2}}
	partial := tiles{columns: 16, byRows: []tile{tail1x16AVX2, tail2x16AVX2, tail3x16AVX2, tail4x16AVX2}}
	k := vectors{
		dot:        dotAVX2,
		maximum:    maximumAVX2,
		exp:        expAVX2,
		silu:       siluAVX2,
		siluGrad:   siluGradAVX2,
		gelu:       geluAVX2,
		geluGrad:   geluGradAVX2,
		add:        addAVX2,
		scale:      scaleAVX2,
		softCap:    softCapAVX2,
		normalize:  normalizeAVX2,
		addScaled:  addScaledAVX2,
		rotate:     rotateAVX2,
		dropout:    dropoutAVX2,
		subtract:   subtractAVX2,
		sumSquares: sumSquaresAVX2,
		sumColumns: sumColumnsAVX2,
		adamW:      adamWAVX2,
	}.kernels()
	k.name, k.grain = "avx2", 1<<17
	k.panel = func(p product) {
		for ; p.n >= full.columns; p = p.right(full.columns) {
			left := p
			left.n = full.columns
			full.multiply(left)
		}
		partial.multiply(p)
	}
	k.transpose = func(dst, rows []float32, stride, n, depth int) {
		transposeVectors(transposeAVX2, 8, dst, rows, stride, n, depth)
	}
	k.convert = readers{
		f32: f32AVX2, f16: f16AVX2, bf16: bf16AVX2, q8: q8AVX2, q4: q4AVX2, q5: q5AVX2,
		q4K: q4KAVX2, q6K: q6KAVX2, nf4: nf4AVX2,
	}.convert
	k.attendWith(attenders{
		lanes: 8,
		score: [4]scorer{score1AVX2, score2AVX2, score3AVX2, score4AVX2},
		weigh: []weigher{
			{16, [4]weigherCall{weigh1x2AVX2, weigh2x2AVX2, weigh3x2AVX2, weigh4x2AVX2}},
			{8, [4]weigherCall{weigh1x1AVX2, weigh2x1AVX2, weigh3x1AVX2, weigh4x1AVX2}},
		},
	})
	k.normWith(norms{deviationsAVX2, standardizeAVX2, normSumsAVX2, normGradAVX2, normGradAddAVX2, normGainAVX2})
	k.softmaxWith(softmaxes{rows: softmaxRowsAVX2, grad: softmaxGradRowsAVX2})
	k.peak = func(n int) int {
		peakAVX2(n)
		return n * peakStrands * 2 * 8
	}
	addVectorAVX2(&k)
	return k
}
