package pipeline_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/retort-ml/retort/pipeline"
	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of one MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("cannot mount a small file system here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, zeros{}, 2<<20)
	return errors.Join(err, f.Close())
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestFullDiskInAStage(t *testing.T) {
	s := openStore(t, filepath.Join(smallDisk(t), "store"))
	full := failing(nil, func(_ context.Context, w *pipeline.Work) error { return fill(filepath.Join(w.Dir, "large")) })
	r, err := pipeline.Run(t.Context(), s, full, pipeline.Options{})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v, want no space left", err)
	}
	// What the stage wrote was removed first, so there was room for the record.
	if list, err := s.Runs(); err != nil || list[0].Status != pipeline.Failed || outcomes(r) != "a:ran bad:failed after:pending" {
		t.Errorf("runs %+v, %v", list, err)
	}
	if list := verifyAll(t, s); len(list) != 1 {
		t.Errorf("%d artifacts", len(list))
	}
}

// No space for a single byte: whatever is hit first, there is an error, no
// half artifact, and with space again the next run continues.
func TestFullDiskFromTheStart(t *testing.T) {
	disk := smallDisk(t)
	s := openStore(t, filepath.Join(disk, "store"))
	mustRun(t, s, pair(nil), pipeline.Options{Targets: []string{"data"}})
	ballast := filepath.Join(disk, "ballast")
	if err := fill(ballast); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	_, err := pipeline.Run(t.Context(), s, pair(nil), pipeline.Options{})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v, want no space left", err)
	}
	verifyAll(t, s)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if r := mustRun(t, s, pair(nil), pipeline.Options{}); outcomes(r) != "data:reused train:ran" {
		t.Errorf("outcomes %q", outcomes(r))
	}
}

// The disk fills up while the stage runs and only the record is written.
func TestFullDiskForTheEvents(t *testing.T) {
	disk := smallDisk(t)
	s := openStore(t, filepath.Join(disk, "store"))
	stages := failing(nil, func(ctx context.Context, w *pipeline.Work) error {
		if err := fill(filepath.Join(disk, "ballast")); !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		for ctx.Err() == nil {
			w.Event("loss", map[string]any{"nats": 1.5})
		}
		return ctx.Err()
	})
	r, err := pipeline.Run(t.Context(), s, stages, pipeline.Options{})
	if !errors.Is(err, syscall.ENOSPC) || r.Status != pipeline.Failed {
		t.Errorf("status %s, error %v; want no space left", r.Status, err)
	}
	for _, err := range s.Events(r.ID) {
		if err != nil {
			t.Errorf("a torn line: %v", err)
		}
	}
}
