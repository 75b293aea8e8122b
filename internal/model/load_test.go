package model_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/safetensors"
)

const weightsFile = "model.safetensors"

func TestLoadRefusesDamagedDirectories(t *testing.T) {
	change := func(edit func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			editTensors(t, filepath.Join(dir, weightsFile), func(list []safetensors.Tensor) []safetensors.Tensor { return edit(t, list) })
		}
	}
	config := func(f fields) func(*testing.T, string) {
		return func(t *testing.T, dir string) { editJSON(t, filepath.Join(dir, "config.json"), f) }
	}
	const query = "model.layers.1.self_attn.q_proj.weight"
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   []string
	}{
		{"no config", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "config.json")) }, []string{"config.json"}},
		{"config that is no JSON", func(t *testing.T, dir string) {
			os.WriteFile(filepath.Join(dir, "config.json"), []byte("{,"), 0o600)
		}, []string{"config.json"}},
		{"no weights", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, weightsFile)) }, []string{weightsFile}},
		{"truncated", func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, weightsFile), 300000) }, []string{weightsFile}},
		{"truncated in the header", func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, weightsFile), 30) }, []string{weightsFile}},
		{"empty", func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, weightsFile), 0) }, []string{weightsFile}},
		{"another shape", change(func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			x := find(t, list, query)
			x.Shape = []int{x.Shape[0] / 2, x.Shape[1] * 2}
			return list
		}), []string{query, "[32 128]", "[64 64]"}},
		{"another rank", change(func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			find(t, list, "model.norm.weight").Shape = []int{1, 64}
			return list
		}), []string{"model.norm.weight", "[1 64]"}},
		{"missing", change(func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			return slices.DeleteFunc(list, func(x safetensors.Tensor) bool { return x.Name == query })
		}), []string{query, "missing"}},
		{"extra", change(func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			return append(list, safetensors.Tensor{Name: "model.layers.1.self_attn.q_norm.weight", Dtype: safetensors.F32, Shape: []int{1}, Data: make([]byte, 4)})
		}), []string{"q_norm.weight is not part"}},
		{"bias that the config does not have", change(func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			return append(list, safetensors.Tensor{Name: "model.layers.0.mlp.up_proj.bias", Dtype: safetensors.F32, Shape: []int{176}, Data: make([]byte, 4*176)})
		}), []string{"up_proj.bias is not part"}},
		{"integers for a matrix", change(func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			x := find(t, list, query)
			x.Dtype, x.Data = safetensors.I64, make([]byte, 2*len(x.Data))
			return list
		}), []string{query, "I64", "F32, F16, BF16 and F64"}},
		{"integers for a gain", change(func(t *testing.T, list []safetensors.Tensor) []safetensors.Tensor {
			find(t, list, "model.norm.weight").Dtype = safetensors.I32
			return list
		}), []string{"model.norm.weight", "I32"}},
		{"fewer layers", config(fields{"num_hidden_layers": 2}), []string{"model.layers.2."}},
		{"more layers", config(fields{"num_hidden_layers": 4}), []string{"model.layers.3.", "missing"}},
		{"more layers than tensors", config(fields{"num_hidden_layers": 1 << 24}), []string{"num_hidden_layers is 16777216"}},
		{"another vocabulary", config(fields{"vocab_size": 306}), []string{"model.embed_tokens.weight", "[307 64]", "[306 64]"}},
		{"a huge vocabulary", config(fields{"vocab_size": 1 << 24}), []string{"model.embed_tokens.weight", "16777216"}},
		{"another architecture", config(fields{"model_type": "qwen2"}), []string{"q_proj.bias"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyDir(t, goldenDir("llama-gqa"))
			c.damage(t, dir)
			m, err := model.Load(cpu.New(1), dir)
			if err == nil {
				m.Close()
			}
			fails(t, err, append(c.want, dir)...)
		})
	}
}

func TestLoadOtherFiles(t *testing.T) {
	g := openGolden(t, "llama-gqa")
	convert := func(dtype safetensors.Dtype, to func(float32) uint16) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			editTensors(t, filepath.Join(dir, weightsFile), func(list []safetensors.Tensor) []safetensors.Tensor {
				for i := range list {
					list[i] = asHalf(list[i], dtype, to)
				}
				return list
			})
		}
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string)
		tol    float64 // of the norm of the logits
	}{
		{"sharded", func(t *testing.T, dir string) {
			list := tensorsOf(t, filepath.Join(dir, weightsFile))
			os.Remove(filepath.Join(dir, weightsFile))
			if err := safetensors.WriteModel(dir, list, 100_000); err != nil {
				t.Fatal(err)
			}
		}, 1e-6},
		{"F16", convert(safetensors.F16, compute.F32ToF16), 2e-3},
		{"BF16", convert(safetensors.BF16, compute.F32ToBF16), 2e-2},
		{"frequencies of old files", func(t *testing.T, dir string) {
			editTensors(t, filepath.Join(dir, weightsFile), func(list []safetensors.Tensor) []safetensors.Tensor {
				return append(list, safetensors.Tensor{Name: "model.layers.0.self_attn.rotary_emb.inv_freq", Dtype: safetensors.F32, Shape: []int{8}, Data: make([]byte, 32)})
			})
		}, 1e-6},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyDir(t, goldenDir("llama-gqa"))
			c.change(t, dir)
			m, err := model.Load(cpu.New(2), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			nearNorm(t, "logits", logitsOf(t, m, g.ints("input_ids")), g.floats("logits"), c.tol)

			out := t.TempDir()
			if err := m.Save(out); err != nil {
				t.Fatal(err)
			}
			again, err := model.Load(cpu.New(2), out)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if got := again.Embed.Weight.Format; got != m.Embed.Weight.Format {
				t.Errorf("saved as %s, want %s", got, m.Embed.Weight.Format)
			}
			if !slices.Equal(logitsOf(t, again, g.ints("input_ids")), logitsOf(t, m, g.ints("input_ids"))) {
				t.Error("saving changed the logits")
			}
		})
	}
}

