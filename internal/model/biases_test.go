package model_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/gradcheck"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/safetensors"
)

// biased is a small model that has every bias that a decoder can have, of
// random values.
func biased(t *testing.T) *model.Model {
	t.Helper()
	c := tinyConfig(false)
	c.ModelType, c.OutputBias, c.MLPBias = "llama", true, true
	m, err := model.New(cpu.New(2), c, random.Stream(7, "tiny"))
	if err != nil {
		t.Fatal(err)
	}
	rng := random.Stream(8, "biases")
	for _, p := range m.Linears() {
		for i := range m.Device().Host(compute.Of(p.Bias)) {
			m.Device().Host(compute.Of(p.Bias))[i] = float32(rng.NormFloat64() / 4)
		}
	}
	return m
}

const firstLayer = "base_model.model.model.layers.0."

var biasVariants = []struct {
	name    string
	o       model.LoRA
	trained []string // some of the biases that are trained
	not     []string
}{
	{"of updates", model.LoRA{R: 2, Targets: []string{"q_proj", "down_proj"}, LoRABias: true},
		[]string{"self_attn.q_proj.lora_B.bias"}, []string{"self_attn.q_proj.base_layer.bias", "self_attn.k_proj.bias"}},
	{"of layers with updates", model.LoRA{R: 2, Targets: []string{"q_proj", "down_proj"}, Bias: "lora_only"},
		[]string{"self_attn.q_proj.base_layer.bias", "mlp.down_proj.base_layer.bias"}, []string{"self_attn.q_proj.lora_B.bias", "self_attn.k_proj.bias"}},
	{"all", model.LoRA{R: 2, Targets: []string{"q_proj"}, Bias: "all", LoRABias: true, ModulesToSave: []string{"o_proj"}},
		[]string{"self_attn.q_proj.base_layer.bias", "self_attn.q_proj.lora_B.bias", "self_attn.k_proj.bias", "self_attn.o_proj.modules_to_save.bias"},
		[]string{"self_attn.o_proj.bias"}},
	{"all, with magnitudes", model.LoRA{R: 2, Targets: []string{"q_proj"}, Bias: "all", DoRA: true}, []string{"self_attn.q_proj.base_layer.bias"}, nil},
}

// Biases are trained, written, read and merged under PEFT's names.
func TestBiases(t *testing.T) {
	in := pack(9, []int32{1, 2, 3, 2, 5}, []int32{6, 2, 10})
	for _, v := range biasVariants {
		t.Run(v.name, func(t *testing.T) {
			m, again := biased(t), biased(t)
			plain := rowLogits(t, m, variantTokens)
			addNonzeroLoRA(t, m, v.o)
			var names []string
			for _, p := range m.Params() {
				names = append(names, p.Name)
			}
			for _, name := range v.trained {
				if !slices.Contains(names, firstLayer+name) {
					t.Errorf("%s is not trained", name)
				}
			}
			for _, name := range v.not {
				if slices.Contains(names, firstLayer+name) {
					t.Errorf("%s is trained", name)
				}
			}
			_, grads := lossAndGradients(t, m, 9, in)
			g, err := m.Graph(9, false, 0)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range m.Params() {
				if strings.HasSuffix(p.Name, "bias") {
					checkGradient(t, m, g, in, p, grads[i])
				}
			}
			want := rowLogits(t, m, variantTokens)
			dir := t.TempDir()
			if err := m.SaveAdapter(dir, "base"); err != nil {
				t.Fatal(err)
			}
			if err := again.LoadAdapter(dir); err != nil {
				t.Fatal(err)
			}
			if got := rowLogits(t, again, variantTokens); slices.Equal(want, plain) || !slices.Equal(got, want) {
				t.Error("the saved adapter gives other logits")
			}
			if err := again.Merge(); err != nil {
				t.Fatal(err)
			}
			near(t, "logits after merging", rowLogits(t, again, variantTokens), want)
		})
	}
}

func checkGradient(t *testing.T, m *model.Model, g *autodiff.Graph, in autodiff.Inputs, p *autodiff.Param, grad []float32) {
	t.Helper()
	loss := func() float64 {
		sum, err := g.Run(in)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	values := m.Device().Host(compute.Of(p.Value))
	n := min(len(values), 6)
	want := gradcheck.Numeric(loss, values[:n], 1.0/256)
	if err := gradcheck.Compare(grad[:n], want, within(1e-2, want)); err != nil {
		t.Errorf("gradient of %s: %v", p.Name, err)
	}
}

// A bias of an update cannot be merged into a layer without one, and nothing
// has changed then.
func TestBiasThatCannotBeMerged(t *testing.T) {
	m := tiny(t, true)
	addNonzeroLoRA(t, m, model.LoRA{R: 2, Targets: []string{"q_proj", "o_proj"}, LoRABias: true})
	want := rowLogits(t, m, variantTokens)
	fails(t, m.Merge(), "lora_bias", "model.layers.0.self_attn.o_proj has no bias")
	if m.LoRA == nil || !slices.Equal(rowLogits(t, m, variantTokens), want) {
		t.Error("the model was changed")
	}
	_, _, err := m.GGUFUpdates()
	fails(t, err, "lora_bias")
}

// Older versions of PEFT did not wrap layers, newer ones store no biases with
// lora_only, and names for what is saved whole with all.
func TestBiasesOfOtherVersions(t *testing.T) {
	biases := func(t *testing.T, o model.LoRA, edit func([]safetensors.Tensor) []safetensors.Tensor) (want, got, base []float32, err error) {
		m, again := biased(t), biased(t)
		base = rowLogits(t, m, variantTokens)
		addNonzeroLoRA(t, m, o)
		dir := t.TempDir()
		if err := m.SaveAdapter(dir, ""); err != nil {
			t.Fatal(err)
		}
		editTensors(t, filepath.Join(dir, adapterWeightsFile), edit)
		err = again.LoadAdapter(dir)
		return rowLogits(t, m, variantTokens), rowLogits(t, again, variantTokens), base, err
	}
	only := model.LoRA{R: 2, Targets: []string{"q_proj"}, Bias: "lora_only"}
	want, got, _, err := biases(t, only, func(list []safetensors.Tensor) []safetensors.Tensor {
		for i := range list {
			list[i].Name = strings.Replace(list[i].Name, ".base_layer.bias", ".bias", 1)
		}
		return list
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("biases by their older names: error %v, same logits %v", err, slices.Equal(got, want))
	}
	without := func(list []safetensors.Tensor) []safetensors.Tensor {
		return slices.DeleteFunc(list, func(x safetensors.Tensor) bool { return strings.HasSuffix(x.Name, ".base_layer.bias") })
	}
	if want, got, base, err := biases(t, only, without); err != nil || slices.Equal(got, want) || slices.Equal(got, base) {
		t.Errorf("without biases: error %v", err)
	}
	all := model.LoRA{R: 2, Targets: []string{"q_proj"}, Bias: "all", ModulesToSave: []string{"o_proj"}}
	_, _, _, err = biases(t, all, without)
	fails(t, err, firstLayer+"self_attn.q_proj.base_layer.bias is missing")
	want, got, _, err = biases(t, all, func(list []safetensors.Tensor) []safetensors.Tensor {
		for _, x := range list {
			if name, ok := strings.CutSuffix(x.Name, ".o_proj.bias"); ok {
				list = append(list, safetensors.Tensor{Name: name + ".o_proj.original_module.bias", Dtype: x.Dtype, Shape: x.Shape, Data: x.Data})
			}
		}
		return list
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("with biases of saved modules: error %v, same logits %v", err, slices.Equal(got, want))
	}
}
