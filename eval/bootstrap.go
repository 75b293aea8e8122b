package eval

import (
	"context"
	"math"
	"math/rand/v2"
	"sort"
)

// bootstrapStream separates the resampling draws from other draws of the same seed.
const bootstrapStream = 0x626f6f7473747261 // "bootstra"

// A statistic is a number computed from items, item i counted weights[i] times.
type statistic func(weights []int32) float64

// bootstrap evaluates every statistic on the same R resamples of n items and returns the
// values (S,R). Statistics see equal weights in the same resample, which is what makes
// their differences and ratios paired, and which keeps a value independent of what other
// statistics are asked for.
func bootstrap(ctx context.Context, n, resamples int, seed uint64, stats []statistic) ([][]float64, error) {
	rng := rand.New(rand.NewPCG(seed, bootstrapStream))
	values := make([][]float64, len(stats))
	for s := range values {
		values[s] = make([]float64, resamples)
	}
	weights := make([]int32, n)
	for r := range resamples {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		clear(weights)
		for range n {
			weights[rng.IntN(n)]++
		}
		for s, stat := range stats {
			values[s][r] = stat(weights)
		}
	}
	return values, nil
}

// percentiles is the central interval of the replicates, interpolated linearly between
// order statistics (NumPy's default). ok is false when a replicate is not a finite
// number: then the bootstrap says nothing about the interval.
func percentiles(replicates []float64, confidence float64) (iv Interval, ok bool) {
	sorted := append([]float64(nil), replicates...)
	sort.Float64s(sorted)
	iv = Interval{Confidence: confidence, Method: MethodBootstrap}
	if len(sorted) == 0 || undefined(sorted) > 0 {
		return iv, false
	}
	iv.Low = quantile(sorted, (1-confidence)/2)
	iv.High = quantile(sorted, (1+confidence)/2)
	return iv, true
}

// undefined counts the values that are not finite numbers.
func undefined(values []float64) int {
	count := 0
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			count++
		}
	}
	return count
}

func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// bootstrapP is the two-sided p-value that the replicates' centre is zero: twice the
// smaller share on one side of it, the sample itself counted once, so that it never
// falls below 2/(R+1) (Davison and Hinkley 1997, section 4.2).
func bootstrapP(differences []float64) float64 {
	below, above := 1, 1
	for _, d := range differences {
		if d <= 0 {
			below++
		}
		if d >= 0 {
			above++
		}
	}
	return math.Min(1, 2*float64(min(below, above))/float64(len(differences)+1))
}
