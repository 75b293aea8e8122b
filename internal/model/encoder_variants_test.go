package model_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/gradcheck"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
)

var classifierVariants = map[string]model.LoRA{
	"dora":                          {R: 2, DoRA: true},
	"dora and all biases":           {R: 2, DoRA: true, Bias: "all"},
	"biases of updates":             {R: 2, LoRABias: true},
	"biases of layers with updates": {R: 2, TargetPattern: ".*(query|q_lin)", LoRABias: true, Bias: "lora_only"},
}

// Every variant of every family is written, read and merged as the same
// numbers, and has the gradients of its loss.
func TestClassifierVariants(t *testing.T) {
	for family, config := range tinyEncoders() {
		for name, o := range classifierVariants {
			t.Run(family+", "+name, func(t *testing.T) {
				made := func() *model.Classifier {
					m, err := model.NewClassifier(cpu.New(2), config, random.Stream(3, "weights"))
					if err != nil {
						t.Fatal(err)
					}
					return m
				}
				m, again := made(), made()
				texts := sampleTexts(config)
				plain := logitsOfTexts(t, m, texts)
				rng := random.Stream(5, "updates")
				if err := m.AddLoRA(o, rng); err != nil {
					t.Fatal(err)
				}
				for _, p := range m.Params() {
					values := m.Device().Host(compute.Of(p.Value))
					for i := range values {
						values[i] += float32(rng.NormFloat64() / 4)
					}
				}
				checkVectorGradients(t, m, texts)
				want := logitsOfTexts(t, m, texts)
				dir := t.TempDir()
				if err := m.SaveAdapter(dir, ""); err != nil {
					t.Fatal(err)
				}
				if err := again.LoadAdapter(dir); err != nil {
					t.Fatal(err)
				}
				if got := logitsOfTexts(t, again, texts); !slices.Equal(got, want) || slices.Equal(got, plain) {
					t.Error("the saved adapter gives other logits")
				}
				if m.Bytes() != again.Bytes() || m.Trainable() != again.Trainable() {
					t.Errorf("%d bytes and %d trainable values, after loading %d and %d", m.Bytes(), m.Trainable(), again.Bytes(), again.Trainable())
				}
				again.Merge()
				near(t, "logits after merging", logitsOfTexts(t, again, texts), want)
			})
		}
	}
}

// checkVectorGradients compares those of magnitudes and biases with finite
// differences of the float32 loss, which are good to about 1e-3. Of each kind
// of vector that the updates have, some must be well above that.
func checkVectorGradients(t *testing.T, m *model.Classifier, texts []model.Text) {
	t.Helper()
	labels := []int32{0, 1, 2}
	runLabelled(t, m, true, texts, labels)
	loss := func() float64 { return float64(len(labels)) * runLabelled(t, m, false, texts, labels) }
	kinds := map[string]float64{"lora_magnitude_vector.weight": 0, "lora_B.bias": 0, "base_layer.bias": 0}
	for _, p := range m.Params() {
		if len(p.Value.Shape()) > 1 {
			continue
		}
		values, grad := m.Device().Host(compute.Of(p.Value)), m.Device().Host(compute.Of(p.Grad))
		for i, want := range gradcheck.Numeric(loss, values[:1], 1.0/256) {
			if got := float64(grad[i]); !(math.Abs(got-want) <= 1e-3+3e-2*math.Abs(want)) {
				t.Errorf("gradient of %s, value %d: %v, want %v", p.Name, i, got, want)
			}
			for kind, largest := range kinds {
				if strings.HasSuffix(p.Name, "."+kind) {
					kinds[kind] = max(largest, math.Abs(want))
				}
			}
		}
	}
	for kind, want := range map[string]bool{"lora_magnitude_vector.weight": m.LoRA.DoRA, "lora_B.bias": m.LoRA.LoRABias, "base_layer.bias": m.LoRA.Bias != ""} {
		if (kinds[kind] > 2e-3) != want {
			t.Errorf("largest gradient of a %s is %v, there are some: %v", kind, kinds[kind], want)
		}
	}
}
