package distill

import (
	"math"
	"slices"
)

// Universal logit distillation (Boizard et al. 2024, "Towards Cross-Tokenizer
// Distillation", arXiv 2402.12030) compares how the teacher and the student
// spread their probability, not on what: the distance of the likeliest token's
// probabilities, plus that of the second likeliest's, and so on, which is the
// Wasserstein distance of two vocabularies whose tokens are all equally far apart.
//
// The paper fills the smaller vocabulary up with zeros. Here the teacher's tokens
// past its top K are not zero but unknown, and are compared by their mass, as in
// the other divergences: that is the least that their distance can be, it is the
// paper's value where the top K are all, and it is 0 of equal distributions. Where
// the student has fewer tokens than K, the teacher's rest is left out.

// distance is Σ |t − s| of distributions given by their log-probabilities, with
// its gradient in each log s_j. Where the two are equal, and where tokens are
// equally likely so that their order is arbitrary, it is a subgradient.
func distance(teacher, student, grad []float64) float64 {
	sum := 0.0
	for j, s := range student {
		p := math.Exp(s)
		gap := p - math.Exp(teacher[j])
		sum += math.Abs(gap)
		switch {
		case gap > 0:
			grad[j] = p
		case gap < 0:
			grad[j] = -p
		default:
			grad[j] = 0
		}
	}
	return sum
}

// ranked is a token with its logit.
type ranked struct {
	logit float32
	id    int32
}

// before tells whether r comes before o: it is likelier, or as likely with a
// smaller id.
func (r ranked) before(o ranked) bool {
	return r.logit > o.logit || r.logit == o.logit && r.id < o.id
}

// likeliest returns the ids of the k greatest logits (V), at most V, the greatest
// first; of equal ones, those with the smallest ids. NaN is less than all others.
//
// It keeps the k best so far in a heap whose root is the least of them: most of V
// are compared with that one alone.
func (s *rowScratch) likeliest(logits []float32, k int) []int32 {
	k = min(k, len(logits))
	if cap(s.heap) < k {
		s.heap = make([]ranked, 0, k)
	}
	h := s.heap[:0]
	for id, x := range logits[:k] {
		h = append(h, ranked{orLeast(x), int32(id)})
	}
	for i := k/2 - 1; i >= 0; i-- {
		sink(h, i)
	}
	if k > 0 {
		least := h[0].logit
		for id, x := range logits[k:] {
			if x > least { // an equal one has a greater id
				h[0] = ranked{x, int32(k + id)}
				sink(h, 0)
				least = h[0].logit
			}
		}
	}
	slices.SortFunc(h, func(a, b ranked) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	ids := make([]int32, k)
	for i := range h {
		ids[i] = h[i].id
	}
	return ids
}

func orLeast(x float32) float32 {
	if x != x {
		return float32(math.Inf(-1))
	}
	return x
}

// sink moves h[i] down to where none below it comes after it.
func sink(h []ranked, i int) {
	for {
		last := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h); c++ {
			if h[last].before(h[c]) {
				last = c
			}
		}
		if last == i {
			return
		}
		h[i], h[last] = h[last], h[i]
		i = last
	}
}

// descending is x in that order: x itself where it is already.
func descending(x []float32) []float32 {
	greatest := func(a, b float32) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	}
	if slices.IsSortedFunc(x, greatest) {
		return x
	}
	x = slices.Clone(x)
	slices.SortFunc(x, greatest)
	return x
}
