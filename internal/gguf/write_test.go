package gguf_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/gguf"
)

func writes(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

// tensorData are the tensors of f, to write again.
func tensorData(t *testing.T, f *gguf.File) []gguf.TensorData {
	t.Helper()
	var all []gguf.TensorData
	for _, info := range f.Tensors() {
		data, err := f.Bytes(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, gguf.TensorData{Name: info.Name, Type: info.Type, Dims: info.Dims, WriteTo: writes(data)})
	}
	return all
}

func TestWriteLayout(t *testing.T) {
	meta := []gguf.KV{{"general.alignment", uint32(8)}, {"b", true}, {"a", []any{[]uint16{1}, []any{}}}}
	tensors := []gguf.TensorData{
		{Name: "y", Type: gguf.I8, Dims: []int{3, 1}, WriteTo: writes([]byte{1, 2, 3})},
		{Name: "empty", Type: gguf.F32, Dims: []int{0}, WriteTo: writes(nil)},
		{Name: "x", Type: gguf.F16, Dims: []int{}, WriteTo: writes([]byte{8, 9})},
	}
	var got bytes.Buffer
	if err := gguf.Write(&got, meta, tensors); err != nil {
		t.Fatal(err)
	}
	want := newImage(3, 3, 3).str("general.alignment").u32(4).u32(8).str("b").u32(7).raw(1).
		str("a").u32(9).u32(9).u64(2).u32(2).u64(1).raw(1, 0).u32(9).u64(0).
		tensor("y", gguf.I8, 0, 3, 1).tensor("empty", gguf.F32, 8, 0).tensor("x", gguf.F16, 8).
		data(8, 0).raw(1, 2, 3, 0, 0, 0, 0, 0, 8, 9, 0, 0, 0, 0, 0, 0)
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got  %x\nwant %x", got.Bytes(), want)
	}
}

