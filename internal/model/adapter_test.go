package model_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/safetensors"
)

const (
	adapterConfigFile  = "adapter_config.json"
	adapterWeightsFile = "adapter_model.safetensors"
)

// What PEFT makes of rsLoRA, and of rank and alpha patterns with an excluded module.
func TestGoldenAdapterVariants(t *testing.T) {
	for _, name := range []string{"rslora", "patterns", "dora"} {
		t.Run(name, func(t *testing.T) {
			dir := shared(t, "golden", "peft", name)
			base, err := os.ReadFile(filepath.Join(dir, "base"))
			if err != nil {
				t.Fatal(err)
			}
			f, err := safetensors.Open(filepath.Join(dir, "golden.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			g, baseName := golden{t, f}, strings.TrimSpace(string(base))
			ids := openGolden(t, baseName).ints("input_ids")
			m := load(t, baseName)
			if err := m.LoadAdapter(filepath.Join(dir, "adapter")); err != nil {
				t.Fatal(err)
			}
			near(t, "logits", logitsOf(t, m, ids), g.floats("lora_logits"))
			testGoldenGradients(t, m, g, openGolden(t, baseName))

			// Written and read again, by the names and sizes that the file gives.
			saved := t.TempDir()
			if err := m.SaveAdapter(saved, "base"); err != nil {
				t.Fatal(err)
			}
			again := load(t, baseName)
			if err := again.LoadAdapter(saved); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(logitsOf(t, again, ids), logitsOf(t, m, ids)) {
				t.Error("the saved adapter gives other logits")
			}
			m.Merge()
			near(t, "logits after merging", logitsOf(t, m, ids), g.floats("merged_logits"))
		})
	}
}

func testGoldenGradients(t *testing.T, m *model.Model, g, base golden) {
	t.Helper()
	in := goldenInputs(base)
	graph, err := m.Graph(80, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := graph.Run(in)
	if err != nil {
		t.Fatal(err)
	}
	n := float64(len(in.Rows))
	nearNumber(t, "mean loss", sum/n, float64(g.floats("lora_loss_mean")[0]), 1e-5)
	for _, p := range m.Params() {
		grad := slices.Clone(m.Device().Host(compute.Of(p.Grad)))
		for i := range grad {
			grad[i] /= float32(n)
		}
		nearNorm(t, "gradient of "+p.Name, grad, g.floats("lora_grad."+p.Name), 1e-3)
	}
}

func TestSaveAdapterKeepsPatterns(t *testing.T) {
	dir := copyDir(t, filepath.Join(goldenDir("llama-gqa"), "adapter"))
	editJSON(t, filepath.Join(dir, adapterConfigFile), fields{
		"rank_pattern": fields{"layers.1.mlp.up_proj": 7, "v_proj": 2}, "alpha_pattern": fields{"up_proj": 3},
		"target_modules": []string{"up_proj", "v_proj", "q_proj"}, "lora_dropout": 0.25,
	})
	editTensors(t, filepath.Join(dir, adapterWeightsFile), func(list []safetensors.Tensor) []safetensors.Tensor {
		var kept []safetensors.Tensor
		for _, x := range list {
			r := 4
			switch {
			case contains(x.Name, "v_proj"):
				r = 2
			case contains(x.Name, "layers.1.mlp.up_proj"):
				r = 7
			case !contains(x.Name, "up_proj") && !contains(x.Name, "q_proj"):
				continue
			}
			i := slices.Index(x.Shape, 4)
			x.Shape[i] = r
			x.Data = slices.Repeat(x.Data, 2)[:4*x.Shape[0]*x.Shape[1]]
			kept = append(kept, x)
		}
		return kept
	})
	m := load(t, "llama-gqa")
	if err := m.LoadAdapter(dir); err != nil {
		t.Fatal(err)
	}
	saved := t.TempDir()
	if err := m.SaveAdapter(saved, "some/base"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(saved, adapterConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Rank    map[string]int     `json:"rank_pattern"`
		Alpha   map[string]float64 `json:"alpha_pattern"`
		Targets []string           `json:"target_modules"`
		R       int                `json:"r"`
		Dropout float64            `json:"lora_dropout"`
		Base    string             `json:"base_model_name_or_path"`
		Dora    *bool              `json:"use_dora"`
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Rank) != 2 || got.Rank["layers.1.mlp.up_proj"] != 7 || got.Rank["v_proj"] != 2 {
		t.Errorf("rank_pattern %v", got.Rank)
	}
	if len(got.Alpha) != 1 || got.Alpha["up_proj"] != 3 {
		t.Errorf("alpha_pattern %v", got.Alpha)
	}
	if got.R != 4 || got.Dropout != 0.25 || got.Base != "some/base" || got.Dora == nil || *got.Dora ||
		!slices.Equal(got.Targets, []string{"q_proj", "up_proj", "v_proj"}) {
		t.Errorf("%s", data)
	}
	again := load(t, "llama-gqa")
	if err := again.LoadAdapter(saved); err != nil {
		t.Fatal(err)
	}
	ids := []int32{5, 6, 7}
	if !slices.Equal(rowLogits(t, again, ids), rowLogits(t, m, ids)) {
		t.Error("the saved adapter gives other logits")
	}
}

func TestAdapterTargets(t *testing.T) {
	g := openGolden(t, "llama-gqa")
	for _, c := range []struct {
		name   string
		fields fields
	}{
		{"all-linear", fields{"target_modules": "all-linear"}},
		{"pattern", fields{"target_modules": `.*\.(self_attn|mlp)\.[a-z]+_proj`}},
		{"paths", fields{"target_modules": []string{"self_attn.q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}}},
		{"excluding what is not there", fields{"target_modules": "all-linear", "exclude_modules": []string{"lm_head"}}},
		{"excluding by pattern", fields{"target_modules": "all-linear", "exclude_modules": `lm_.*`}},
		{"fields of newer versions", fields{"peft_version": "0.18.0", "alora_invocation_tokens": null, "arrow_config": null, "ensure_weight_tying": false, "qalora_group_size": 16}},
		{"few fields", fields{"bias": nil, "alpha_pattern": nil, "rank_pattern": nil, "init_lora_weights": nil, "modules_to_save": nil, "use_dora": nil}},
		{"gaussian", fields{"init_lora_weights": "gaussian"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyDir(t, filepath.Join(goldenDir("llama-gqa"), "adapter"))
			editJSON(t, filepath.Join(dir, adapterConfigFile), c.fields)
			m := load(t, "llama-gqa")
			if err := m.LoadAdapter(dir); err != nil {
				t.Fatal(err)
			}
			near(t, "logits", logitsOf(t, m, g.ints("input_ids")), g.floats("lora_logits"))
		})
	}
}

func TestLoadAdapterRefuses(t *testing.T) {
	config := func(f fields) func(*testing.T, string) {
		return func(t *testing.T, dir string) { editJSON(t, filepath.Join(dir, adapterConfigFile), f) }
	}
	tensors := func(edit func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			editTensors(t, filepath.Join(dir, adapterWeightsFile), func(list []safetensors.Tensor) []safetensors.Tensor { return edit(t, list) })
		}
	}
	const a = "base_model.model.model.layers.1.mlp.up_proj.lora_A.weight"
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   []string
	}{
		{"kind", config(fields{"peft_type": "IA3"}), []string{`peft_type "IA3"`}},
		{"no kind", config(fields{"peft_type": nil}), []string{`peft_type ""`}},
		{"bias", config(fields{"bias": "some"}), []string{`bias "some"`}},
		{"fan_in_fan_out", config(fields{"fan_in_fan_out": true}), []string{"fan_in_fan_out"}},
		{"dora without magnitudes", config(fields{"use_dora": true}), []string{"q_proj.lora_magnitude_vector is missing"}},
		{"no biases of updates", config(fields{"lora_bias": true}), []string{"q_proj.lora_B.bias is missing"}},
		{"biases and magnitudes", config(fields{"lora_bias": true, "use_dora": true}), []string{"lora_bias", "use_dora"}},
		{"biases and orthogonal", config(fields{"lora_bias": true, "init_lora_weights": "orthogonal"}), []string{"lora_bias", "orthogonal"}},
		{"saved target", config(fields{"modules_to_save": []string{"_proj"}}), []string{"self_attn.q_proj is trained whole"}},
		{"qalora", config(fields{"use_qalora": true}), []string{"use_qalora"}},
		{"nothing saved", config(fields{"modules_to_save": []string{"lm_head"}}), []string{"base_model.model.lm_head.weight is missing"}},
		{"fewer layers", config(fields{"layers_to_transform": []int{0, 2}}), []string{"layers.1.mlp.down_proj.lora_A.weight belongs to no target"}},
		{"one layer", config(fields{"layers_to_transform": 0}), []string{"layers.1.mlp.down_proj.lora_A.weight belongs to no target"}},
		{"layers of a pattern", config(fields{"layers_to_transform": 0, "target_modules": ".*_proj"}), []string{"layers_to_transform: it works with names"}},
		{"pattern of no layers", config(fields{"layers_pattern": "layers"}), []string{"layers_pattern: it needs layers_to_transform"}},
		{"trainable tokens", config(fields{"trainable_token_indices": []int{3}}), []string{"trainable_token_indices"}},
		{"target_parameters", config(fields{"target_parameters": []string{"x"}}), []string{"target_parameters"}},
		{"layer_replication", config(fields{"layer_replication": [][]int{{0, 4}}}), []string{"layer_replication"}},
		{"activated", config(fields{"alora_invocation_tokens": []int{1}}), []string{"alora_invocation_tokens"}},
		{"changed base", config(fields{"init_lora_weights": "pissa_niter_4"}), []string{"pissa_niter_4"}},
		{"several", config(fields{"use_qalora": true, "bias": "half"}), []string{"use_qalora is", `bias "half"`}},
		{"rank", config(fields{"r": 0}), []string{"r is 0"}},
		{"another rank", config(fields{"r": 5}), []string{"lora_A.weight", "shape [4 64], want [5 64]"}},
		{"huge rank", config(fields{"r": 1 << 60}), []string{"shape [4 64]"}},
		{"rank in a pattern", config(fields{"rank_pattern": fields{"up_proj": -1}}), []string{"up_proj is -1"}},
		{"the first of two patterns", config(fields{"rank_pattern": fields{"up_proj": 4, "mlp.up_proj": 5}}), []string{"up_proj.lora_A.weight has shape [4 64], want [5 64]"}},
		{"pattern that is none", config(fields{"alpha_pattern": fields{"(": 4}}), []string{"alpha_pattern"}},
		{"dropout", config(fields{"lora_dropout": 1.5}), []string{"lora_dropout is 1.5"}},
		{"no targets", config(fields{"target_modules": null}), []string{"target_modules"}},
		{"empty targets", config(fields{"target_modules": []string{}}), []string{"target_modules []"}},
		{"unknown targets", config(fields{"target_modules": []string{"c_attn"}}), []string{"c_attn", "no such linear layer"}},
		{"fewer targets", config(fields{"target_modules": []string{"q_proj"}}), []string{"belongs to no target"}},
		{"pattern without match", config(fields{"target_modules": "q_proj"}), []string{`"q_proj"`, "no such linear layer"}},
		{"pattern that does not compile", config(fields{"target_modules": "(?!x)"}), []string{"target_modules"}},
		{"everything excluded", config(fields{"exclude_modules": ".*"}), []string{"target_modules"}},
		{"excluded but stored", config(fields{"exclude_modules": []string{"k_proj"}}), []string{"k_proj", "belongs to no target"}},
		{"wrong type", config(fields{"r": "four"}), []string{adapterConfigFile, "r"}},
		{"no config", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, adapterConfigFile)) }, []string{adapterConfigFile}},
		{"no weights", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, adapterWeightsFile)) }, []string{adapterWeightsFile}},
		{"truncated", func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, adapterWeightsFile), 20000) }, []string{adapterWeightsFile}},
		{"missing tensor", tensors(func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			return slices.DeleteFunc(list, func(x safetensors.Tensor) bool { return x.Name == a })
		}), []string{a, "missing"}},
		{"extra tensor", tensors(func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			return append(list, safetensors.Tensor{Name: "base_model.model.lm_head.lora_A.weight", Dtype: safetensors.F32, Shape: []int{1}, Data: make([]byte, 4)})
		}), []string{"lm_head", "belongs to no target"}},
		{"wrong shape", tensors(func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			slices.Reverse(find(t, list, a).Shape)
			return list
		}), []string{a, "[64 4]", "want [4 64]"}},
		{"wrong type of a tensor", tensors(func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			find(t, list, a).Dtype = safetensors.I32
			return list
		}), []string{a, "I32"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyDir(t, filepath.Join(goldenDir("llama-gqa"), "adapter"))
			c.damage(t, dir)
			m := load(t, "llama-gqa")
			fails(t, m.LoadAdapter(dir), append(c.want, "read adapter "+dir)...)
			if m.LoRA != nil || len(m.Params()) != 0 {
				t.Error("the model was changed")
			}
			if err := m.LoadAdapter(filepath.Join(goldenDir("llama-gqa"), "adapter")); err != nil {
				t.Errorf("a good adapter afterwards: %v", err)
			}
		})
	}
	m := load(t, "qwen2-bias")
	if err := m.LoadAdapter(filepath.Join(goldenDir("qwen2-bias"), "adapter")); err != nil {
		t.Fatal(err)
	}
	fails(t, m.LoadAdapter(filepath.Join(goldenDir("qwen2-bias"), "adapter")), "has low-rank updates already")
}

func TestHalfPrecisionAdapter(t *testing.T) {
	dir := copyDir(t, filepath.Join(goldenDir("llama-gqa"), "adapter"))
	editTensors(t, filepath.Join(dir, adapterWeightsFile), func(list []safetensors.Tensor) []safetensors.Tensor {
		for i := range list {
			list[i] = asHalf(list[i], safetensors.BF16, compute.F32ToBF16)
		}
		return list
	})
	m, err := model.Load(cpu.New(1), goldenDir("llama-gqa"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.LoadAdapter(dir); err != nil {
		t.Fatal(err)
	}
	g := openGolden(t, "llama-gqa")
	nearNorm(t, "logits", logitsOf(t, m, g.ints("input_ids")), g.floats("lora_logits"), 2e-2)
}

func TestSaveAdapterRefuses(t *testing.T) {
	fails(t, tiny(t, true).SaveAdapter(t.TempDir(), "x"), "no low-rank updates")
	m := tiny(t, true)
	addNonzeroLoRA(t, m, model.LoRA{R: 1})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, m.SaveAdapter(filepath.Join(file, "adapter"), "x"), "save adapter", file)
}
