package pipeline

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func mustLock(t *testing.T, path string, shared bool) *lock {
	t.Helper()
	l, err := tryLock(path, shared)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLocksExclude(t *testing.T) {
	tests := []struct {
		name          string
		first, second bool // shared
		want          bool // the second gets it
	}{
		{"two writers", false, false, false},
		{"writer, reader", false, true, false},
		{"reader, writer", true, false, false},
		{"two readers", true, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lock")
			first := mustLock(t, path, tt.first)
			second := mustLock(t, path, tt.second)
			if (second != nil) != tt.want {
				t.Errorf("second got it: %v, want %v", second != nil, tt.want)
			}
			for _, l := range []*lock{first, second} {
				if l == nil {
					continue
				}
				if err := l.release(); err != nil {
					t.Error(err)
				}
			}
			if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// The file of a lock is removed on release; nobody may hold the lock on a
// removed file beside one who holds it on a new one.
func TestLockUnderContention(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var holders, taken atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				l, err := tryLock(path, false)
				if err != nil {
					t.Error(err)
					return
				}
				if l == nil {
					continue
				}
				taken.Add(1)
				if holders.Add(1) > 1 {
					t.Error("two hold an exclusive lock")
				}
				runtime.Gosched()
				holders.Add(-1)
				if err := l.release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if taken.Load() == 0 {
		t.Error("nobody ever got the lock")
	}
}

func TestLockHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if held, err := lockHeld(path); held || err != nil {
		t.Errorf("no file: held %v, %v", held, err)
	}
	l := mustLock(t, path, false)
	if got := lockHolder(path); got != "another process" {
		t.Errorf("unsigned: %q", got)
	}
	for signed, want := range map[string]string{"process 1 on box": "process 1 on box", "\x1b[31mred": "[31mred", "": "another process"} {
		if err := l.sign(signed); err != nil {
			t.Fatal(err)
		}
		if got := lockHolder(path); got != want {
			t.Errorf("signed %q: %q, want %q", signed, got, want)
		}
	}
	if held, err := lockHeld(path); !held || err != nil {
		t.Errorf("held %v, %v", held, err)
	}
	if err := l.release(); err != nil {
		t.Fatal(err)
	}
}

func FuzzReadManifest(f *testing.F) {
	f.Add([]byte(`{"format":1,"id":"0","kind":"k","options":{},"inputs":[],"files":[{"path":"a","size":1,"sha256":"0"}]}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"format":1,"options":`))
	dir := filepath.Join(f.TempDir(), "k-0123456789abcdef")
	if err := os.Mkdir(dir, 0o777); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, manifestName), data, 0o666); err != nil {
			t.Fatal(err)
		}
		m, err := readManifest(dir)
		if err == nil && dirName(m.Kind, m.ID) != filepath.Base(dir) {
			t.Errorf("took %q for the manifest of %s", data, dir)
		}
		if err == nil {
			_ = m.checkSizes(dir)
		}
	})
}
