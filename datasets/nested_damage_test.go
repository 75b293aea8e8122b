package datasets

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// nestedFile is a small file with lists in lists.
func nestedFile(t testing.TB, options ...parquet.WriterOption) []byte {
	type call struct {
		Name string   `parquet:"name"`
		Args []string `parquet:"args,list"`
	}
	type message struct {
		Role    string  `parquet:"role,dict"`
		Content *string `parquet:"content,optional"`
		Calls   []call  `parquet:"calls,list"`
	}
	type row struct {
		Messages []message         `parquet:"messages,list"`
		Attrs    map[string]string `parquet:"attrs"`
	}
	var rows []row
	for i := range 40 {
		text := fmt.Sprint("text ", i)
		r := row{Attrs: map[string]string{"k": text}}
		for j := range i % 4 {
			r.Messages = append(r.Messages, message{Role: "user", Content: &text, Calls: make([]call, j)}, message{Role: "assistant", Calls: []call{{"f", []string{"a", "b"}}}})
		}
		rows = append(rows, r)
	}
	path := filepath.Join(t.TempDir(), "nested.parquet")
	if err := parquet.WriteFile(path, rows, append(options, parquet.PageBufferSize(200), parquet.MaxRowsPerRowGroup(25))...); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// readNested reads both columns of a file, and says how many rows it has.
func readNested(t testing.TB, data []byte) (rows int, err error) {
	path := filepath.Join(t.TempDir(), "damaged.parquet")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := openParquetRows(path, []wanted{{name: "messages"}, {name: "attrs"}})
	if err != nil {
		return 0, err
	}
	defer r.Close()
	to := row{cells: make([]cell, 2)}
	for {
		if err := r.next(&to); err == io.EOF {
			return rows, nil
		} else if err != nil {
			return rows, err
		}
		rows++
	}
}

// A damaged nested file is an error that names it, or reads as something: it
// never panics, hangs or grows.
func TestDamagedNestedFiles(t *testing.T) {
	for _, version := range []int{1, 2} {
		data := nestedFile(t, parquet.DataPageVersion(version))
		if n, err := readNested(t, data); n != 40 || err != nil {
			t.Fatalf("undamaged: %d rows, %v", n, err)
		}
		failed := 0
		for at := 4; at < len(data); at += 29 {
			for _, flip := range []byte{0x01, 0x80, 0xff} {
				damaged := append([]byte(nil), data...)
				damaged[at] ^= flip
				if _, err := readNested(t, damaged); err != nil {
					if failed++; !strings.Contains(err.Error(), "damaged.parquet") {
						t.Fatalf("byte %d: the error does not name the file: %v", at, err)
					}
				}
			}
		}
		if failed < 12 {
			t.Errorf("only %d damages were seen", failed)
		}
	}
}

func FuzzNestedParquet(f *testing.F) {
	f.Add(nestedFile(f))
	f.Add(nestedFile(f, parquet.DataPageVersion(1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := readNested(t, data); err != nil && !strings.Contains(err.Error(), "damaged.parquet") {
			t.Errorf("the error does not name the file: %v", err)
		}
	})
}
