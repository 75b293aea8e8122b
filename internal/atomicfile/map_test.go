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

func TestMap(t *testing.T) {
	for _, content := range []string{"", "x", strings.Repeat("0123456789", 10_000)} {
		path := filepath.Join(t.TempDir(), "a")
		if err := atomicfile.WriteBytes(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		m, err := atomicfile.Map(path)
		if err != nil {
			t.Fatal(err)
		}
		// A replaced file stays readable through its mapping.
		if err := atomicfile.WriteBytes(path, []byte("new")); err != nil {
			t.Fatal(err)
		}
		if string(m.Bytes()) != content {
			t.Errorf("mapping of %d bytes differs from the file's %d", len(m.Bytes()), len(content))
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if m.Bytes() != nil {
			t.Error("Bytes after Close is not nil")
		}
		if err := m.Close(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("second Close = %v, want ErrClosed", err)
		}
	}
}

func TestMapRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{
		"directory": dir,
		"device":    os.DevNull,
		"missing":   filepath.Join(dir, "none"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := atomicfile.Map(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("Map = %v, want an error naming %s", err, path)
			}
		})
	}
}
