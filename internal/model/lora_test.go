package model_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

// addNonzeroLoRA adds updates whose B is not zero.
func addNonzeroLoRA(t *testing.T, m *model.Model, o model.LoRA) {
	t.Helper()
	rng := random.Stream(3, "lora")
	if err := m.AddLoRA(o, rng); err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		for i := range m.Device().Host(compute.Of(p.Value)) {
			m.Device().Host(compute.Of(p.Value))[i] = float32(rng.NormFloat64() / 4)
		}
	}
}

func TestAddLoRADoesNothingAtFirst(t *testing.T) {
	m := tiny(t, true)
	tokens := []int32{1, 2, 3, 4}
	want := rowLogits(t, m, tokens)
	if err := m.AddLoRA(model.LoRA{}, random.Stream(3, "lora")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rowLogits(t, m, tokens), want) {
		t.Error("new updates changed the logits")
	}
	if n := len(m.Params()); n != 2*7*2 {
		t.Errorf("%d parameters, want A and B of 7 matrices in 2 layers", n)
	}
	if m.LoRA.R != 16 || m.LoRA.Alpha != 32 {
		t.Errorf("r %d, alpha %v, want the defaults", m.LoRA.R, m.LoRA.Alpha)
	}
	a := m.Device().Host(compute.Of(m.Params()[0].Value))
	if bound := float32(0.35356); slices.Max(a) > bound || slices.Min(a) < -bound || slices.Max(a) < 0.3 || slices.Min(a) > -0.3 {
		t.Errorf("A is from %v to %v, want ±1/sqrt(8)", slices.Min(a), slices.Max(a))
	}
}

func TestMergeIsTheUpdate(t *testing.T) {
	for _, o := range []model.LoRA{{R: 2, Alpha: 3}, {R: 4, Alpha: 3, RSLoRA: true}, {R: 3, Targets: []string{"down_proj", "model.layers.1.self_attn.k_proj"}}} {
		m := tiny(t, false)
		tokens := []int32{1, 2, 3, 4, 10, 0}
		plain := rowLogits(t, m, tokens)
		addNonzeroLoRA(t, m, o)
		want := rowLogits(t, m, tokens)
		if slices.Equal(want, plain) {
			t.Fatal("the updates do nothing")
		}
		m.Merge()
		if m.LoRA != nil || len(m.Params()) != 0 {
			t.Error("updates are left after merging")
		}
		near(t, "logits after merging", rowLogits(t, m, tokens), want)
		if err := m.AddLoRA(o, random.Stream(1, "again")); err != nil {
			t.Error(err)
		}
	}
}

// Merging a model without updates leaves what is trained alone.
func TestMergeOfNothing(t *testing.T) {
	m := tiny(t, false)
	if err := m.Unfreeze(); err != nil {
		t.Fatal(err)
	}
	n := len(m.Params())
	m.Merge()
	if len(m.Params()) != n {
		t.Errorf("%d parameters, want %d", len(m.Params()), n)
	}
}

func TestAddLoRARefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		o    model.LoRA
		want []string
	}{
		{"rank", model.LoRA{R: -1}, []string{"r: -1"}},
		{"huge rank", model.LoRA{R: 1 << 30}, []string{"r: 1073741824"}},
		{"all fields", model.LoRA{R: -1, Alpha: -2, Dropout: 1}, []string{"r: -1", "alpha: -2", "dropout: 1"}},
		{"target", model.LoRA{Targets: []string{"q_proj", "qproj"}}, []string{`target "qproj"`, "q_proj, k_proj"}},
		{"norm", model.LoRA{Targets: []string{"input_layernorm"}}, []string{`target "input_layernorm"`}},
		{"embedding with a bias", model.LoRA{Targets: []string{"embed_tokens"}, LoRABias: true}, []string{"lora_bias", "embedding model.embed_tokens"}},
		{"bias with magnitudes", model.LoRA{LoRABias: true, DoRA: true}, []string{"lora_bias", "use_dora"}},
		{"some biases", model.LoRA{Bias: "some"}, []string{`bias: "some"`}},
		{"target that is saved", model.LoRA{Targets: []string{"q_proj"}, ModulesToSave: []string{"_proj"}}, []string{"self_attn.q_proj is trained whole"}},
		{"nothing to save", model.LoRA{ModulesToSave: []string{"score"}}, []string{`modules_to_save: "score"`}},
		{"start", model.LoRA{Init: "pissa"}, []string{`init_lora_weights: "pissa"`}},
		{"two kinds of targets", model.LoRA{Targets: []string{"q_proj"}, TargetPattern: ".*"}, []string{"targets: there is target_pattern too"}},
		{"lookahead", model.LoRA{TargetPattern: "(?!q).*"}, []string{"target_pattern", "(?!q)", "not supported"}},
		{"rank of a pattern", model.LoRA{RankPattern: map[string]int{"q_proj": 5000}}, []string{"rank_pattern: q_proj: 5000"}},
		{"part of a name", model.LoRA{Targets: []string{"proj"}}, []string{`target "proj"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := tiny(t, true)
			fails(t, m.AddLoRA(c.o, random.Stream(1, "x")), append(c.want, "add low-rank updates")...)
			if m.LoRA != nil || len(m.Params()) != 0 {
				t.Error("the model was changed")
			}
		})
	}
	m := tiny(t, true)
	addNonzeroLoRA(t, m, model.LoRA{R: 1})
	fails(t, m.AddLoRA(model.LoRA{}, random.Stream(1, "x")), "has low-rank updates already")
	fails(t, m.Unfreeze(), "low-rank updates")
	m = tiny(t, true)
	if err := m.Unfreeze(); err != nil {
		t.Fatal(err)
	}
	fails(t, m.AddLoRA(model.LoRA{}, random.Stream(1, "x")), "model.embed_tokens.weight is trained itself")
}

func TestTargetsSelectModules(t *testing.T) {
	for _, c := range []struct {
		targets []string
		want    int
	}{
		{[]string{"q_proj"}, 2},
		{[]string{"self_attn.q_proj", "q_proj"}, 2},
		{[]string{"model.layers.0.mlp.up_proj"}, 1},
		{[]string{"all-linear"}, 14},
		{nil, 14},
	} {
		m := tiny(t, true)
		addNonzeroLoRA(t, m, model.LoRA{R: 1, Targets: c.targets})
		if got := len(m.Params()) / 2; got != c.want {
			t.Errorf("%v: %d modules, want %d", c.targets, got, c.want)
		}
	}
}
