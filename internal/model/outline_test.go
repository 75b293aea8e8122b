package model_test

import (
	"path/filepath"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
)

// weightBytes sums up what m's weights take, from the arrays themselves.
func weightBytes(m *model.Model) int {
	n := m.Embed.Weight.Bytes()
	if m.Head != m.Embed {
		n += m.Head.Weight.Bytes()
	}
	for _, part := range m.Linears() {
		n += part.Weight.Bytes()
		if part.Bias != nil {
			n += 4 * part.Bias.Shape().TotalSize()
		}
		if part.LoRA != nil {
			n += 4 * (part.LoRA.A.Value.Shape().TotalSize() + part.LoRA.B.Value.Shape().TotalSize())
		}
	}
	for _, l := range m.Layers {
		n += 4 * (l.AttentionNorm.Values.Shape().TotalSize() + l.MLPNorm.Values.Shape().TotalSize())
	}
	return n + 4*m.Norm.Values.Shape().TotalSize()
}

func TestOutlinesTakeAsManyBytes(t *testing.T) {
	for _, name := range []string{"llama-gqa", "llama-tied-mha", "qwen2-bias"} {
		dir := filepath.Join("testdata", "golden", name)
		real, err := model.Load(cpu.New(1), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer real.Close()
		outline, err := model.LoadOutline(dir)
		if err != nil {
			t.Fatal(err)
		}
		if real.IsOutline() || !outline.IsOutline() {
			t.Error("which is the outline?")
		}
		same := func(when string) {
			t.Helper()
			want := weightBytes(real)
			if real.Bytes() != want || outline.Bytes() != want {
				t.Errorf("%s %s: %d bytes, outline %d, want %d", name, when, real.Bytes(), outline.Bytes(), want)
			}
			if real.Trainable() != outline.Trainable() {
				t.Errorf("%s %s: %d values are trained, outline %d", name, when, real.Trainable(), outline.Trainable())
			}
		}
		same("as loaded")
		for _, m := range []*model.Model{real, outline} {
			if err := m.AddLoRA(model.LoRA{R: 3, Targets: []string{"q_proj", "down_proj"}}, random.Stream(1, "x")); err != nil {
				t.Fatal(err)
			}
		}
		same("with updates")
		real.Merge()
		outline.Merge()
		same("merged")
		for _, m := range []*model.Model{real, outline} {
			if err := m.Unfreeze(); err != nil {
				t.Fatal(err)
			}
		}
		same("unfrozen")
		if got, want := outline.Trainable(), real.Parameters(); got != want {
			t.Errorf("%s: %d of %d parameters are trained", name, got, want)
		}
	}
}

func TestOutlineRefusesWhatLoadDoes(t *testing.T) {
	_, err := model.NewOutline(tinyConfig(true), compute.Q8_0)
	fails(t, err, "embed_tokens", "not whole blocks")
	_, err = model.NewOutline(model.Config{}, compute.F32)
	fails(t, err, "outline of a model")
	_, err = model.LoadOutline(t.TempDir())
	fails(t, err, "config.json")
	dir := copyDir(t, filepath.Join("testdata", "golden", "llama-gqa"))
	editJSON(t, filepath.Join(dir, "config.json"), map[string]any{"tie_word_embeddings": false, "num_hidden_layers": 9})
	_, err = model.LoadOutline(dir)
	fails(t, err, "is missing")
	_, err = model.LoadGGUFOutline(filepath.Join(dir, "model.safetensors"))
	fails(t, err, "model.safetensors")
}

// An array of a frozen model is trained itself once it is unfrozen: no copy.
func TestUnfreezeKeepsArrays(t *testing.T) {
	m := tiny(t, true)
	before := m.Embed.Weight.Array()
	if err := m.Unfreeze(); err != nil {
		t.Fatal(err)
	}
	if m.Embed.Weight.Array() != before || m.Embed.Param.Value != before {
		t.Error("the array was copied")
	}
}

func TestReleasedWeightsAreReadAgain(t *testing.T) {
	m, err := model.Load(cpu.New(1), filepath.Join("testdata", "golden", "llama-gqa"))
	if err != nil {
		t.Fatal(err)
	}
	want := rowLogits(t, m, []int32{1, 2, 3})
	m.Release()
	for i, v := range rowLogits(t, m, []int32{1, 2, 3}) {
		if v != want[i] {
			t.Fatalf("logit %d is %v, was %v", i, v, want[i])
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m.Release() // of nothing
}