// A tied model's file may hold the head as well.
func TestLoadOfATiedHeadThatIsStored(t *testing.T) {
	dir := copyDir(t, goldenDir("llama-tied-mha"))
	editTensors(t, filepath.Join(dir, weightsFile), func(list []safetensors.Tensor) []safetensors.Tensor {
		head := *find(t, list, "model.embed_tokens.weight")
		head.Name = "lm_head.weight"
		return append(list, head)
	})
	m, err := model.Load(cpu.New(2), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	g := openGolden(t, "llama-tied-mha")
	near(t, "logits", logitsOf(t, m, g.ints("input_ids")), g.floats("logits"))
}

func TestSaveOfNewModels(t *testing.T) {
	tokens := []int32{3, 1, 4, 1, 5}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, m *model.Model)
	}{
		{"random", func(*testing.T, *model.Model) {}},
		{"trained", func(t *testing.T, m *model.Model) {
			if err := m.Unfreeze(); err != nil {
				t.Fatal(err)
			}
			for _, p := range m.Params() {
				m.Device().Host(compute.Of(p.Value))[0] += 0.5
			}
		}},
		{"merged", func(t *testing.T, m *model.Model) {
			addNonzeroLoRA(t, m, model.LoRA{R: 2})
			m.Merge()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, tied := range []bool{true, false} {
				m := tiny(t, tied)
				c.change(t, m)
				dir := t.TempDir()
				if err := m.Save(dir); err != nil {
					t.Fatal(err)
				}
				again, err := model.Load(cpu.New(2), dir)
				if err != nil {
					t.Fatal(err)
				}
				defer again.Close()
				if !slices.Equal(rowLogits(t, again, tokens), rowLogits(t, m, tokens)) {
					t.Error("the saved model has other logits")
				}
			}
		})
	}
	m := tiny(t, true)
	if err := m.AddLoRA(model.LoRA{}, random.Stream(1, "lora")); err != nil {
		t.Fatal(err)
	}
	fails(t, m.Save(t.TempDir()), "low-rank updates that are not merged")
	dir := t.TempDir()
	m.Merge()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	fails(t, m.Save(dir), dir, weightsFile)
}

// Readers convert every weight to config.json's type: it must hold them all.
func TestSaveNamesATypeThatHoldsAllWeights(t *testing.T) {
	dir := copyDir(t, goldenDir("llama-tied-mha"))
	editTensors(t, filepath.Join(dir, weightsFile), func(list []safetensors.Tensor) []safetensors.Tensor {
		for i := range list {
			list[i] = asHalf(list[i], safetensors.BF16, compute.F32ToBF16)
		}
		return list
	})
	m, err := model.Load(cpu.New(1), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	saved := func() string {
		out := t.TempDir()
		if err := m.Save(out); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(out, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if config := saved(); !contains(config, `"torch_dtype": "bfloat16"`) {
		t.Error(config)
	}
	addNonzeroLoRA(t, m, model.LoRA{R: 2, Targets: []string{"v_proj"}})
	m.Merge()
	if config := saved(); !contains(config, `"torch_dtype": "float32"`) {
		t.Error(config)
	}
}

func TestParametersCountTheFile(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			m, want := load(t, name), 0
			for _, x := range tensorsOf(t, filepath.Join(goldenDir(name), weightsFile)) {
				want += len(x.Data) / 4
			}
			if got := m.Parameters(); got != want {
				t.Errorf("%d parameters, the file has %d values", got, want)
			}
			addNonzeroLoRA(t, m, model.LoRA{Targets: []string{"all-linear"}})
			if got := m.Parameters(); got != want {
				t.Errorf("%d parameters with low-rank updates, want %d", got, want)
			}
		})
	}
}

func TestNewIsCentred(t *testing.T) {
	m := tiny(t, true)
	values := m.Embed.Weight.Floats()
	sum, squares := 0.0, 0.0
	for _, v := range values {
		sum, squares = sum+float64(v), squares+float64(v*v)
	}
	n := float64(len(values))
	if mean, deviation := sum/n, math.Sqrt(squares/n); !(math.Abs(mean) < 0.12 && math.Abs(deviation-0.4) < 0.1) {
		t.Errorf("mean %v and standard deviation %v, want 0 and 0.4", mean, deviation)
	}
	for _, l := range m.Layers {
		if g := l.MLPNorm.Values.Float32s(); slices.Min(g) != 1 || slices.Max(g) != 1 {
			t.Errorf("gain %v, want ones", g)
		}
		if b := l.QKV.Parts[1].Bias.Float32s(); slices.Min(b) != 0 || slices.Max(b) != 0 {
			t.Errorf("bias %v, want zeros", b)
		}
	}
}
