package safetensors_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/safetensors"
)

// fiveTensors are t0 … t4 of 10 bytes each.
func fiveTensors() []safetensors.Tensor {
	var all []safetensors.Tensor
	for i := range 5 {
		all = append(all, safetensors.Tensor{Name: fmt.Sprint("t", i), Dtype: safetensors.U8, Shape: []int{2, 5},
			Data: bytes.Repeat([]byte{byte(i)}, 10)})
	}
	return all
}

func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestModelRoundTrip(t *testing.T) {
	shards := func(n int) []string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n))
		}
		return append(names, "model.safetensors.index.json")
	}
	cases := []struct {
		name  string
		max   int64
		files []string
	}{
		{"no limit", 0, []string{"model.safetensors"}},
		{"all fit exactly", 50, []string{"model.safetensors"}},
		{"one byte too few", 49, shards(2)},
		{"two each", 20, shards(3)},
		{"one each", 19, shards(5)},
		{"larger than a shard", 1, shards(5)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := safetensors.WriteModel(dir, fiveTensors(), c.max); err != nil {
				t.Fatal(err)
			}
			if got := fileNames(t, dir); !reflect.DeepEqual(got, c.files) {
				t.Errorf("files %v, want %v", got, c.files)
			}
			m, err := safetensors.OpenModel(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := tensors(t, m); !reflect.DeepEqual(got, fiveTensors()) {
				t.Errorf("read %v", got)
			}
			if got := m.Metadata(); !reflect.DeepEqual(got, map[string]string{"format": "pt"}) {
				t.Errorf("Metadata = %v", got)
			}
			if _, ok := m.Info("none"); ok {
				t.Error("Info found a tensor that is not there")
			}
			if _, err := m.Bytes("none"); err == nil || !strings.Contains(err.Error(), `"none"`) {
				t.Errorf("Bytes of no tensor: %v", err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if _, err := m.Bytes("t0"); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("Bytes after Close = %v, want ErrClosed", err)
			}
		})
	}
}

func TestIndexText(t *testing.T) {
	dir := t.TempDir()
	if err := safetensors.WriteModel(dir, fiveTensors()[:2], 10); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "model.safetensors.index.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "metadata": {
    "total_size": 20
  },
  "weight_map": {
    "t0": "model-00001-of-00002.safetensors",
    "t1": "model-00002-of-00002.safetensors"
  }
}
`
	if string(got) != want {
		t.Errorf("index\n%s\nwant\n%s", got, want)
	}
}

func TestWriteModelRefuses(t *testing.T) {
	for _, max := range []int64{0, 20} {
		dir := t.TempDir()
		if err := safetensors.WriteModel(dir, fiveTensors(), max); err != nil {
			t.Fatal(err)
		}
		before := fileNames(t, dir)
		if err := safetensors.WriteModel(dir, fiveTensors()[:1], 0); !errors.Is(err, fs.ErrExist) {
			t.Errorf("directory with %v: %v, want ErrExist", before, err)
		}
		if got := fileNames(t, dir); !reflect.DeepEqual(got, before) {
			t.Errorf("files %v, want %v", got, before)
		}
	}
	dir := t.TempDir()
	twice := append(fiveTensors(), fiveTensors()...)
	if err := safetensors.WriteModel(dir, twice, 20); err == nil || len(fileNames(t, dir)) != 0 {
		t.Errorf("tensors in two shards twice: %v, files %v", err, fileNames(t, dir))
	}
	if err := safetensors.WriteModel(dir, fiveTensors(), -1); err == nil {
		t.Error("negative shard size: no error")
	}
	missing := filepath.Join(dir, "none")
	if err := safetensors.WriteModel(missing, fiveTensors(), 0); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing directory: %v", err)
	}
}

func TestOpenModelRefuses(t *testing.T) {
	const shard = "model-00002-of-00003.safetensors"
	index := func(text string) func(dir string) error {
		return func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), []byte(text), 0o666)
		}
	}
	cases := []struct {
		name   string
		damage func(dir string) error // of a sound model in three shards
		want   string
	}{
		{"shard missing", func(dir string) error { return os.Remove(filepath.Join(dir, shard)) }, shard},
		{"shard truncated", func(dir string) error { return os.Truncate(filepath.Join(dir, shard), 100) }, "truncated"},
		{"tensor not in its shard", index(`{"weight_map":{"t0":"` + shard + `"}}`), `no tensor "t0"`},
		{"absolute path", index(`{"weight_map":{"t0":"/etc/passwd"}}`), `"/etc/passwd" is not a file in the model's directory`},
		{"path outside", index(`{"weight_map":{"t0":"sub/../../x"}}`), "is not a file in the model's directory"},
		{"empty path", index(`{"weight_map":{"t0":""}}`), "is not a file in the model's directory"},
		{"the directory itself", index(`{"weight_map":{"t0":"."}}`), "not a regular file"},
		{"duplicate tensor", index(`{"weight_map":{"t0":"a","t0":"b"}}`), `duplicate key "t0"`},
		{"shard is a number", index(`{"weight_map":{"t0":1}}`), "is not a string"},
		{"no weight_map", index(`{"metadata":{}}`), "no tensors in weight_map"},
		{"not JSON", index(`{"weight_map":{`), "JSON"},
		{"not an object", index(`[]`), "in place of {"},
		{"nothing there", func(dir string) error { return os.Remove(filepath.Join(dir, "model.safetensors.index.json")) }, "neither model.safetensors nor"},
		{"damaged single file wins", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "model.safetensors"), nil, 0o666)
		}, "file of 0 bytes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := safetensors.WriteModel(dir, fiveTensors(), 20); err != nil {
				t.Fatal(err)
			}
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			_, err := safetensors.OpenModel(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("OpenModel = %v, want the directory and %q", err, c.want)
			}
		})
	}
}
