package model_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/safetensors"
)

// An adapter that was read is written with PEFT's keys, shapes and fields.
func TestClassifierAdapterRoundTrip(t *testing.T) {
	for _, name := range goldenEncoders {
		t.Run(name, func(t *testing.T) {
			c, g := goldenClassifier(t, name)
			original := shared(t, "golden", "hf", name, "adapter")
			if err := c.LoadAdapter(original); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := c.SaveAdapter(dir, ""); err != nil {
				t.Fatal(err)
			}
			want, got := tensorsOf(t, filepath.Join(original, "adapter_model.safetensors")), tensorsOf(t, filepath.Join(dir, "adapter_model.safetensors"))
			if !reflect.DeepEqual(got, want) {
				t.Error("the adapter's tensors changed")
			}
			if got, want := adapterFields(t, dir), adapterFields(t, original); !reflect.DeepEqual(got, want) {
				t.Errorf("wrote %v, want %v", got, want)
			}
			again, _ := goldenClassifier(t, name)
			if err := again.LoadAdapter(dir); err != nil {
				t.Fatal(err)
			}
			near(t, "logits", logitsOfTexts(t, again, goldenTexts(g)), g.floats("lora_logits"))
		})
	}
}

// adapterFields are adapter_config.json, lists in order: PEFT's come from sets.
func adapterFields(t *testing.T, dir string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	for _, v := range fields {
		if list, ok := v.([]any); ok {
			slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	return fields
}

func TestNewClassifierAdapter(t *testing.T) {
	for name, c := range map[string]struct {
		targets []string
		updates int // modules with an update
		saved   string
	}{
		"bert":       {nil, 18, "classifier.bias classifier.weight"},
		"distilbert": {[]string{"q_lin", "v_lin"}, 6, "classifier.bias classifier.weight pre_classifier.bias pre_classifier.weight"},
		"electra":    {[]string{"all-linear"}, 19, "classifier.dense.bias classifier.dense.weight classifier.out_proj.bias classifier.out_proj.weight"},
		"albert":     {[]string{"query"}, 1, "classifier.bias classifier.weight"},
	} {
		t.Run(name, func(t *testing.T) {
			config := tinyEncoders()[name]
			m, err := model.NewClassifier(cpu.New(1), config, random.Stream(3, "weights"))
			if err != nil {
				t.Fatal(err)
			}
			texts := sampleTexts(config)
			before := logitsOfTexts(t, m, texts)
			if err := m.AddLoRA(model.LoRA{R: 2, Targets: c.targets}, random.Stream(1, "updates")); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(logitsOfTexts(t, m, texts), before) {
				t.Error("a new update changes the logits")
			}
			runLabelled(t, m, true, texts, []int32{0, 1, 2})
			dir := t.TempDir()
			if err := m.SaveAdapter(dir, "base"); err != nil {
				t.Fatal(err)
			}
			names := map[bool][]string{}
			for _, x := range tensorsOf(t, filepath.Join(dir, "adapter_model.safetensors")) {
				names[strings.Contains(x.Name, "lora_")] = append(names[strings.Contains(x.Name, "lora_")], strings.TrimPrefix(x.Name, "base_model.model."))
			}
			slices.Sort(names[false])
			if len(names[true]) != 2*c.updates || strings.Join(names[false], " ") != c.saved {
				t.Errorf("%d updates and %v, want %d and %s", len(names[true])/2, names[false], c.updates, c.saved)
			}
			again, err := model.NewClassifier(cpu.New(1), config, random.Stream(3, "weights"))
			if err != nil {
				t.Fatal(err)
			}
			if err := again.LoadAdapter(dir); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(logitsOfTexts(t, again, texts), before) || again.Trainable() != m.Trainable() {
				t.Errorf("another model was read: %d values of %d are trained", again.Trainable(), m.Trainable())
			}
			fails(t, m.Unfreeze(), "low-rank updates")
			fails(t, m.Save(t.TempDir()), "not merged")
			fails(t, m.AddLoRA(model.LoRA{}, random.Stream(1, "updates")), "already")
		})
	}
}

// Adapters that ask for something else, or do not fit, are refused, and the
// classifier is as before.
func TestClassifierAdapterRefusals(t *testing.T) {
	c, g := goldenClassifier(t, "distilbert-cls")
	original := shared(t, "golden", "hf", "distilbert-cls", "adapter")
	for name, e := range map[string]struct {
		fields map[string]any
		change func([]safetensors.Tensor) []safetensors.Tensor
		want   []string
	}{
		"dora":           {map[string]any{"use_dora": true}, nil, []string{"q_lin.lora_magnitude_vector is missing"}},
		"bias":           {map[string]any{"bias": "all"}, nil, []string{"distilbert.embeddings.LayerNorm.bias is missing"}},
		"layers":         {map[string]any{"layers_to_transform": []int{0}}, nil, []string{"layer.1.attention", "belongs to no target"}},
		"lora bias":      {map[string]any{"lora_bias": true}, nil, []string{"q_lin.lora_B.bias is missing"}},
		"no such target": {map[string]any{"target_modules": []string{"q_proj"}}, nil, []string{"q_proj", "distilbert"}},
		"saved target":   {map[string]any{"target_modules": []string{"q_lin", "pre_classifier"}}, nil, []string{"pre_classifier", "whole"}},
		"nothing saved":  {map[string]any{"modules_to_save": []string{}}, nil, []string{"classifier", "belongs to no target"}},
		"more saved":     {map[string]any{"modules_to_save": []string{"classifier", "embeddings.LayerNorm"}}, nil, []string{"distilbert.embeddings.LayerNorm.weight", "missing"}},
		"an empty name":  {map[string]any{"modules_to_save": []string{""}}, nil, []string{"modules_to_save"}},
		"rank":           {map[string]any{"rank_pattern": map[string]int{"layer.1.attention.q_lin": 2}}, nil, []string{"layer.1.attention.q_lin", "shape"}},
		"tensor missing": {nil, func(list []safetensors.Tensor) []safetensors.Tensor {
			return slices.DeleteFunc(list, func(x safetensors.Tensor) bool { return x.Name == "base_model.model.pre_classifier.bias" })
		}, []string{"pre_classifier.bias", "missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyDir(t, original)
			editJSON(t, filepath.Join(dir, "adapter_config.json"), e.fields)
			if e.change != nil {
				editTensors(t, filepath.Join(dir, "adapter_model.safetensors"), e.change)
			}
			fails(t, c.LoadAdapter(dir), append(e.want, dir)...)
			if len(c.Params()) != 0 || c.LoRA != nil {
				t.Error("something is trained")
			}
			near(t, "logits", logitsOfTexts(t, c, goldenTexts(g)), g.floats("logits"))
		})
	}
}

// Ranks and alphas of single modules are read and written.
func TestClassifierAdapterPatterns(t *testing.T) {
	config := tinyEncoders()["bert"]
	m := randomClassifier(t, config)
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	if m = mustLoad(t, dir); m.AddLoRA(model.LoRA{R: 4, Alpha: 8, Targets: []string{"query", "value"}}, random.Stream(1, "updates")) != nil {
		t.Fatal("no update")
	}
	adapter := t.TempDir()
	if err := m.SaveAdapter(adapter, dir); err != nil {
		t.Fatal(err)
	}
	editJSON(t, filepath.Join(adapter, "adapter_config.json"), map[string]any{
		"rank_pattern": map[string]int{"layer.0.attention.self.query": 2}, "alpha_pattern": map[string]int{"value": 3}, "use_rslora": true})
	editTensors(t, filepath.Join(adapter, "adapter_model.safetensors"), func(list []safetensors.Tensor) []safetensors.Tensor {
		for i, x := range list {
			if strings.Contains(x.Name, "layer.0.attention.self.query") {
				at := slices.Index(x.Shape, 4)
				list[i].Shape = slices.Clone(x.Shape)
				list[i].Shape[at], list[i].Data = 2, x.Data[:len(x.Data)/2]
			}
		}
		return list
	})
	m = mustLoad(t, dir)
	if err := m.LoadAdapter(adapter); err != nil {
		t.Fatal(err)
	}
	again := t.TempDir()
	if err := m.SaveAdapter(again, dir); err != nil {
		t.Fatal(err)
	}
	got := adapterFields(t, again)
	want := map[string]any{"ranks": map[string]any{"layer.0.attention.self.query": 2.0},
		"alphas": map[string]any{"value": 3.0}, "rslora": true}
	if have := map[string]any{"ranks": got["rank_pattern"], "alphas": got["alpha_pattern"], "rslora": got["use_rslora"]}; !maps.EqualFunc(have, want, reflect.DeepEqual) {
		t.Errorf("wrote %v, want %v", have, want)
	}
}

func mustLoad(t *testing.T, dir string) *model.Classifier {
	t.Helper()
	c, err := model.LoadClassifier(cpu.New(1), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
