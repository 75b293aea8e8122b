package model

import (
	"math"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute/cpu"
)

// An answer made token by token from the plain definition: logits of known
// tokens divided by the penalty, or multiplied where they are negative.
func TestRepetitionPenaltyIsItsDefinition(t *testing.T) {
	m := long(t, cpu.New(1))
	d := NewDecoder(m)
	prompt := sequence("a", 40)[:5]
	plain := answersOf(t, d, [][]int32{prompt}, GenerateOptions{MaxTokens: 12})[0]
	for _, penalty := range []float64{0.5, 1, 1.3, 20} {
		s := slices.Clone(prompt)
		for range 12 {
			h, err := d.Step([]Run{{Cache: d.NewCache(0), Tokens: s}})
			if err != nil {
				t.Fatal(err)
			}
			row := m.dev.Host(d.Logits(h, []int32{int32(len(s) - 1)}))
			best, most := 0, math.Inf(-1)
			for id, v := range row {
				score := float64(v)
				if slices.Contains(s, int32(id)) {
					if score < 0 {
						score *= penalty
					} else {
						score /= penalty
					}
				}
				if score > most {
					best, most = id, score
				}
			}
			s = append(s, int32(best))
		}
		got := answersOf(t, d, [][]int32{prompt}, GenerateOptions{Sampling: Sampling{RepetitionPenalty: penalty}, MaxTokens: 12})[0]
		if !slices.Equal(got.Tokens, s[len(prompt):]) {
			t.Errorf("penalty %v: %v, want %v", penalty, got.Tokens, s[len(prompt):])
		}
		if same := slices.Equal(got.Tokens, plain.Tokens); same != (penalty == 1) {
			t.Errorf("penalty %v: the same answer as without is %v", penalty, same)
		}
		// What is recorded is what the model says, without the penalty.
		scored, err := d.Score(t.Context(), [][]int32{s}, []int{len(prompt)}, 0)
		if err != nil {
			t.Fatal(err)
		}
		for j, v := range got.LogProbs {
			if want := scored[0].LogProbs[j]; !(math.Abs(float64(v-want)) < 1e-4) {
				t.Errorf("penalty %v: log-probability %v of token %d, want %v", penalty, v, j, want)
			}
		}
	}
}

func TestRepetitionRestoresTheRow(t *testing.T) {
	r := newRepetition(2, 130)
	r.note(3, 129, 3, 0)
	r.note(64, 0)
	logits := make([]float32, 130)
	logits[0], logits[3], logits[129], logits[5] = lowest, -1, 4, 7
	r.read(logits)
	scores := slices.Clone(logits)
	r.apply(scores)
	for id, want := range map[int]float32{0: lowest, 3: -2, 129: 2, 64: 0, 5: 7} {
		if scores[id] != want {
			t.Errorf("token %d has %v, want %v", id, scores[id], want)
		}
	}
	if r.undo(scores); !slices.Equal(scores, logits) {
		t.Errorf("%v restored, want %v", scores, logits)
	}
}
