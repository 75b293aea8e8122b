package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/atomicfile"
)

func makeTree(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "sub", "empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sub", "f"), []byte("content"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
}

func TestRenameDir(t *testing.T) {
	for name, to := range map[string]string{"same parent": "b", "other parent": "p/b"} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			from, to := filepath.Join(root, "a"), filepath.Join(root, to)
			makeTree(t, from)
			if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := atomicfile.RenameDir(from, to); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(filepath.Join(to, "sub", "f")); string(got) != "content" {
				t.Errorf("file holds %q", got)
			}
			if _, err := os.Lstat(from); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("source: Lstat = %v, want not exist", err)
			}
		})
	}
}

func TestRenameDirRefusesWhatExists(t *testing.T) {
	targets := map[string]func(path string) error{
		"empty directory": func(path string) error { return os.Mkdir(path, 0o777) },
		"directory":       func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o777) },
		"file":            func(path string) error { return os.WriteFile(path, nil, 0o666) },
		"dangling link":   func(path string) error { return os.Symlink("nowhere", path) },
	}
	for name, make := range targets {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			from, to := filepath.Join(root, "a"), filepath.Join(root, "b")
			makeTree(t, from)
			if err := make(to); err != nil {
				t.Fatal(err)
			}
			err := atomicfile.RenameDir(from, to)
			if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), to) {
				t.Errorf("RenameDir = %v, want ErrExist naming %s", err, to)
			}
			if _, err := os.Stat(filepath.Join(from, "sub", "f")); err != nil {
				t.Errorf("source was touched: %v", err)
			}
		})
	}
}

func TestRenameDirNamesWhatItCannotRename(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "dir")
	makeTree(t, dir)
	cases := []struct{ name, from, to string }{
		{"missing source", filepath.Join(root, "none"), filepath.Join(root, "b")},
		{"source is a file", file, filepath.Join(root, "b")},
		{"missing parent", dir, filepath.Join(root, "none", "b")},
		{"into itself", dir, filepath.Join(dir, "b")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := atomicfile.RenameDir(c.from, c.to)
			if err == nil || !strings.Contains(err.Error(), c.from) || !strings.Contains(err.Error(), c.to) {
				t.Errorf("RenameDir = %v, want an error naming both", err)
			}
		})
	}
}
