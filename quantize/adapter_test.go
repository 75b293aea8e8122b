package quantize_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
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
			if err := quantize.WriteAdapter(path, m); err != nil {
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
		err := quantize.WriteAdapter(filepath.Join(t.TempDir(), "x.gguf"), loraOf(t, c.base, c.o))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.o, err, c.want)
		}
	}
	err := quantize.WriteAdapter(filepath.Join(t.TempDir(), "x.gguf"), loadGolden(t, "llama-gqa"))
	if err == nil || !strings.Contains(err.Error(), "no low-rank updates") {
		t.Errorf("error %v of a model without updates", err)
	}
}