func TestMetadataRoundTrip(t *testing.T) {
	meta := gguf.Metadata{
		{"u8", uint8(1)}, {"i8", int8(-1)}, {"u16", uint16(2)}, {"i16", int16(-2)}, {"u32", uint32(3)}, {"i32", int32(-3)},
		{"u64", uint64(math.MaxUint64)}, {"i64", int64(math.MinInt64)}, {"f32", float32(0.1)}, {"f64", 0.1}, {"bool", false}, {"string", "\xff\x00"},
		{"u8s", []uint8{1}}, {"i8s", []int8{-1}}, {"u16s", []uint16{2}}, {"i16s", []int16{-2}}, {"u32s", []uint32{3}}, {"i32s", []int32{-3}},
		{"u64s", []uint64{4}}, {"i64s", []int64{-4}}, {"f32s", []float32{float32(math.Inf(1))}}, {"f64s", []float64{5}}, {"bools", []bool{true, false}},
		{"strings", []string{"", "a\nb"}}, {"none", []string{}}, {"nested", []any{[]string{"x"}, []any{[]int8{1}}}},
	}
	var file bytes.Buffer
	if err := gguf.Write(&file, meta, nil); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse("x", file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Metadata(); !reflect.DeepEqual(got, meta) {
		t.Errorf("got  %v\nwant %v", got, meta)
	}
}

// Files of llama.cpp's own writer come out byte for byte.
func TestRewriteForeignFiles(t *testing.T) {
	const shared = "../../../shared"
	var paths []string
	for _, pattern := range []string{"golden/gguf/*.gguf", "fixtures/tokenizers/*.gguf"} {
		found, err := filepath.Glob(filepath.Join(shared, pattern))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			t.Log("no " + filepath.Join(shared, pattern))
		}
		paths = append(paths, found...)
	}
	if len(paths) == 0 {
		t.Skip("no GGUF files in " + shared)
	}
	for _, path := range paths {
		f, err := gguf.Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if arch, ok, err := gguf.Get[string](f.Metadata(), "general.architecture"); arch == "" || !ok || err != nil {
			t.Errorf("%s: architecture %q, %v, %v", path, arch, ok, err)
		}
		var got bytes.Buffer
		if err := gguf.Write(&got, f.Metadata(), tensorData(t, f)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		f.Close()
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: %d bytes written differ from its %d", path, got.Len(), len(want))
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	tensor := func(name string, typ gguf.TensorType, data int, dims ...int) gguf.TensorData {
		return gguf.TensorData{Name: name, Type: typ, Dims: dims, WriteTo: writes(make([]byte, data))}
	}
	type count int32
	cases := []struct {
		name    string
		meta    []gguf.KV
		tensors []gguf.TensorData
		want    string
	}{
		{"key twice", []gguf.KV{{"k", "a"}, {"k", "b"}}, nil, "metadata k: given twice"},
		{"empty key", []gguf.KV{{"", "a"}}, nil, "metadata key 0 of 1: empty"},
		{"long key", []gguf.KV{{strings.Repeat("k", 65536), "a"}}, nil, "65536 bytes"},
		{"int", []gguf.KV{{"k", 1}}, nil, "metadata k: no metadata type for a Go int"},
		{"nil", []gguf.KV{{"k", nil}}, nil, "metadata k: no metadata type for a Go <nil>"},
		{"named type", []gguf.KV{{"k", count(1)}}, nil, "metadata k: no metadata type"},
		{"ints", []gguf.KV{{"k", []int{1}}}, nil, "metadata k: no metadata type for a Go []int"},
		{"number in an array of arrays", []gguf.KV{{"k", []any{uint32(1)}}}, nil, "metadata k: element 0: no metadata type"},
		{"nested too deep", []gguf.KV{{"k", []any{[]any{[]any{[]any{[]int8{}}}}}}}, nil, "nested more than 4 deep"},
		{"alignment type", []gguf.KV{{"general.alignment", int32(32)}}, nil, "is int32, want uint32"},
		{"alignment of 24", []gguf.KV{{"general.alignment", uint32(24)}}, nil, "24 is not a power of two"},
		{"tensor twice", nil, []gguf.TensorData{tensor("a", gguf.F32, 4), tensor("a", gguf.F32, 4)}, `tensor "a": given twice`},
		{"name too long for llama.cpp", nil, []gguf.TensorData{tensor(strings.Repeat("n", 64), gguf.F32, 4)}, "name of 64 bytes"},
		{"no name", nil, []gguf.TensorData{tensor("", gguf.F32, 4)}, "without a name"},
		{"no data", nil, []gguf.TensorData{{Name: "a"}}, `tensor "a": no data`},
		{"half a block", nil, []gguf.TensorData{tensor("a", gguf.Q8_0, 17, 16)}, "not whole Q8_0 blocks"},
		{"short data", nil, []gguf.TensorData{tensor("a", gguf.Q8_0, 33, 32)}, `write tensor "a": 33 bytes of data, Q8_0 of dims [32] needs 34`},
		{"long data", nil, []gguf.TensorData{tensor("a", gguf.Q8_0, 35, 32)}, `write tensor "a": more data than type and dims allow`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.gguf")
			err := gguf.WriteFile(path, c.meta, c.tensors)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("WriteFile = %v, want the path and %q", err, c.want)
			}
			if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
				t.Errorf("left %v behind", entries)
			}
		})
	}
}

// Sizes that fit one by one must not overflow together.
func TestWriteRefusesASumPastAnyFile(t *testing.T) {
	var tensors []gguf.TensorData
	for _, name := range strings.Split(strings.Repeat("n", 64), "") {
		tensors = append(tensors, gguf.TensorData{Name: name + string(rune('A'+len(tensors))), Type: gguf.F64, Dims: []int{1 << 54},
			WriteTo: func(io.Writer) error { return errors.New("asked for data") }})
	}
	err := gguf.Write(io.Discard, nil, tensors)
	if err == nil || !strings.Contains(err.Error(), "past the size of any file") {
		t.Errorf("Write = %v", err)
	}
}

type failingWriter struct{ left int }

var errFull = errors.New("no space")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteReportsAFailingWriter(t *testing.T) {
	tensors := []gguf.TensorData{{Name: "a", Type: gguf.I8, Dims: []int{100}, WriteTo: writes(make([]byte, 100))}}
	for left, want := range map[int]string{0: "write header", 60: "write header", 70: `write tensor "a"`, 170: `write tensor "a"`} {
		err := gguf.Write(&failingWriter{left}, nil, tensors)
		if !errors.Is(err, errFull) || !strings.Contains(err.Error(), want) {
			t.Errorf("room for %d bytes: %v, want %q", left, err, want)
		}
	}
}
