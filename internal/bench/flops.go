package bench

import "github.com/retort-ml/retort/internal/model"

// The operations of matrix products, a multiplication and an addition being
// two. This is all that GFLOP/s of a model count: what must be multiplied, not
// what is computed a second time or in vain (attention computes its scores
// again for the gradient, and may compute some that the mask then hides), and
// nothing elementwise.

// gemmFLOPs is of a product of m rows with a matrix (n,k), one way.
func gemmFLOPs(m, n, k int) float64 { return 2 * float64(m) * float64(n) * float64(k) }

// linearValues is how many values the linear layers of one layer have.
func linearValues(c *model.Config) float64 {
	sum := 0.0
	for _, m := range linears(c, 0) {
		sum += float64(m.out) * float64(m.in)
	}
	return sum
}

// pairFLOPs is of one query and one key: a score of every head, and as much
// for its share of the value.
func pairFLOPs(c *model.Config) float64 { return 4 * float64(c.NumAttentionHeads*c.HeadDim) }

// pairs is how many queries see how many keys when t tokens follow before
// others: each sees all before it, and itself.
func pairs(before, t int) float64 {
	return float64(t)*float64(before) + float64(t)*float64(t+1)/2
}

// forwardFLOPs is of t tokens of a sequence that follow before others, with the
// logits of heads of them.
func forwardFLOPs(c *model.Config, before, t, heads int) float64 {
	layer := 2*linearValues(c)*float64(t) + pairFLOPs(c)*pairs(before, t)
	return float64(c.NumHiddenLayers)*layer + gemmFLOPs(heads, c.VocabSize, c.HiddenSize)
}

// trainFLOPs is of a step over batch sequences of t tokens with low-rank
// updates of rank r on all linear layers, supervised tokens in all. Frozen
// matrices have the product forward and that of the input's gradient; the two
// of an update have their own gradient too. Attention has two products forward
// and four back. The first layer's queries, keys and values need no gradient
// of their input, as the embedding is frozen.
func trainFLOPs(c *model.Config, batch, t, r, supervised int) float64 {
	n := float64(batch * t)
	updates, first, firstUpdates := 0.0, 0.0, 0.0
	for _, m := range linears(c, 0) {
		updates += float64(r * (m.in + m.out))
		switch m.name {
		case "q_proj", "k_proj", "v_proj":
			first += float64(m.in) * float64(m.out)
			firstUpdates += float64(r * m.in)
		}
	}
	layer := n*(4*linearValues(c)+6*updates) + 3*pairFLOPs(c)*float64(batch)*pairs(0, t)
	head := 2 * gemmFLOPs(supervised, c.VocabSize, c.HiddenSize)
	return float64(c.NumHiddenLayers)*layer - 2*n*(first+firstUpdates) + head
}
