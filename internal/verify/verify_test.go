package verify_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/safetensors"
	"github.com/retort-ml/retort/internal/verify"
)

const goldenRoot = "../model/testdata/golden"

func run(t *testing.T, o verify.Options) *verify.Report {
	t.Helper()
	r, err := verify.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func failed(r *verify.Report) []string {
	var list []string
	for _, c := range r.Checks {
		if !c.OK {
			list = append(list, c.Tensor)
		}
	}
	return list
}

func TestGoldenModels(t *testing.T) {
	for _, name := range []string{"llama-gqa", "llama-tied-mha", "qwen2-bias"} {
		t.Run(name, func(t *testing.T) {
			r := run(t, verify.Options{Model: filepath.Join(goldenRoot, name)})
			if !r.OK || len(failed(r)) > 0 {
				t.Errorf("beyond the tolerance: %v", failed(r))
			}
			if len(r.Checks) != 50 || len(r.NotCompared) > 0 || !slices.Equal(r.Absent, []string{"lora_loss_sum", "merged_logits"}) {
				t.Errorf("%d checks, not compared %v, absent %v", len(r.Checks), r.NotCompared, r.Absent)
			}
		})
	}
}

func TestGoldenVariants(t *testing.T) {
	for _, name := range []string{"rslora"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("../../../shared/golden/peft", name)
			base, err := os.ReadFile(filepath.Join(dir, "base"))
			if err != nil {
				t.Skip(err)
			}
			r := run(t, verify.Options{Model: filepath.Join("../../../shared/golden/hf", strings.TrimSpace(string(base))),
				Reference: filepath.Join(dir, "golden.safetensors"), Adapter: filepath.Join(dir, "adapter")})
			last := r.Checks[len(r.Checks)-1]
			if !r.OK || last.Tensor != "merged_logits" || len(r.NotCompared) > 0 {
				t.Errorf("beyond the tolerance: %v; last %s, not compared %v", failed(r), last.Tensor, r.NotCompared)
			}
		})
	}
}

// edit writes the reference of llama-gqa changed.
func edit(t *testing.T, change func(tensors map[string]safetensors.Tensor)) string {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(goldenRoot, "llama-gqa", "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensors := map[string]safetensors.Tensor{}
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		data, err := f.Bytes(name)
		if err != nil {
			t.Fatal(err)
		}
		tensors[name] = safetensors.Tensor{Name: name, Dtype: info.Dtype, Shape: info.Shape, Data: slices.Clone(data)}
	}
	change(tensors)
	var list []safetensors.Tensor
	for name, tensor := range tensors {
		tensor.Name = name
		list = append(list, tensor)
	}
	path := filepath.Join(t.TempDir(), "reference.safetensors")
	if err := safetensors.WriteFile(path, list, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

func addTo(tensor safetensors.Tensor, i int, by float32) {
	v := math.Float32frombits(binary.LittleEndian.Uint32(tensor.Data[4*i:]))
	binary.LittleEndian.PutUint32(tensor.Data[4*i:], math.Float32bits(v+by))
}

func TestDeviationsAreFound(t *testing.T) {
	const grad = "lora_grad.base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"
	adapter := filepath.Join(goldenRoot, "llama-gqa", "adapter")
	for name, change := range map[string]func(map[string]safetensors.Tensor){
		"logits":                func(r map[string]safetensors.Tensor) { addTo(r["logits"], 777, 0.01) },
		"loss_sum":              func(r map[string]safetensors.Tensor) { addTo(r["loss_sum"], 0, 0.5) },
		"loss_tokens":           func(r map[string]safetensors.Tensor) { r["loss_tokens"].Data[0]++ },
		"greedy_prompt12_new20": func(r map[string]safetensors.Tensor) { r["greedy_prompt12_new20"].Data[4*19]++ },
		"lora_logits":           func(r map[string]safetensors.Tensor) { addTo(r["lora_logits"], 0, float32(math.NaN())) },
		"lora_loss_mean":        func(r map[string]safetensors.Tensor) { addTo(r["lora_loss_mean"], 0, 0.01) },
		grad:                    func(r map[string]safetensors.Tensor) { addTo(r[grad], 3, 1) },
		"lora_adamw10_losses":   func(r map[string]safetensors.Tensor) { addTo(r["lora_adamw10_losses"], 9, 0.05) },
		"lora_grad.other":       func(r map[string]safetensors.Tensor) { r["lora_grad.other"] = r[grad] },
		"merged_logits": func(r map[string]safetensors.Tensor) {
			r["merged_logits"] = r["logits"] // the base's, which the merged model has not
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, verify.Options{Model: filepath.Join(goldenRoot, "llama-gqa"), Reference: edit(t, change), Adapter: adapter})
			if r.OK || !slices.Equal(failed(r), []string{name}) {
				t.Errorf("beyond the tolerance: %v, want %s", failed(r), name)
			}
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
		})
	}
}

