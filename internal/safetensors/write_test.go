package safetensors_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/safetensors"
)

// reader is what File and Model have in common.
type reader interface {
	Names() []string
	Info(name string) (safetensors.Info, bool)
	Bytes(name string) ([]byte, error)
}

func tensors(t *testing.T, r reader) []safetensors.Tensor {
	t.Helper()
	var all []safetensors.Tensor
	for _, name := range r.Names() {
		info, ok := r.Info(name)
		data, err := r.Bytes(name)
		if !ok || err != nil || int64(len(data)) != info.Size {
			t.Fatalf("tensor %q: %v, %v, %d bytes of %d", name, ok, err, len(data), info.Size)
		}
		all = append(all, safetensors.Tensor{Name: name, Dtype: info.Dtype, Shape: info.Shape, Data: data})
	}
	return all
}

func TestWriteIsTheReferenceWritersBytes(t *testing.T) {
	paths := []string{"testdata/adapter.safetensors", "testdata/mixed.safetensors"}
	const shared = "../../../shared/golden"
	for _, pattern := range []string{"*/*.safetensors", "*/*/*.safetensors", "*/*/*/*.safetensors"} {
		more, err := filepath.Glob(filepath.Join(shared, pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, more...)
	}
	if len(paths) == 2 {
		t.Log("only testdata: no " + shared)
	}
	for _, path := range paths {
		f, err := safetensors.Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		all := tensors(t, f)
		slices.Reverse(all) // the order given must not matter
		var got bytes.Buffer
		if err := safetensors.Write(&got, all, f.Metadata()); err != nil {
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

func TestWriteBytes(t *testing.T) {
	in := []safetensors.Tensor{
		{Name: "h", Dtype: safetensors.F16, Shape: []int{1}, Data: []byte{9, 9}},
		{Name: "q\"\\\x01\t</é\u2028", Dtype: safetensors.U8, Shape: []int{1, 1}, Data: []byte{8}},
		{Name: "b", Dtype: safetensors.F32, Shape: []int{}, Data: []byte{5, 6, 7, 8}},
		{Name: "a", Dtype: safetensors.F32, Shape: []int{1}, Data: []byte{1, 2, 3, 4}},
	}
	var got bytes.Buffer
	if err := safetensors.Write(&got, in, map[string]string{"z": "1", "a": "\n"}); err != nil {
		t.Fatal(err)
	}
	text := `{"__metadata__":{"a":"\n","z":"1"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},` +
		`"b":{"dtype":"F32","shape":[],"data_offsets":[4,8]},"h":{"dtype":"F16","shape":[1],"data_offsets":[8,10]},` +
		`"q\"\\\u0001\t</é` + "\u2028" + `":{"dtype":"U8","shape":[1,1],"data_offsets":[10,11]}}`
	text += strings.Repeat(" ", (8-len(text)%8)%8)
	want := append(file(text, 0), 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 8)
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got  %q\nwant %q", got.Bytes(), want)
	}
	f, err := safetensors.Parse("x", got.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if data, err := f.Bytes(in[1].Name); err != nil || !bytes.Equal(data, []byte{8}) {
		t.Errorf("odd name read back: %v, %v", data, err)
	}
}

func TestWriteRefuses(t *testing.T) {
	f32 := func(name string, data int, shape ...int) safetensors.Tensor {
		return safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: shape, Data: make([]byte, data)}
	}
	cases := []struct {
		name     string
		tensors  []safetensors.Tensor
		metadata map[string]string
		want     string
	}{
		{"short data", []safetensors.Tensor{f32("a", 7, 2)}, nil, `tensor "a": 7 bytes of data, F32 of shape [2] needs 8`},
		{"negative dimensions", []safetensors.Tensor{f32("a", 4, -1, -1)}, nil, "negative"},
		{"twice", []safetensors.Tensor{f32("a", 4, 1), f32("a", 4, 1)}, nil, `tensor "a": given twice`},
		{"reserved name", []safetensors.Tensor{f32("__metadata__", 4, 1)}, nil, "not a possible name"},
		{"name not UTF-8", []safetensors.Tensor{f32("\xff", 4, 1)}, nil, "not a possible name"},
		{"unknown dtype", []safetensors.Tensor{{Name: "a", Dtype: "F33"}}, nil, `unknown dtype "F33"`},
		{"metadata not UTF-8", nil, map[string]string{"k": "\xff"}, `metadata "k"`},
		{"header too long", nil, map[string]string{"k": strings.Repeat("x", 100_000_001)}, "100 MB"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m.safetensors")
			err := safetensors.WriteFile(path, c.tensors, c.metadata)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("WriteFile = %v, want the path and %q", err, c.want)
			}
			if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
				t.Errorf("left %v behind", entries)
			}
		})
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
	in := []safetensors.Tensor{{Name: "a", Dtype: safetensors.U8, Shape: []int{100}, Data: make([]byte, 100)}}
	for left, want := range map[int]string{0: "write header", 90: `write tensor "a"`} {
		err := safetensors.Write(&failingWriter{left}, in, nil)
		if !errors.Is(err, errFull) || !strings.Contains(err.Error(), want) {
			t.Errorf("room for %d bytes: %v, want %q", left, err, want)
		}
	}
}

func TestDtypeSize(t *testing.T) {
	sizes := map[safetensors.Dtype]int{
		safetensors.Bool: 1, safetensors.U8: 1, safetensors.I8: 1, safetensors.F8E4M3: 1, safetensors.F8E5M2: 1, safetensors.F8E8M0: 1,
		safetensors.I16: 2, safetensors.U16: 2, safetensors.F16: 2, safetensors.BF16: 2,
		safetensors.I32: 4, safetensors.U32: 4, safetensors.F32: 4,
		safetensors.I64: 8, safetensors.U64: 8, safetensors.F64: 8, safetensors.C64: 8,
		safetensors.F4: 0, safetensors.F6E2M3: 0, safetensors.F6E3M2: 0, "X": 0,
	}
	for d, want := range sizes {
		if got := d.Size(); got != want {
			t.Errorf("%s: Size = %d, want %d", d, got, want)
		}
	}
	if got := safetensors.F6E2M3.Bits(); got != 6 {
		t.Errorf("F6_E2M3: Bits = %d, want 6", got)
	}
}
