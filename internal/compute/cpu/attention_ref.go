package cpu

import (
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// attentionRef is the meaning of Attention: q (N,H·E), k and v (M,G·E) row by
// row; it returns out (N,H·E) and logsumexp (N,H).
func attentionRef(q, k, v []float64, s compute.AttentionShape) (out, logsumexp []float64) {
	n, e := len(s.From), s.HeadDim
	out, logsumexp = make([]float64, n*s.Heads*e), make([]float64, n*s.Heads)
	for i := range n {
		for h := range s.Heads {
			group := h * s.KVHeads / s.Heads
			x, sums := q[(i*s.Heads+h)*e:][:e], out[(i*s.Heads+h)*e:][:e]
			var seen []float64
			end := s.KeyOffset + i + 1
			if s.To != nil {
				end = int(s.To[i])
			}
			for j := int(s.From[i]); j < end; j++ {
				score := 0.0
				for c, y := range k[(j*s.KVHeads+group)*e:][:e] {
					score += x[c] * y * float64(s.Scale)
				}
				if limit := float64(s.SoftCap); limit > 0 {
					score = limit * math.Tanh(score/limit)
				}
				seen = append(seen, score)
			}
			logs := logSoftmaxRef(seen)
			logsumexp[i*s.Heads+h] = seen[0] - logs[0]
			for j, l := range logs {
				for c, y := range v[((int(s.From[i])+j)*s.KVHeads+group)*e:][:e] {
					sums[c] += math.Exp(l) * y
				}
			}
		}
	}
	return out, logsumexp
}
