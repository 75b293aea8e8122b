package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fullFile is a File whose bytes go to a device that is always full, in the
// place of a temporary file that exists.
func fullFile(t *testing.T) *File {
	t.Helper()
	device, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no device that is always full:", err)
	}
	dir := t.TempDir()
	temp := filepath.Join(dir, TempPrefix+"x")
	for _, path := range []string{temp, filepath.Join(dir, "a")} {
		if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return newFile(filepath.Join(dir, "a"), temp, device)
}

// checkFull wants a full-disk error that names the path, and the old file alone.
func checkFull(t *testing.T, f *File, err error) {
	t.Helper()
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "write "+f.path) {
		t.Errorf("error %v, want no space left and the path %s", err, f.path)
	}
	if _, err := os.Stat(f.temp); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("temporary file: Stat = %v, want not exist", err)
	}
	if got, _ := os.ReadFile(f.path); string(got) != "old" {
		t.Errorf("old file holds %q", got)
	}
}

func TestFullDiskAtWrite(t *testing.T) {
	f := fullFile(t)
	_, err := f.Write(make([]byte, 2*bufferBytes))
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write = %v, want ENOSPC", err)
	}
	checkFull(t, f, f.Commit()) // a caller who ignored it still publishes nothing
}

func TestFullDiskAtCommit(t *testing.T) {
	f := fullFile(t)
	if _, err := io.WriteString(f, "small"); err != nil {
		t.Fatal(err)
	}
	checkFull(t, f, f.Commit())
}
