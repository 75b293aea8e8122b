package gguf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/gguf"
)

// image builds a file field by field, sound or not.
type image []byte

func newImage(version uint32, tensors, kvs uint64) image {
	return image("GGUF").u32(version).u64(tensors).u64(kvs)
}

func (b image) u32(v uint32) image { return binary.LittleEndian.AppendUint32(b, v) }
func (b image) u64(v uint64) image { return binary.LittleEndian.AppendUint64(b, v) }
func (b image) str(s string) image { return append(b.u64(uint64(len(s))), s...) }
func (b image) raw(v ...byte) image {
	return append(b, v...)
}

func (b image) tensor(name string, t gguf.TensorType, offset uint64, dims ...uint64) image {
	b = b.str(name).u32(uint32(len(dims)))
	for _, n := range dims {
		b = b.u64(n)
	}
	return b.u32(uint32(t)).u64(offset)
}

// data pads to a multiple of align and appends 0, 1, 2, … n-1.
func (b image) data(align, n int) image {
	for len(b)%align != 0 {
		b = append(b, 0)
	}
	for i := range n {
		b = append(b, byte(i))
	}
	return b
}

func TestParse(t *testing.T) {
	for _, version := range []uint32{2, 3} {
		b := newImage(version, 3, 4).
			str("general.alignment").u32(4).u32(64).
			str("name").u32(8).str("retort\x00é").
			str("ids").u32(9).u32(5).u64(2).u32(math.MaxUint32).u32(7).
			str("nested").u32(9).u32(9).u64(2).u32(8).u64(1).str("x").u32(7).u64(2).raw(1, 0).
			tensor("second", gguf.Q8_0, 64, 32, 2).
			tensor("first", gguf.F32, 0, 3).
			tensor("scalar", gguf.BF16, 192).data(64, 194)
		f, err := gguf.Parse("x", b)
		if err != nil {
			t.Fatal(err)
		}
		wantMeta := gguf.Metadata{{"general.alignment", uint32(64)}, {"name", "retort\x00é"}, {"ids", []int32{-1, 7}},
			{"nested", []any{[]string{"x"}, []bool{true, false}}}}
		if got := f.Metadata(); !reflect.DeepEqual(got, wantMeta) {
			t.Errorf("Metadata = %v, want %v", got, wantMeta)
		}
		cases := []struct {
			name  string
			typ   gguf.TensorType
			dims  []int
			begin byte
			size  int64
		}{{"second", gguf.Q8_0, []int{32, 2}, 64, 68}, {"first", gguf.F32, []int{3}, 0, 12}, {"scalar", gguf.BF16, []int{}, 192, 2}}
		for i, c := range cases {
			got, ok := f.Tensor(c.name)
			if !ok || got.Name != c.name || got.Type != c.typ || !reflect.DeepEqual(got.Dims, c.dims) || got.Size != c.size {
				t.Errorf("Tensor(%s) = %v, %v, want %v", c.name, got, ok, c)
			}
			if !reflect.DeepEqual(f.Tensors()[i], got) {
				t.Errorf("Tensors()[%d] = %v, want %v", i, f.Tensors()[i], got)
			}
			data, err := f.Bytes(c.name)
			if err != nil || int64(len(data)) != c.size || cap(data) != len(data) || data[0] != c.begin {
				t.Errorf("Bytes(%s) = %v, %v", c.name, data, err)
			}
		}
		if _, ok := f.Tensor("none"); ok {
			t.Error("Tensor found one that is not there")
		}
		if _, err := f.Bytes("none"); err == nil || !strings.Contains(err.Error(), `"none"`) {
			t.Errorf("Bytes of no tensor: %v", err)
		}
	}
}

