package gguf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/gguf"
)

// splitFiles writes the files of a split model, each with a tensor of its own;
// change may edit the image of one.
func splitFiles(t *testing.T, count int, change func(no int, b image) image) string {
	t.Helper()
	dir := t.TempDir()
	for no := range count {
		name := fmt.Sprintf("t%d", no)
		kvs := uint64(2)
		if no == 0 {
			kvs = 4
		}
		b := newImage(3, 1, kvs)
		if no == 0 {
			b = b.str("general.name").u32(8).str("whole").str("split.tensors.count").u32(5).u32(uint32(count))
		}
		b = b.str("split.no").u32(4).u32(uint32(no)).str("split.count").u32(4).u32(uint32(count))
		b = b.tensor(name, gguf.I8, 0, uint64(2+no)).data(32, 2+no)
		if change != nil {
			b = change(no, b)
		}
		path := filepath.Join(dir, fmt.Sprintf("m-%05d-of-%05d.gguf", no+1, count))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, fmt.Sprintf("m-%05d-of-%05d.gguf", 1, count))
}

func TestOpenSplit(t *testing.T) {
	f, err := gguf.Open(splitFiles(t, 3, nil))
	if err != nil {
		t.Fatal(err)
	}
	if want := (gguf.Metadata{{Key: "general.name", Value: "whole"}}); !reflect.DeepEqual(f.Metadata(), want) {
		t.Errorf("metadata %v, want %v", f.Metadata(), want)
	}
	if n := len(f.Tensors()); n != 3 {
		t.Fatalf("%d tensors, want 3", n)
	}
	for no := range 3 {
		data, err := f.Bytes(fmt.Sprintf("t%d", no))
		if err != nil || len(data) != 2+no || data[1] != 1 {
			t.Errorf("tensor of file %d: %v, %v", no, data, err)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenSplitRefuses(t *testing.T) {
	replace := func(no int, from, to image) func(int, image) image {
		return func(i int, b image) image {
			if i == no {
				return image(strings.Replace(string(b), string(from), string(to), 1))
			}
			return b
		}
	}
	key := func(name string, n uint32) image { return image(nil).str(name).u32(4).u32(n) }
	for _, c := range []struct {
		name   string
		change func(int, image) image
		after  func(first string) string // returns what to open
		want   string
	}{
		{"the second", nil, func(p string) string { return strings.Replace(p, "m-00001", "m-00002", 1) }, "open the first"},
		{"another name", nil, func(p string) string {
			os.Rename(p, p+"x")
			return p + "x"
		}, "must end in -00001-of-00003.gguf"},
		{"a missing one", nil, func(p string) string {
			os.Remove(strings.Replace(p, "m-00001", "m-00003", 1))
			return p
		}, "file 3 of 3"},
		{"two of one number", replace(1, key("split.no", 1), key("split.no", 2)), nil, "it is file 3 of 3"},
		{"another count", replace(2, key("split.count", 3), key("split.count", 4)), nil, "it is file 3 of 4"},
		{"a number too many", replace(0, key("split.no", 0), key("split.no", 3)), nil, "split.no: 3 is not one of 3 files"},
		{"no number", replace(0, image(nil).str("split.no"), image(nil).str("split.xx")), nil, "split.no: missing"},
		{"a count of nothing", replace(0, key("split.count", 3), key("split.count", 1<<20)), nil, "split.count: 1048576"},
		{"a name twice", replace(1, image(nil).str("t1"), image(nil).str("t0")), nil, `tensor "t0": is in an earlier file`},
		{"tensors missing", replace(0, image(nil).str("split.tensors.count").u32(5).u32(3), image(nil).str("split.tensors.count").u32(5).u32(4)), nil, "4, the files have 3"},
		{"a truncated one", func(no int, b image) image { return b[:len(b)-no] }, nil, "truncated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := splitFiles(t, 3, c.change)
			if c.after != nil {
				path = c.after(path)
			}
			_, err := gguf.Open(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), filepath.Dir(path)) {
				t.Errorf("error %v, want one with %q that names the file", err, c.want)
			}
		})
	}
}
