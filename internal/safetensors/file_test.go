package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/safetensors"
)

// file returns a file with the header text and n bytes of tensors 0, 1, 2, ….
func file(text string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	b = append(b, text...)
	for i := range n {
		b = append(b, byte(i))
	}
	return b
}

func TestParse(t *testing.T) {
	f, err := safetensors.Parse("x", file(`{"b":{"data_offsets":[4,10],"shape":[3,1],"dtype":"BF16","later":{"field":[1]}},`+
		`"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},`+
		`"empty":{"dtype":"I64","shape":[2,0],"data_offsets":[4,4]},"é\n":{"dtype":"F4","shape":[4],"data_offsets":[10,12]}}   `, 12))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.Names(), []string{"a", "b", "empty", "é\n"}; !reflect.DeepEqual(got, want) {
		t.Errorf("Names = %q, want %q", got, want)
	}
	if got := f.Metadata(); !reflect.DeepEqual(got, map[string]string{"k": "v"}) {
		t.Errorf("Metadata = %v", got)
	}
	cases := []struct {
		name string
		info safetensors.Info
		data []byte
	}{
		{"a", safetensors.Info{Dtype: safetensors.F32, Shape: []int{}, Size: 4}, []byte{0, 1, 2, 3}},
		{"b", safetensors.Info{Dtype: safetensors.BF16, Shape: []int{3, 1}, Size: 6}, []byte{4, 5, 6, 7, 8, 9}},
		{"empty", safetensors.Info{Dtype: safetensors.I64, Shape: []int{2, 0}}, []byte{}},
		{"é\n", safetensors.Info{Dtype: safetensors.F4, Shape: []int{4}, Size: 2}, []byte{10, 11}},
	}
	for _, c := range cases {
		if got, ok := f.Info(c.name); !ok || !reflect.DeepEqual(got, c.info) {
			t.Errorf("Info(%q) = %v, %v, want %v", c.name, got, ok, c.info)
		}
		got, err := f.Bytes(c.name)
		if err != nil || !bytes.Equal(got, c.data) {
			t.Errorf("Bytes(%q) = %v, %v, want %v", c.name, got, err, c.data)
		}
		if cap(got) != len(got) {
			t.Errorf("Bytes(%q) lets append write into the next tensor", c.name)
		}
	}
	if _, ok := f.Info("none"); ok {
		t.Error("Info found a tensor that is not there")
	}
	if _, err := f.Bytes("none"); err == nil || !strings.Contains(err.Error(), `"none"`) {
		t.Errorf("Bytes of no tensor: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	const good = `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	one := func(fields string) []byte { return file(`{"a":{`+fields+`}}`, 8) }
	two := func(a, b string, n int) []byte {
		return file(`{"a":{"dtype":"U8","shape":`+a+`},"b":{"dtype":"U8","shape":`+b+`}}`, n)
	}
	cases := []struct {
		name string
		file []byte
		want string
	}{
		{"empty file", nil, "file of 0 bytes"},
		{"seven bytes", make([]byte, 7), "truncated"},
		{"header of zero bytes", make([]byte, 8), "does not start with '{'"},
		{"huge header length", bytes.Repeat([]byte{0xff}, 16), "exceeds the limit"},
		{"header past the end", file(good, 8)[:40], "header needs 62 bytes, file has 40: truncated"},
		{"header one byte short", file(good, 0)[:61], "header needs 62 bytes, file has 61: truncated"},
		{"truncated data", file(good, 7), "header and tensors need 70 bytes, file has 69: truncated"},
		{"trailing data", file(good, 9), "1 bytes belong to nothing"},
		{"space before header", file(" "+good, 8), "does not start with '{'"},
		{"text after header", file(good+"x", 8), "JSON"},
		{"not JSON", file(`{"a":`, 0), "JSON"},
		{"not UTF-8", file("{\"\xff\":1}", 0), "UTF-8"},
		{"tensor is no object", file(`{"a":1}`, 0), `tensor "a": 1 in place of {`},
		{"duplicate tensor", file(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0), `duplicate key "a"`},
		{"duplicate tensor by escape", file(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{}}`, 0), `duplicate key "a"`},
		{"duplicate field", one(`"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]`), `duplicate key "dtype"`},
		{"duplicate metadata", file(`{"__metadata__":{"k":"v","k":"v"}}`, 0), `duplicate key "k"`},
		{"metadata number", file(`{"__metadata__":{"k":1}}`, 0), "is not a string"},
		{"no dtype", one(`"shape":[2],"data_offsets":[0,8]`), "no dtype"},
		{"no shape", one(`"dtype":"F32","data_offsets":[0,8]`), "no shape"},
		{"no offsets", one(`"dtype":"F32","shape":[2]`), "no data_offsets"},
		{"dtype null", one(`"dtype":null,"shape":[2],"data_offsets":[0,8]`), "is not a string"},
		{"unknown dtype", one(`"dtype":"f32","shape":[2],"data_offsets":[0,8]`), `unknown dtype "f32"`},
		{"negative dimension", one(`"dtype":"F32","shape":[-2],"data_offsets":[0,8]`), "-2 is not a size"},
		{"fractional dimension", one(`"dtype":"F32","shape":[2.0],"data_offsets":[0,8]`), "2.0 is not a size"},
		{"dimension past int64", one(`"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]`), "is not a size"},
		{"shape is a string", one(`"dtype":"F32","shape":"2","data_offsets":[0,8]`), "in place of ["},
		{"nested shape", one(`"dtype":"F32","shape":[[2]],"data_offsets":[0,8]`), "is not a number"},
		{"product overflows to the right size", one(`"dtype":"F32","shape":[4611686018427387904,4,2],"data_offsets":[0,8]`), "larger than any file"},
		{"overflow hidden by a zero", one(`"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]`), "larger than any file"},
		{"shape smaller than range", one(`"dtype":"F16","shape":[2],"data_offsets":[0,8]`), "hold 8 bytes, F16 of shape [2] needs 4"},
		{"half a byte", one(`"dtype":"F4","shape":[3],"data_offsets":[0,8]`), "whole bytes"},
		{"three offsets", one(`"dtype":"F32","shape":[2],"data_offsets":[0,8,9]`), "is not [begin, end]"},
		{"offsets backwards", one(`"dtype":"F32","shape":[2],"data_offsets":[8,0]`), "is not [begin, end]"},
		{"hole at start", one(`"dtype":"F32","shape":[1],"data_offsets":[4,8]`), "hole after byte 0"},
		{"hole", two(`[2],"data_offsets":[0,2]`, `[2],"data_offsets":[3,5]`, 5), `tensor "b": begins at byte 3, which leaves a hole after byte 2`},
		{"overlap", two(`[2],"data_offsets":[0,2]`, `[2],"data_offsets":[1,3]`, 3), "inside the tensor before it"},
		{"same bytes twice", two(`[2],"data_offsets":[0,2]`, `[2],"data_offsets":[0,2]`, 2), "inside the tensor before it"},
		{"size near the largest integer", file(`{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}`, 8), "larger than any file"},
		{"largest size", file(`{"a":{"dtype":"U8","shape":[1152921504606846975],"data_offsets":[0,1152921504606846975]}}`, 8), "truncated"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := safetensors.Parse("m.safetensors", c.file)
			if err == nil {
				t.Fatalf("no error, want %q", c.want)
			}
			if !strings.HasPrefix(err.Error(), "read m.safetensors: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want it to name the file and say %q", err, c.want)
			}
		})
	}
}

// A damaged length must be found before it is allocated.
func TestOpenTruncatedAnywhere(t *testing.T) {
	whole, err := os.ReadFile("testdata/adapter.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(whole); n += 97 {
		if _, err := safetensors.Parse("x", whole[:n]); err == nil {
			t.Fatalf("first %d of %d bytes: no error", n, len(whole))
		}
	}
}

func TestOpenAndClose(t *testing.T) {
	f, err := safetensors.Open("testdata/mixed.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if info, ok := f.Info("input_ids"); !ok || info.Dtype != safetensors.I32 || !reflect.DeepEqual(info.Shape, []int{3, 20}) {
		t.Errorf("input_ids: %v, %v", info, ok)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Bytes("input_ids"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Bytes after Close = %v, want ErrClosed", err)
	}
	if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("second Close = %v, want ErrClosed", err)
	}
	path := filepath.Join(t.TempDir(), "none")
	if _, err := safetensors.Open(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open of no file = %v", err)
	}
}

// FuzzParse wants no panic, and whatever is accepted to survive being written.
func FuzzParse(f *testing.F) {
	for _, path := range []string{"testdata/adapter.safetensors", "testdata/mixed.safetensors"} {
		whole, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(whole)
	}
	f.Add(file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"k":"v"}}`, 8))
	f.Add(file(`{}`, 0))
	f.Fuzz(func(t *testing.T, content []byte) {
		in, err := safetensors.Parse("in", content)
		if err != nil {
			return
		}
		var first, second bytes.Buffer
		if err := safetensors.Write(&first, tensors(t, in), in.Metadata()); err != nil {
			t.Fatalf("write what was read: %v", err)
		}
		out, err := safetensors.Parse("out", first.Bytes())
		if err != nil {
			t.Fatalf("read what was written: %v", err)
		}
		if err := safetensors.Write(&second, tensors(t, out), out.Metadata()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Error("writing twice gave different bytes")
		}
	})
}
