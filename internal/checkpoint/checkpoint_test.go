package checkpoint_test

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/checkpoint"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
)

// withTokenizer copies a golden model (vocabulary 307) and trains a tokenizer for it.
func withTokenizer(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range []string{"config.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join("../model/testdata/golden", name, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := tokenizer.Train(slices.Values([]string{strings.Repeat("seven wizards mix boxing gloves with jolly vodka ", 20)}), tokenizer.TrainOptions{VocabSize: 300})
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDescribe(t *testing.T) {
	dir := withTokenizer(t, "qwen2-bias")
	d, err := checkpoint.Describe(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if d.Architecture != "qwen2" || d.Parameters != int64(m.Parameters()) || d.Context != 256 || d.Tokenizer == nil || d.Tokenizer.ChatTemplate {
		t.Errorf("%+v", d)
	}
	if len(d.Stored) != 1 || d.Stored[0].Name != "F32" || d.Stored[0].Values != d.Parameters {
		t.Errorf("stored %v, want %d values in F32", d.Stored, d.Parameters)
	}
	if i := slices.IndexFunc(d.Memory, func(m checkpoint.Memory) bool { return m.Format == "F32" }); d.Memory[i].Bytes != int64(m.Bytes()) {
		t.Errorf("memory in F32 %d, the model takes %d", d.Memory[i].Bytes, m.Bytes())
	}
	if !slices.Contains(d.Special, checkpoint.TokenUse{Use: "eos", ID: 1, Token: "<|endoftext|>"}) {
		t.Errorf("special tokens %v", d.Special)
	}
	if want := []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}; !slices.Equal(d.Tuning.LoRATargets, want) {
		t.Errorf("targets %v", d.Tuning.LoRATargets)
	}
	d, err = checkpoint.Describe("../model/testdata/golden/qwen2-bias")
	if err != nil || d.Tokenizer != nil {
		t.Errorf("without a tokenizer: %v, %v", d.Tokenizer, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := checkpoint.Describe(dir); err == nil || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("with a damaged tokenizer: %v", err)
	}
}

// rows are the values of every matrix.
func rows(t *testing.T, path string) map[string][]float32 {
	t.Helper()
	m, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	out := map[string][]float32{}
	add := func(name string, w *compute.Weight) {
		row := make([]float32, w.In)
		for i := range w.Out {
			w.Row(row, i)
			out[name] = append(out[name], row...)
		}
	}
	add("embed", m.Embed.Weight)
	add("head", m.Head.Weight)
	for name, part := range m.Linears() {
		add(name, part.Weight)
	}
	return out
}

func near(t *testing.T, what string, got, want map[string][]float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d matrices, want %d", what, len(got), len(want))
	}
	for name := range want {
		for i, v := range want[name] {
			if !(math.Abs(float64(got[name][i]-v)) <= tolerance*(math.Abs(float64(v))+1e-4)) {
				t.Fatalf("%s: %s value %d is %v, want %v", what, name, i, got[name][i], v)
			}
		}
	}
}

func convert(t *testing.T, o checkpoint.ConvertOptions) {
	t.Helper()
	if _, err := checkpoint.Convert(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func TestConvertThereAndBack(t *testing.T) {
	for _, name := range []string{"llama-gqa", "llama-tied-mha", "qwen2-bias"} {
		for dtype, tolerance := range map[string]float64{"": 0, "f32": 0, "f16": 1e-3, "bf16": 8e-3} {
			t.Run(name+" "+dtype, func(t *testing.T) {
				from, dir := withTokenizer(t, name), t.TempDir()
				file, back := filepath.Join(dir, "a.gguf"), filepath.Join(dir, "b")
				convert(t, checkpoint.ConvertOptions{From: from, To: "gguf", Out: file, Dtype: dtype})
				convert(t, checkpoint.ConvertOptions{From: file, To: "hf", Out: back})
				near(t, name, rows(t, back), rows(t, from), tolerance)
				a, err := model.LoadConfig(from)
				b, err2 := model.LoadConfig(back)
				if err != nil || err2 != nil || a.TieWordEmbeddings != b.TieWordEmbeddings || a.RopeTheta != b.RopeTheta {
					t.Errorf("configuration %+v, want %+v; %v, %v", b, a, err, err2)
				}
				const text = "seven jolly wizards"
				before, err := checkpoint.Tokenizer(from)
				after, err2 := checkpoint.Tokenizer(back)
				if err != nil || err2 != nil {
					t.Fatal(err, err2)
				}
				if !slices.Equal(before.Encode(text, true), after.Encode(text, true)) {
					t.Errorf("ids %v, want %v", after.Encode(text, true), before.Encode(text, true))
				}
				entries, _ := os.ReadDir(dir)
				if len(entries) != 2 {
					t.Errorf("left: %v", entries)
				}
			})
		}
	}
}

func TestConvertDequantizes(t *testing.T) {
	const source = "../../../shared/golden/gguf/tiny-Q4_K.gguf"
	if _, err := os.Stat(source); err != nil {
		t.Skip(err)
	}
	out := filepath.Join(t.TempDir(), "hf")
	notes, err := checkpoint.Convert(t.Context(), checkpoint.ConvertOptions{From: source, To: "hf", Out: out})
	if err != nil || len(notes) != 1 {
		t.Fatal(notes, err)
	}
	near(t, "Q4_K", rows(t, out), rows(t, source), 0)
	if d, err := checkpoint.Describe(out); err != nil || d.Stored[0].Name != "F32" || len(d.Stored) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestConvertRefuses(t *testing.T) {
	dir := withTokenizer(t, "llama-gqa")
	for name, c := range map[string]struct {
		o     checkpoint.ConvertOptions
		error string
	}{
		"there already": {checkpoint.ConvertOptions{From: dir, To: "hf", Out: dir}, "exists: it is not overwritten"},
		"layout":        {checkpoint.ConvertOptions{From: dir, To: "onnx", Out: "x"}, `to: "onnx": want hf or gguf`},
		"type":          {checkpoint.ConvertOptions{From: dir, To: "hf", Out: "x", Dtype: "q4_0"}, `dtype: "q4_0"`},
		"nothing":       {checkpoint.ConvertOptions{From: "none", To: "hf", Out: "x"}, "none"},
		"no place":      {checkpoint.ConvertOptions{From: dir, To: "hf", Out: filepath.Join(dir, "no", "x")}, "no such file"},
		"whose adapter": {checkpoint.ConvertOptions{From: goldenAdapter, To: "gguf", Out: "x"}, "name the model that it belongs to"},
		"no adapter":    {checkpoint.ConvertOptions{From: dir, To: "gguf", Out: "x", Base: dir}, "it has no adapter_config.json"},
		"both":          {checkpoint.ConvertOptions{From: goldenAdapter, To: "gguf", Out: "x", Base: dir, Adapter: goldenAdapter}, "want one of them"},
		"adapter to hf": {checkpoint.ConvertOptions{From: goldenAdapter, To: "hf", Out: "x", Base: dir}, "an adapter is hf already"},
		"adapter bf16":  {checkpoint.ConvertOptions{From: goldenAdapter, To: "gguf", Out: "x", Base: dir, Dtype: "bf16"}, "f32 or f16"},
		"no base":       {checkpoint.ConvertOptions{From: goldenAdapter, To: "gguf", Out: "x", Base: "none"}, "base: stat none"},
		"merge none":    {checkpoint.ConvertOptions{From: dir, To: "hf", Out: "x", Adapter: "none"}, "read adapter none"},
		"no model":      {checkpoint.ConvertOptions{From: filepath.Join(dir, "tokenizer.json"), To: "hf", Out: filepath.Join(dir, "x")}, "tokenizer.json is neither a directory nor a GGUF file"},
		"no tokenizer":  {checkpoint.ConvertOptions{From: "../model/testdata/golden/llama-gqa", To: "gguf", Out: filepath.Join(dir, "x.gguf")}, "tokenizer.json"},
	} {
		if _, err := checkpoint.Convert(t.Context(), c.o); err == nil || !strings.Contains(err.Error(), c.error) {
			t.Errorf("%s: %v, want %q", name, err, c.error)
		}
	}
}

// TestConvertInterrupted: nothing is left of what was not finished.
func TestConvertInterrupted(t *testing.T) {
	from, out := withTokenizer(t, "llama-gqa"), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, o := range []checkpoint.ConvertOptions{{To: "hf"}, {To: "gguf"}, {To: "hf", Dtype: "f16"}} {
		o.From, o.Out = from, filepath.Join(out, "x")
		if _, err := checkpoint.Convert(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("%s %s: %v, want %v", o.To, o.Dtype, err, context.Canceled)
		}
		if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
			t.Errorf("%s %s: left %v, %v", o.To, o.Dtype, left, err)
		}
	}
}

func TestIsGGUF(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"a": "GGUF\x03", "b": "GG", "c": ""} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if is, err := checkpoint.IsGGUF(path); is != (name == "a") || err != nil {
			t.Errorf("%q: %v, %v", content, is, err)
		}
	}
	if _, err := checkpoint.IsGGUF(filepath.Join(dir, "d")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := checkpoint.IsGGUF(os.DevNull); err == nil {
		t.Error("a device is a file")
	}
}