func TestParseRefusesMetadata(t *testing.T) {
	kv := func(key string, valueType uint32) image { return newImage(3, 0, 1).str(key).u32(valueType) }
	deep := kv("k", 9)
	for range 100_000 {
		deep = deep.u32(9).u64(1)
	}
	cases := []struct {
		name string
		file image
		want string
	}{
		{"empty", nil, "not a GGUF file"},
		{"other magic", image("GGML").u32(3).u64(0).u64(0), "not a GGUF file"},
		{"no version", image("GGUF"), "version: 4 bytes needed"},
		{"version 1", newImage(1, 0, 0), "version 1 is not supported"},
		{"big-endian", newImage(3<<24, 0, 0), "big-endian"},
		{"huge metadata count", newImage(3, 0, math.MaxUint64), "metadata count: count of 18446744073709551615"},
		{"huge tensor count", newImage(3, math.MaxUint64, 0), "tensors: count of 18446744073709551615"},
		{"tensors missing", newImage(3, 1, 0), "tensors: count of 1"},
		{"huge key length", newImage(3, 0, 1).u64(1<<62).data(1, 20), "metadata key 0 of 1: 4611686018427387904 bytes needed"},
		{"empty key", newImage(3, 0, 1).str("").u32(8).str("longer"), "metadata key 0 of 1: empty"},
		{"key too long", kv(strings.Repeat("k", 70_000), 0).raw(1), "70000 bytes"},
		{"duplicate key", newImage(3, 0, 2).str("k").u32(0).raw(1).str("k").u32(0).raw(1), "metadata k: occurs twice"},
		{"unknown type", kv("k", 13).raw(0), "metadata k: unknown value type 13"},
		{"type past int32", kv("k", math.MaxUint32).raw(0), "metadata k: unknown value type 4294967295"},
		{"unknown element type", kv("k", 9).u32(13).u64(0), "metadata k: unknown value type 13"},
		{"number cut", kv("k", 10).raw(1, 2), "metadata k: count of 1 needs more than the 2 bytes left"},
		{"string cut", kv("k", 8).u64(5).raw('a'), "metadata k: 5 bytes needed"},
		{"huge string", kv("k", 8).u64(math.MaxUint64), "metadata k: 18446744073709551615 bytes needed"},
		{"huge array of numbers", kv("k", 9).u32(10).u64(1 << 61).raw(1), "metadata k: count of 2305843009213693952"},
		{"huge array of strings", kv("k", 9).u32(8).u64(1 << 40).str("a"), "metadata k: count of"},
		{"huge array of arrays", kv("k", 9).u32(9).u64(1 << 40).u32(0).u64(0), "metadata k: count of"},
		{"string in array cut", kv("k", 9).u32(8).u64(2).str("").u64(3), "metadata k: element 1 of 2: 3 bytes needed"},
		{"nested without end", deep, "nested more than 4 deep"},
		{"nested five deep", kv("k", 9).u32(9).u64(1).u32(9).u64(1).u32(9).u64(1).u32(9).u64(1).u32(0).u64(0), "nested more than 4 deep"},
		{"bool of 2", kv("k", 7).raw(2), "metadata k: element 0: 2 is not a bool"},
		{"bool of 2 in array", kv("k", 9).u32(7).u64(2).raw(0, 2), "metadata k: element 1: 2 is not a bool"},
		{"alignment of 0", kv("general.alignment", 4).u32(0), "general.alignment: 0 is not a multiple of 8"},
		{"alignment of 12", kv("general.alignment", 4).u32(12), "general.alignment: 12 is not a multiple of 8"},
		{"alignment of another type", kv("general.alignment", 10).u64(32), "general.alignment: is uint64, want uint32"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { checkRefused(t, c.file, c.want) })
	}
}

