package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := WriteBytes(path, []byte("content")); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data, _, err := readFile(file, 7)
	if err != nil || string(data) != "content" {
		t.Errorf("readFile = %q, %v", data, err)
	}
	if _, _, err := readFile(file, 1); !errors.Is(err, io.EOF) {
		t.Errorf("reading past the end = %v, want EOF", err)
	}
}
