package checkpoint_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/checkpoint"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gguf"
)

const goldenAdapter = "../model/testdata/golden/llama-gqa/adapter"

func TestConvertAdapter(t *testing.T) {
	from, dir := withTokenizer(t, "llama-gqa"), t.TempDir()
	base := filepath.Join(dir, "base.gguf")
	convert(t, checkpoint.ConvertOptions{From: from, To: "gguf", Out: base})
	for _, c := range []struct {
		base, dtype string
		want        gguf.TensorType
	}{{from, "", gguf.F32}, {from, "f16", gguf.F16}, {base, "f32", gguf.F32}} {
		out := filepath.Join(t.TempDir(), "lora.gguf")
		convert(t, checkpoint.ConvertOptions{From: goldenAdapter, Base: c.base, To: "gguf", Out: out, Dtype: c.dtype})
		f, err := gguf.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if n := len(f.Tensors()); n != 3*7*2 { // layers, modules, A and B
			t.Errorf("%d tensors", n)
		}
		info, ok := f.Tensor("blk.2.ffn_down.weight.lora_a")
		if !ok || info.Type != c.want || info.Dims[0] != 176 || info.Dims[1] != 4 {
			t.Errorf("%+v, %t", info, ok)
		}
	}
}

// mergedInMemory is the directory of a model with the golden adapter merged in float32.
func mergedInMemory(t *testing.T, path string) string {
	t.Helper()
	m, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.LoadAdapter(goldenAdapter); err != nil {
		t.Fatal(err)
	}
	m.Merge()
	dir := filepath.Join(t.TempDir(), "merged")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A merged model has the values of the merged one in memory, and the types of its base.
func TestConvertMerges(t *testing.T) {
	from, dir := withTokenizer(t, "llama-gqa"), t.TempDir()
	merged := mergedInMemory(t, from)
	for _, to := range []string{"hf", "gguf"} {
		out := filepath.Join(dir, to)
		convert(t, checkpoint.ConvertOptions{From: from, To: to, Out: out, Adapter: goldenAdapter})
		near(t, to, rows(t, out), rows(t, merged), 0)
	}
	half, out := filepath.Join(dir, "half"), filepath.Join(dir, "out")
	convert(t, checkpoint.ConvertOptions{From: from, To: "hf", Out: half, Dtype: "bf16"})
	convert(t, checkpoint.ConvertOptions{From: half, To: "hf", Out: out, Adapter: goldenAdapter})
	near(t, "bf16", rows(t, out), rows(t, mergedInMemory(t, half)), 4e-3)
	again, err := checkpoint.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for name, part := range again.Linears() {
		if part.Weight.Format != compute.BF16 {
			t.Errorf("%s is %s", name, part.Weight.Format)
		}
	}
}

// llama.cpp tokenizes otherwise in models that are named as Phi-3.
func TestConvertGivesNoNameThatChangesIDs(t *testing.T) {
	from := filepath.Join(t.TempDir(), "Phi-3-tuned")
	if err := os.Rename(withTokenizer(t, "llama-gqa"), from); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "x.gguf")
	notes, err := checkpoint.Convert(t.Context(), checkpoint.ConvertOptions{From: from, To: "gguf", Out: out})
	if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "Phi-3-tuned") {
		t.Fatal(notes, err)
	}
	f, err := gguf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if name, _, err := gguf.Get[string](f.Metadata(), "general.name"); name != "retort" || err != nil {
		t.Errorf("general.name %q, %v", name, err)
	}
}
