package quantize_test

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/quantize"
)

// loraOf adds random updates to a golden model.
func loraOf(t *testing.T, name string, o model.LoRA) *model.Model {
	t.Helper()
	m, rng := loadGolden(t, name), random.Stream(3, "adapter")
	if err := m.AddLoRA(o, rng); err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		values := m.Device().Host(compute.Of(p.Value))
		for i := range values {
			values[i] = float32(rng.NormFloat64() / 4)
		}
	}
	return m
}

// What llama.cpp adds to a matrix of the base's file is what merging adds to
// that matrix, in the same order of rows.
func TestAdapterIsTheMergedDifference(t *testing.T) {
	for _, c := range []struct {
		name, base string
		o          model.LoRA
	}{
		{"llama", "llama-gqa", model.LoRA{R: 3}},
		{"tables", "llama-gqa", model.LoRA{R: 3, Targets: []string{"embed_tokens", "lm_head", "k_proj"}}},
		{"rslora", "qwen2-bias", model.LoRA{R: 3, RSLoRA: true}},
		{"patterns", "llama-tied-mha", model.LoRA{R: 3, RSLoRA: true, RankPattern: map[string]int{"v_proj": 5}, AlphaPattern: map[string]float64{"q_proj": 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := loraOf(t, c.base, c.o)
			path := filepath.Join(t.TempDir(), "adapter.gguf")
			if err := quantize.WriteAdapter(path, m, compute.F32); err != nil {
				t.Fatal(err)
			}
			a := openAdapter(t, path)
			before, err := loadGolden(t, c.base).GGUFTensors()
			if err != nil {
				t.Fatal(err)
			}
			m.Merge()
			after, err := m.GGUFTensors()
			if err != nil {
				t.Fatal(err)
			}
			compared := 0
			for i, g := range after {
				if g.Matrix == nil {
					continue
				}
				old, row := make([]float32, g.Matrix.In), make([]float32, g.Matrix.In)
				for j := range g.Matrix.Out {
					g.Matrix.Row(row, g.Row(j))
					before[i].Matrix.Row(old, g.Row(j))
					for k := range row {
						want, got := float64(row[k])-float64(old[k]), a.delta(g.Name, j, k)
						if !(math.Abs(got-want) <= 1e-5*(1+math.Abs(want))) {
							t.Fatalf("%s (%d, %d) changes by %v, want %v", g.Name, j, k, got, want)
						}
						if got != 0 {
							compared++
						}
					}
				}
			}
			if compared < 1000 || len(a.used) != len(a.f.Tensors()) {
				t.Errorf("%d values compared, %d of %d tensors", compared, len(a.used), len(a.f.Tensors()))
			}
		})
	}
}

// adapter reads a GGUF adapter as llama.cpp does.
type adapter struct {
	t     *testing.T
	f     *gguf.File
	alpha float64
	used  map[string][]float32
}

func openAdapter(t *testing.T, path string) *adapter {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	a := &adapter{t: t, f: f, used: map[string][]float32{}}
	for _, kv := range f.Metadata() {
		switch kv.Key {
		case "general.type", "adapter.type":
			if want := map[string]string{"general.type": "adapter", "adapter.type": "lora"}[kv.Key]; kv.Value != want {
				t.Errorf("%s is %v, want %s", kv.Key, kv.Value, want)
			}
		case "adapter.lora.alpha":
			v, ok := kv.Value.(float32)
			if !ok {
				t.Errorf("alpha %v is no float32", kv.Value)
			}
			a.alpha = float64(v)
		}
	}
	return a
}

// matrix is a tensor's values and the length of its rows; nil if there is none.
func (a *adapter) matrix(name string) ([]float32, int) {
	info, ok := a.f.Tensor(name)
	if !ok {
		return nil, 0
	}
	if a.used[name] == nil {
		data, err := a.f.Bytes(name)
		if err != nil {
			a.t.Fatal(err)
		}
		a.used[name] = make([]float32, len(data)/4)
		compute.Dequantize(compute.F32, a.used[name], data)
	}
	return a.used[name], info.Dims[0]
}

// delta is what is added to value (row, col) of the file's matrix.
func (a *adapter) delta(name string, row, col int) float64 {
	low, n := a.matrix(name + ".lora_a")
	b, r := a.matrix(name + ".lora_b")
	if low == nil || b == nil {
		return 0
	}
	sum := 0.0
	for k := range r {
		if name == "token_embd.weight" { // a row of A for each token
			sum += float64(low[row*n+k]) * float64(b[col*r+k])
		} else {
			sum += float64(b[row*r+k]) * float64(low[k*n+col])
		}
	}
	return sum * a.alpha / float64(r)
}

func TestAdapterOfF16(t *testing.T) {
	m, dir := loraOf(t, "llama-gqa", model.LoRA{R: 3}), t.TempDir()
	exact, half := filepath.Join(dir, "f32.gguf"), filepath.Join(dir, "f16.gguf")
	if err := errors.Join(quantize.WriteAdapter(exact, m, compute.F32), quantize.WriteAdapter(half, m, compute.F16)); err != nil {
		t.Fatal(err)
	}
	a, f := openAdapter(t, exact), openAdapter(t, half).f
	for _, info := range f.Tensors() {
		data, err := f.Bytes(info.Name)
		if err != nil || info.Type != gguf.F16 {
			t.Fatalf("%s has type %s, %v", info.Name, info.Type, err)
		}
		want, _ := a.matrix(info.Name)
		got := make([]float32, len(data)/2)
		compute.Dequantize(compute.F16, got, data)
		for i, v := range want {
			if !(math.Abs(float64(got[i]-v)) <= 1e-3*math.Abs(float64(v))+1e-7) {
				t.Fatalf("%s value %d is %v, want %v", info.Name, i, got[i], v)
			}
		}
	}
	if arch, _, err := gguf.Get[string](f.Metadata(), "general.architecture"); arch != "llama" || err != nil {
		t.Errorf("architecture %q, %v", arch, err)
	}
	if err := quantize.WriteAdapter(filepath.Join(dir, "x"), m, compute.BF16); err == nil || !strings.Contains(err.Error(), "type BF16") {
		t.Errorf("error %v of BF16", err)
	}
}

// The architecture is llama.cpp's, which is not that of the configuration for
// every family.
func TestAdapterOfOtherFamilies(t *testing.T) {
	for modelType, c := range map[string]struct{ arch, fields string }{
		"mistral": {"llama", ""}, "gemma3_text": {"gemma3", `, "query_pre_attn_scalar": 4`}} {
		config, err := model.ParseConfig(fmt.Appendf(nil, `{"model_type": %q, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
			"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "vocab_size": 9, "max_position_embeddings": 16, "rms_norm_eps": 1e-6,
			"sliding_window": 16%s}`, modelType, c.fields))
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.New(cpu.New(1), config, random.Stream(1, "family"))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "a.gguf")
		if err := errors.Join(m.AddLoRA(model.LoRA{R: 2}, random.Stream(1, "updates")), quantize.WriteAdapter(path, m, compute.F32)); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := gguf.Get[string](openAdapter(t, path).f.Metadata(), "general.architecture"); got != c.arch {
			t.Errorf("%s: architecture %q, want %q", modelType, got, c.arch)
		}
	}
}

func TestAdapterRefuses(t *testing.T) {
	for _, c := range []struct {
		base string
		o    model.LoRA
		want string
	}{
		{"llama-gqa", model.LoRA{R: 2, DoRA: true}, "use_dora: a GGUF adapter has no magnitudes: merge instead"},
		{"llama-gqa", model.LoRA{R: 2, ModulesToSave: []string{"lm_head"}}, "modules_to_save [lm_head]"},
		{"llama-tied-mha", model.LoRA{R: 2, Targets: []string{"lm_head"}}, "tied embedding or head"},
	} {
		err := quantize.WriteAdapter(filepath.Join(t.TempDir(), "x.gguf"), loraOf(t, c.base, c.o), compute.F32)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.o, err, c.want)
		}
	}
	err := quantize.WriteAdapter(filepath.Join(t.TempDir(), "x.gguf"), loadGolden(t, "llama-gqa"), compute.F32)
	if err == nil || !strings.Contains(err.Error(), "no low-rank updates") {
		t.Errorf("error %v of a model without updates", err)
	}
}