func TestParseRefusesTensors(t *testing.T) {
	one := func(n uint64) image { return newImage(3, n, 0) }
	cases := []struct {
		name string
		file image
		want string
	}{
		{"no name", one(1).tensor("", gguf.F32, 0, 1).data(32, 4), "name of tensor 0 of 1: tensor without a name"},
		{"long name", one(1).tensor(strings.Repeat("n", 65), gguf.F32, 0, 1).data(32, 4), "name of 65 bytes"},
		{"twice", one(2).tensor("a", gguf.F32, 0, 1).tensor("a", gguf.F32, 32, 1).data(32, 36), `tensor "a": occurs twice`},
		{"five dims", one(1).tensor("a", gguf.F32, 0, 1, 1, 1, 1, 1).data(32, 4), `tensor "a": 5 dimensions`},
		{"huge dims count", one(1).str("a").u32(math.MaxUint32).data(32, 64), `tensor "a": 4294967295 dimensions`},
		{"removed type", one(1).tensor("a", 4, 0, 32).data(32, 64), `tensor "a": unknown tensor type 4`},
		{"half a block", one(1).tensor("a", gguf.Q4_0, 0, 48).data(32, 64), `tensor "a": rows of 48 elements are not whole Q4_0 blocks of 32`},
		{"a scalar in blocks", one(1).tensor("a", gguf.Q4_0, 0).data(32, 64), "rows of 1 elements"},
		{"dimension past int64", one(1).tensor("a", gguf.F32, 0, 1<<63).data(32, 64), "dimension 0: 9223372036854775808"},
		{"product overflows to the right size", one(1).tensor("a", gguf.F32, 0, 1<<62, 4, 2).data(32, 64), "larger than any file"},
		{"bytes overflow", one(1).tensor("a", gguf.F64, 0, 1<<61).data(32, 64), "larger than any file"},
		{"overflow hidden by a zero", one(1).tensor("a", gguf.F32, 0, 1<<62, 4, 0).data(32, 64), "larger than any file"},
		{"offset past int64", one(1).tensor("a", gguf.F32, math.MaxUint64-31, 1).data(32, 64), "offset: 18446744073709551584"},
		{"misaligned", one(1).tensor("a", gguf.F32, 4, 1).data(32, 64), `tensor "a": offset 4 is not a multiple of the alignment, 32`},
		{"past the end", one(1).tensor("a", gguf.F32, 64, 1).data(32, 64), `tensor "a": needs 4 bytes at offset 64 after byte 64, file has 64 after it: truncated`},
		{"one byte short", one(1).tensor("a", gguf.F32, 0, 2).data(32, 7), `tensor "a": needs 8 bytes`},
		{"no data at all", one(1).tensor("a", gguf.F32, 0, 2), `tensor "a": needs 8 bytes`},
		{"overlap", one(2).tensor("a", gguf.F32, 32, 1).tensor("b", gguf.F32, 0, 9).data(32, 64), `tensor "a": overlaps "b"`},
		{"overlap later", one(2).tensor("a", gguf.F32, 32, 10).tensor("b", gguf.F32, 64, 1).data(32, 100), `tensor "b": overlaps "a"`},
		{"same place", one(2).tensor("a", gguf.F32, 0, 1).tensor("b", gguf.F32, 0, 1).data(32, 64), "overlaps"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { checkRefused(t, c.file, c.want) })
	}
}

func checkRefused(t *testing.T, file image, want string) {
	t.Helper()
	_, err := gguf.Parse("m.gguf", file)
	if err == nil {
		t.Fatalf("no error, want %q", want)
	}
	if !strings.HasPrefix(err.Error(), "read m.gguf: ") || !strings.Contains(err.Error(), want) {
		t.Errorf("error %q, want it to name the file and say %q", err, want)
	}
}

func TestParseTruncatedAnywhere(t *testing.T) {
	whole := newImage(3, 1, 2).str("a").u32(8).str("value").str("b").u32(9).u32(8).u64(2).str("x").str("y").
		tensor("t", gguf.F32, 0, 5).data(32, 20)
	if _, err := gguf.Parse("x", whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := gguf.Parse("x", whole[:n]); err == nil {
			t.Errorf("first %d of %d bytes: no error", n, len(whole))
		}
	}
}

func TestOpenAndClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.gguf")
	if _, err := gguf.Open(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open of no file = %v", err)
	}
	if err := os.WriteFile(path, newImage(3, 1, 0).tensor("t", gguf.I8, 0, 2).data(32, 2), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := f.Bytes("t"); err != nil || !bytes.Equal(data, []byte{0, 1}) {
		t.Errorf("Bytes = %v, %v", data, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Bytes("t"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Bytes after Close = %v, want ErrClosed", err)
	}
	if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("second Close = %v, want ErrClosed", err)
	}
}

// FuzzParse wants no panic, and whatever is accepted to survive being written.
func FuzzParse(f *testing.F) {
	f.Add([]byte(newImage(3, 2, 3).str("general.alignment").u32(4).u32(64).str("s").u32(8).str("x").
		str("n").u32(9).u32(9).u64(1).u32(6).u64(1).u32(1).
		tensor("a", gguf.Q4_0, 64, 32, 2).tensor("b", gguf.F16, 0, 3).data(64, 100)))
	f.Add([]byte(newImage(2, 0, 1).str("k").u32(9).u32(8).u64(2).str("a").str("b")))
	f.Fuzz(func(t *testing.T, content []byte) {
		in, err := gguf.Parse("in", content)
		if err != nil {
			return
		}
		// Files may have alignments and names that are not written.
		var first, second bytes.Buffer
		if err := gguf.Write(&first, in.Metadata(), tensorData(t, in)); err != nil {
			return
		}
		out, err := gguf.Parse("out", first.Bytes())
		if err != nil {
			t.Fatalf("read what was written: %v", err)
		}
		if err := gguf.Write(&second, out.Metadata(), tensorData(t, out)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Error("writing twice gave different bytes")
		}
	})
}
