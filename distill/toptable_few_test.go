package distill_test

import (
	"math"
	"testing"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/model"
)

// few are two tokens of an answer: the teacher tells one alternative of three
// for the first, and none for the second.
func few() []model.TopTokens {
	return []model.TopTokens{{IDs: []int32{4}, LogProbs: []float32{-0.25}}, {}}
}

func TestTopFileOfFewerAlternatives(t *testing.T) {
	rows := someRows(4, 3)
	rows[2].Top = few()
	a, err := distill.OpenAnswers(writeAnswers(t, 3, rows))
	if err != nil {
		t.Fatal(err)
	}
	checkTable(t, a, rows, 3)
}

// A token without a teacher's distribution has the cross-entropy alone.
func TestTokenWithoutAlternatives(t *testing.T) {
	c := lossCase{v: 6, options: distill.Options{}, logits: make([]float32, 12), top: [][]model.TopTokens{few()}, target: []int32{4, 2}, weight: []float32{1, 3}}
	for i := range c.logits {
		c.logits[i] = float32(i%5) / 2
	}
	whole, grad := c.run(t)
	one := lossCase{v: 6, options: c.options, logits: c.logits[:6], top: [][]model.TopTokens{few()[:1]}, target: c.target[:1], weight: c.weight[:1]}
	first, _ := one.run(t)
	p := softmax(float64s(c.logits[6:]), 1)
	if want := first - 3*math.Log(p[2]); math.Abs(whole-want) > 1e-5 {
		t.Errorf("loss %v, want %v", whole, want)
	}
	for j, g := range grad[6:] {
		want := 3 * p[j]
		if j == 2 {
			want -= 3
		}
		if math.Abs(float64(g)-want) > 1e-5 {
			t.Errorf("gradient %d: %v, want %v", j, g, want)
		}
	}
}

func float64s(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}
