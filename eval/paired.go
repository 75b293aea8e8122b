package eval

import (
	"fmt"
	"math"
	"sort"

	"gonum.org/v1/gonum/mathext"
)

// McNemar is the exact two-sided p-value that two models are equally often the only one
// to be right: twice the smaller tail of a binomial with probability one half over the
// discordant items, at most 1. Without discordant items it is 1. The tail is computed as
// a regularized incomplete beta function, so it holds for any count. It panics on a
// negative count.
func McNemar(n01, n10 int) float64 {
	if n01 < 0 || n10 < 0 {
		panic(fmt.Sprintf("eval: McNemar: counts %d and %d", n01, n10))
	}
	n, k := n01+n10, min(n01, n10)
	if 2*k == n {
		return 1
	}
	// P(X ≤ k) = I_{1/2}(n−k, k+1)
	return math.Min(1, 2*mathext.RegIncBeta(float64(n-k), float64(k+1), 0.5))
}

// Holm returns the p-values adjusted for their number by Holm's step-down method, in the
// order given. Compared with a level, they keep the chance of any false finding below it.
func Holm(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return p[order[i]] < p[order[j]] })
	adjusted := make([]float64, len(p))
	largest := 0.0
	for rank, i := range order {
		largest = math.Max(largest, math.Min(1, float64(len(p)-rank)*p[i]))
		adjusted[i] = largest
	}
	return adjusted
}
