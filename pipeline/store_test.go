package pipeline_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/retort-ml/retort/pipeline"
)

// A run clears away what killed processes left, and nothing that is in use.
func TestSweep(t *testing.T) {
	s := newStore(t)
	mustRun(t, s, pair(nil), pipeline.Options{})
	writeFile(t, filepath.Join(s.Dir(), "staging", "copy-0123456789abcdef", "sub", "half"), "x")
	writeFile(t, filepath.Join(s.Dir(), "scratch", "copy-0123456789abcdef", "paid"), "x")
	writeFile(t, filepath.Join(s.Dir(), "scratch", artifact(t, s, "data").Name(), "paid"), "x")
	writeFile(t, filepath.Join(s.Dir(), "locks", "artifact-copy-0123456789abcdef"), "process 1 on box")
	stage := pipeline.Stage{Name: "a", Kind: "a", Run: func(ctx context.Context, w *pipeline.Work) error {
		writeFile(t, filepath.Join(w.Dir, "mine"), "x")
		if _, err := pipeline.Run(ctx, openStore(t, s.Dir()), pair(nil), pipeline.Options{}); err != nil {
			return err
		}
		_, err := os.Stat(filepath.Join(w.Dir, "mine"))
		return err
	}}
	mustRun(t, s, []pipeline.Stage{stage}, pipeline.Options{})
	for path, there := range map[string]bool{
		"staging/copy-0123456789abcdef":            false,
		"scratch/copy-0123456789abcdef/paid":       true, // another pipeline may still want it
		"scratch/" + artifact(t, s, "data").Name(): false,
		"locks/artifact-copy-0123456789abcdef":     false,
		"artifacts/" + artifact(t, s, "a").Name():  true,
	} {
		_, err := os.Stat(filepath.Join(s.Dir(), path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) || (err == nil) != there {
			t.Errorf("%s: %v, want it there: %v", path, err, there)
		}
	}
}

func TestStoreInTheWay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := openStore(t, dir)
	writeFile(t, filepath.Join(dir, "artifacts"), "not a directory")
	_, err := pipeline.Run(t.Context(), s, pair(nil), pipeline.Options{})
	wantError(t, err, filepath.Join(dir, "artifacts"))
}

// A store that is given by a relative path stays where it is.
func TestStoreAndWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	s := openStore(t, "store")
	other := t.TempDir()
	stage := pipeline.Stage{Name: "a", Kind: "a", Run: func(context.Context, *pipeline.Work) error { return os.Chdir(other) }}
	mustRun(t, s, []pipeline.Stage{stage}, pipeline.Options{})
	if list := verifyAll(t, s); len(list) != 1 {
		t.Errorf("%d artifacts", len(list))
	}
}
