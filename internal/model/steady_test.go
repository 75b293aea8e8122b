package model

import (
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/random"
)

// still is a device whose work in a step is nothing, so that what a Decoder
// itself allocates shows.
type still struct{ compute.Device }

func (still) MatMulSums(_ []compute.Product)                                {}
func (still) MatMul(_, _ compute.Mat, _ *compute.Weight, _ float32, _ bool) {}
func (still) MatVec(_, _ compute.Mat, _ *compute.Weight, _ float32, _ bool) {}
func (still) Embed(compute.Mat, *compute.Weight, []int32, float32)          {}
func (still) RMSNorm(_, _, _ compute.Mat, _ float32)                        {}
func (still) Rotate(compute.Mat, int, []int32, *compute.Rotation, bool)     {}
func (still) AttentionCached(_, _ compute.Mat, _ []compute.CachedSequence, _ compute.AttentionShape) {
}
func (still) GLU(_, _ compute.Mat, _ compute.Activation) {}
func (still) Add(_, _, _ compute.Mat)                    {}
func (still) AddRow(_, _ compute.Mat)                    {}
func (still) Copy(_, _ compute.Mat)                      {}
func (still) Deal([]compute.Mat, compute.Mat)            {}
func (still) Gather(_, _ compute.Mat, _ []int32)         {}
func (still) LogSoftmax(compute.Mat)                     {}
func (still) Largest(compute.Mat, []int32)               {}

func TestATokenAllocatesNothing(t *testing.T) {
	dev := still{cpu.New(1)}
	m := long(t, dev)
	if err := m.AddLoRA(LoRA{R: 2, Targets: []string{"q_proj", "down_proj"}}, random.Stream(1, "lora")); err != nil {
		t.Fatal(err)
	}
	for _, s := range []Sampling{{}, {Temperature: 1}, {Temperature: 1, TopK: 3, TopP: 0.9}, {Temperature: 1, TopP: 0.9, MinP: 0.01, RepetitionPenalty: 1.2}} {
		d := NewDecoder(m)
		prompts := [][]int32{sequence("a", 30), sequence("b", 3), sequence("c", 80)}
		g := generator{d: d, o: &GenerateOptions{Sampling: s, MaxTokens: 1000, Batch: 3}}
		g.feed = d.newFeed(prompts, func(i int) int { return len(prompts[i]) - 1 }, 300)
		step := func() {
			for _, a := range g.active { // the answer itself
				a.answer.Tokens, a.answer.LogProbs = a.answer.Tokens[:0], a.answer.LogProbs[:0]
			}
			if err := g.step(); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			step()
		}
		if n := testing.AllocsPerRun(200, step); n != 0 || len(g.active) != 3 {
			t.Errorf("%+v: %v allocations for a token of %d sequences", s, n, len(g.active))
		}
	}
}
