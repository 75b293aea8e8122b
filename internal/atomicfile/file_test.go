package atomicfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/retort-ml/retort/internal/atomicfile"
)

// onlyFile fails unless dir holds exactly the file name with content want.
func onlyFile(t *testing.T, dir, name, want string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("directory holds %v, want only %s", entries, name)
	}
	got, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s holds %q, want %q", name, got, want)
	}
}

func TestWriteCreatesAndReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	for _, content := range []string{"one", "", strings.Repeat("long ", 100_000)} {
		err := atomicfile.Write(path, func(w io.Writer) error {
			_, err := io.WriteString(w, content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		onlyFile(t, dir, "a.txt", content)
	}
}

func TestWriteKeepsOldFileOnFailure(t *testing.T) {
	wantErr := errors.New("the 17th row is odd")
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	if err := atomicfile.WriteBytes(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	err := atomicfile.Write(path, func(w io.Writer) error {
		w.Write(bytes.Repeat([]byte("half"), 100_000))
		return wantErr
	})
	if !errors.Is(err, wantErr) || !strings.Contains(err.Error(), path) {
		t.Errorf("Write = %v, want the cause and the path %s", err, path)
	}
	onlyFile(t, dir, "a.txt", "old")
}

func TestWriteKeepsOldFileOnPanic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	if err := atomicfile.WriteBytes(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("Write swallowed the panic")
			}
		}()
		atomicfile.Write(path, func(w io.Writer) error {
			io.WriteString(w, "half")
			panic("boom")
		})
	}()
	onlyFile(t, dir, "a.txt", "old")
}

func TestFileIsInvisibleUntilCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	f, err := atomicfile.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	if _, err := io.WriteString(f, "content"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before Commit Stat = %v, want not exist", err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 || !strings.HasPrefix(entries[0].Name(), atomicfile.TempPrefix) {
		t.Errorf("directory holds %v, want one file with prefix %s", entries, atomicfile.TempPrefix)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dir, "a.txt", "content")
	if err := f.Abort(); err != nil {
		t.Errorf("Abort after Commit = %v, want nil", err)
	}
	onlyFile(t, dir, "a.txt", "content")
}

func TestFileAfterItsEnd(t *testing.T) {
	ends := map[string]func(*atomicfile.File) error{
		"commit": (*atomicfile.File).Commit,
		"abort":  (*atomicfile.File).Abort,
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			f, err := atomicfile.Create(filepath.Join(t.TempDir(), "a"))
			if err != nil {
				t.Fatal(err)
			}
			if err := end(f); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("Write = %v, want ErrClosed", err)
			}
			if err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("Commit = %v, want ErrClosed", err)
			}
			if err := f.Abort(); err != nil {
				t.Errorf("Abort = %v, want nil", err)
			}
		})
	}
}

func TestWriteNamesThePathItCannotWrite(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "full", "x"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"missing directory":    filepath.Join(dir, "none", "a"),
		"a directory is there": filepath.Join(dir, "full"),
		"parent is a file":     filepath.Join(dir, "file", "a"),
		"name too long":        filepath.Join(dir, strings.Repeat("n", 300)),
	}
	for name, path := range cases {
		t.Run(name, func(t *testing.T) {
			err := atomicfile.WriteBytes(path, []byte("x"))
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), atomicfile.TempPrefix) {
				t.Errorf("error %q, want it to name %s and not the temporary file", err, path)
			}
		})
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 2 {
		t.Errorf("directory holds %v, want the two files of before", entries)
	}
	if err := atomicfile.WriteBytes("", nil); err == nil {
		t.Error("empty path: no error")
	}
}

func TestConcurrentWritersLeaveOneWholeFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.txt")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			content := bytes.Repeat(fmt.Append(nil, i), 200_000)
			if err := atomicfile.WriteBytes(path, content); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 200_000 || len(bytes.Trim(got, string(got[:1]))) != 0 {
		t.Errorf("file of %d bytes is a mixture", len(got))
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("directory holds %v, want one file", entries)
	}
}
