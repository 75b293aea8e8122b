package model_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/safetensors"
)

func tinyConfig(tied bool) model.Config {
	return model.Config{
		ModelType: "qwen2", HiddenSize: 8, IntermediateSize: 12, NumHiddenLayers: 2, NumAttentionHeads: 4,
		NumKeyValueHeads: 2, HeadDim: 4, VocabSize: 11, MaxPositionEmbeddings: 32, RMSNormEps: 1e-5, RopeTheta: 100,
		HiddenAct: "silu", TieWordEmbeddings: tied, AttentionBias: true, InitializerRange: 0.4, BOS: -1, PAD: -1,
	}
}

// tiny is a model of a few hundred random weights.
func tiny(t *testing.T, tied bool) *model.Model {
	t.Helper()
	m, err := model.New(cpu.New(2), tinyConfig(tied), random.Stream(7, "tiny"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// fails checks for an error with all of the given parts.
func fails(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want one with %q", err, part)
		}
	}
}

// copyDir copies a directory of files to a new one that may be changed.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chmod(path, 0o700))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// editJSON changes fields of a JSON file; a nil value removes the field.
func editJSON(t *testing.T, path string, fields map[string]any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	maps.Copy(all, fields)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	if data, err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// tensorsOf reads a whole safetensors file.
func tensorsOf(t *testing.T, path string) []safetensors.Tensor {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []safetensors.Tensor
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		data, err := f.Bytes(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, safetensors.Tensor{Name: name, Dtype: info.Dtype, Shape: info.Shape, Data: slices.Clone(data)})
	}
	return list
}

// editTensors rewrites a safetensors file with what change makes of it.
func editTensors(t *testing.T, path string, change func(list []safetensors.Tensor) []safetensors.Tensor) {
	t.Helper()
	list := change(tensorsOf(t, path))
	if err := safetensors.WriteFile(path, list, nil); err != nil {
		t.Fatal(err)
	}
}

func find(t *testing.T, list []safetensors.Tensor, name string) *safetensors.Tensor {
	t.Helper()
	i := slices.IndexFunc(list, func(x safetensors.Tensor) bool { return x.Name == name })
	if i < 0 {
		t.Fatalf("no tensor %s", name)
	}
	return &list[i]
}

// asHalf converts an F32 tensor to F16 or BF16.
func asHalf(x safetensors.Tensor, dtype safetensors.Dtype, convert func(float32) uint16) safetensors.Tensor {
	var data []byte
	for i := 0; i < len(x.Data); i += 4 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(x.Data[i:]))
		data = binary.LittleEndian.AppendUint16(data, convert(v))
	}
	return safetensors.Tensor{Name: x.Name, Dtype: dtype, Shape: x.Shape, Data: data}
}

// rowLogits are the logits (n,V) of a sequence, all at once.
func rowLogits(t *testing.T, m *model.Model, tokens []int32) []float32 {
	t.Helper()
	d := model.NewDecoder(m)
	h, err := d.Step([]model.Run{{Cache: d.NewCache(0), Tokens: tokens}})
	if err != nil {
		t.Fatal(err)
	}
	return allLogits(m, d, h)
}

// allLogits are the logits of all rows, copied.
func allLogits(m *model.Model, d *model.Decoder, h compute.Mat) []float32 {
	rows := make([]int32, h.Rows)
	for i := range rows {
		rows[i] = int32(i)
	}
	return slices.Clone(m.Device().Host(d.Logits(h, rows)))
}

// shared is a file beside the project, which a test skips without.
func shared(t *testing.T, path ...string) string {
	t.Helper()
	full := filepath.Join(append([]string{"..", "..", "..", "shared"}, path...)...)
	if _, err := os.Stat(full); err != nil {
		t.Skipf("%s is absent", full)
	}
	return full
}
