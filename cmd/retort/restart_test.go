package main

import (
	"bytes"
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retort-ml/retort/pipeline"
)

// program runs retort as a process of its own in dir.
func program(t *testing.T, ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	t.Helper()
	c := exec.CommandContext(ctx, "retort", args...) // testscript.Main put it on the path
	c.Dir = dir
	c.Env = append(os.Environ(), env...)
	return c.CombinedOutput()
}

func tinyDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/tiny")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// contents are the artifacts' files, but for the report's clocks: timing.json
// and report.md, and with them the report's manifest.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	root := filepath.Join(dir, ".retort", "artifacts")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if strings.HasPrefix(rel, "eval-") && slices.Contains([]string{"timing.json", "report.md", "manifest.json"}, e.Name()) {
			return nil
		}
		files[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 30 {
		t.Fatalf("only %d files", len(files))
	}
	return files
}

func sameContents(t *testing.T, got, want map[string][]byte) {
	t.Helper()
	for name := range want {
		if !bytes.Equal(got[name], want[name]) {
			t.Errorf("%s differs", name)
		}
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("%s is one too many", name)
		}
	}
}

// reference is the artifacts of an undisturbed run.
func reference(t *testing.T) map[string][]byte {
	t.Helper()
	dir := tinyDir(t)
	if out, err := program(t, t.Context(), dir, []string{"GOMAXPROCS=1"}, "run", "tiny.yaml"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return contents(t, dir)
}

func TestSameBytesWithOneAndTwoProcessors(t *testing.T) {
	want := reference(t)
	dir := tinyDir(t)
	if out, err := program(t, t.Context(), dir, []string{"GOMAXPROCS=2"}, "run", "tiny.yaml"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sameContents(t, contents(t, dir), want)
}

// A process that is killed again and again ends with what an undisturbed one
// makes, and leaves no half-written artifact on the way.
func TestKilledRunsContinue(t *testing.T) {
	want := reference(t)
	dir := tinyDir(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for kills := 0; ; kills++ {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(20+rng.IntN(120+60*kills))*time.Millisecond)
		out, err := program(t, ctx, dir, nil, "run", "tiny.yaml")
		killed := ctx.Err() != nil
		cancel()
		verifyStore(t, dir)
		if err == nil {
			t.Logf("finished after %d kills", kills)
			break
		}
		if !killed {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	sameContents(t, contents(t, dir), want)
}

// verifyStore compares every artifact that is there with its manifest.
func verifyStore(t *testing.T, dir string) {
	t.Helper()
	store, err := pipeline.Open(filepath.Join(dir, ".retort"))
	if err != nil {
		t.Fatal(err)
	}
	artifacts, err := store.Artifacts()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range artifacts {
		if err := a.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestInterruptedRunSaysSo(t *testing.T) {
	dir := tinyDir(t)
	c := exec.Command("retort", "run", "tiny.yaml", "--set", "teacher.epochs=100000")
	c.Dir = dir
	var out bytes.Buffer
	c.Stderr = &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(700 * time.Millisecond)
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := c.Wait()
	if code := c.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d (%v), want %d\n%s", code, err, exitInterrupted, out.String())
	}
	if !strings.Contains(out.String(), "interrupted; the same command continues where it stopped") {
		t.Errorf("it said\n%s", out.String())
	}
}
