package eval_test

import (
	"math"
	"testing"

	"github.com/retort-ml/retort/eval"
)

func TestTimingCountsTheTokensOfEachPass(t *testing.T) {
	items, subjects := worked()
	r := evaluate(t, eval.Options{Metrics: eval.MetricNames()}, items, subjects[0])
	// The fake says 3 tokens for each prompt and writes 2 for each answer.
	want := map[string]int{"choices": 30, "generate": 20, "responses": 30}
	passes := r.Timing.Models[0].Passes
	if len(passes) != len(want) {
		t.Fatalf("passes %+v", passes)
	}
	for _, p := range passes {
		if p.Items != 10 || p.PromptTokens != 30 || p.Seconds <= 0 {
			t.Errorf("pass %+v", p)
		}
		if tokens := p.TokensPerSecond * p.Seconds; !(math.Abs(tokens-float64(want[p.Pass])) < 1e-6) {
			t.Errorf("%s: %v tokens in %v s are not %v per second", p.Pass, want[p.Pass], p.Seconds, p.TokensPerSecond)
		}
	}
}