// A reference of more tokens than the configuration has positions is compared as
// any: nothing in plain rotary positions depends on their number. Nor does
// dropout, which the configuration keeps for training, stand in the way.
func TestMoreTokensThanPositions(t *testing.T) {
	from, dir := filepath.Join(goldenRoot, "llama-gqa"), t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.Replace(data, []byte(`"max_position_embeddings": 256`), []byte(`"max_position_embeddings": 24`), 1)
		data = bytes.Replace(data, []byte(`"attention_dropout": 0.0`), []byte(`"attention_dropout": 0.1`), 1)
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, verify.Options{Model: dir, Reference: filepath.Join(from, "golden.safetensors"), Adapter: filepath.Join(from, "adapter")})
	if !r.OK || len(r.NotCompared) > 0 {
		t.Errorf("beyond the tolerance: %v, not compared %v", failed(r), r.NotCompared)
	}
}

func TestWhatIsNotCompared(t *testing.T) {
	path := edit(t, func(r map[string]safetensors.Tensor) {
		for name := range r {
			if name != "input_ids" && name != "logits" && name != "lora_logits" {
				delete(r, name)
			}
		}
		r["hidden_states"] = r["logits"]
	})
	r := run(t, verify.Options{Model: filepath.Join(goldenRoot, "llama-gqa"), Reference: path, Adapter: filepath.Join(goldenRoot, "llama-gqa", "adapter")})
	if !r.OK || len(r.Checks) != 2 || !slices.Equal(r.NotCompared, []string{"hidden_states"}) || !slices.Contains(r.Absent, "lora_grad.*") ||
		!slices.Contains(r.Absent, "greedy_prompt<P>_new<N>") || !slices.Contains(r.Absent, "loss_mean") {
		t.Errorf("%d checks, not compared %v, absent %v", len(r.Checks), r.NotCompared, r.Absent)
	}
}

func TestReferencesThatDoNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		change func(map[string]safetensors.Tensor)
		error  string
	}{
		"no input": {func(r map[string]safetensors.Tensor) { delete(r, "input_ids") }, "tensor input_ids is missing"},
		"type":     {func(r map[string]safetensors.Tensor) { r["labels"] = r["loss_mean"] }, "tensor labels has type F32"},
		"shape": {func(r map[string]safetensors.Tensor) {
			l := r["logits"]
			l.Shape = []int{1, 80, 307}
			r["logits"] = l
		}, "tensor logits has shape [1 80 307]"},
		"token":   {func(r map[string]safetensors.Tensor) { r["input_ids"].Data[2] = 1 }, "logits: "},
		"label":   {func(r map[string]safetensors.Tensor) { copy(r["labels"].Data[4*39:], []byte{0, 0, 1, 0}) }, "outside the vocabulary of 307"},
		"greedy":  {func(r map[string]safetensors.Tensor) { r["greedy_prompt99_new20"] = r["greedy_prompt12_new20"] }, "tensor greedy_prompt99_new20"},
		"unknown": {func(r map[string]safetensors.Tensor) { clear(r); r["input_ids"] = ids(); r["x"] = ids() }, "has nothing to compare"},
		"padding": {func(r map[string]safetensors.Tensor) {
			m := r["input_ids"]
			m.Data = make([]byte, len(m.Data))
			r["attention_mask"] = m
		}, "attention_mask: it has padding"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verify.Run(t.Context(), verify.Options{Model: filepath.Join(goldenRoot, "llama-gqa"), Reference: edit(t, c.change)})
			if err == nil || !strings.Contains(err.Error(), c.error) {
				t.Errorf("error %v, want %q", err, c.error)
			}
		})
	}
}

func ids() safetensors.Tensor {
	return safetensors.Tensor{Dtype: safetensors.I32, Shape: []int{1, 1}, Data: []byte{5, 0, 0, 0}}
}
