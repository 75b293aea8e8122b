package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/retort-ml/retort/pipeline"
)

// copyStage makes one file that holds the stage's value, the contents of its
// outside files and what its inputs made. It counts its runs in ran.
func copyStage(name, value string, ran *counter, inputs, files []string) pipeline.Stage {
	return pipeline.Stage{
		Name: name, Kind: "copy", Inputs: inputs, Files: files,
		Fingerprint: map[string]string{"value": value},
		Run: func(_ context.Context, w *pipeline.Work) error {
			ran.add(name)
			var out bytes.Buffer
			fmt.Fprintf(&out, "value %s\n", value)
			for _, f := range files {
				data, err := os.ReadFile(f)
				if err != nil {
					return err
				}
				fmt.Fprintf(&out, "file %s\n", data)
			}
			for _, in := range inputs {
				data, err := os.ReadFile(filepath.Join(w.Input(in), "sub", "out.txt"))
				if err != nil {
					return err
				}
				fmt.Fprintf(&out, "input %q\n", data)
			}
			if err := os.Mkdir(filepath.Join(w.Dir, "sub"), 0o777); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(w.Dir, "sub", "out.txt"), out.Bytes(), 0o666)
		},
	}
}

// counter counts by name; its zero value is ready, nil counts nothing.
type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counter) add(name string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[string]int)
	}
	c.n[name]++
}

// take returns the names counted since the last call, sorted, each as often as
// it was counted.
func (c *counter) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.n)) {
		for range c.n[name] {
			names = append(names, name)
		}
	}
	c.n = nil
	return strings.Join(names, " ")
}

// notes is an Observer that writes down what it sees.
type notes struct {
	t        *testing.T
	lines    []string
	progress []pipeline.Progress
	inside   bool
}

func (o *notes) add(format string, args ...any) {
	if o.inside {
		o.t.Error("observer called by two goroutines at once")
	}
	o.inside = true
	o.lines = append(o.lines, fmt.Sprintf(format, args...))
	o.inside = false
}

func (o *notes) Started(stage, reason string)    { o.add("started %s: %s", stage, reason) }
func (o *notes) Progress(p pipeline.Progress)    { o.progress = append(o.progress, p) }
func (o *notes) Measured(e pipeline.Event)       { o.add("measured %s: %s %s", e.Stage, e.Kind, e.Fields) }
func (o *notes) Reused(s pipeline.StageRecord)   { o.add("reused %s: %s", s.Name, s.Reason) }
func (o *notes) Finished(s pipeline.StageRecord) { o.add("finished %s: %s", s.Name, s.Outcome) }
func (o *notes) Warning(stage, text string)      { o.add("warning %s: %s", stage, text) }
func (o *notes) Log(stage, text string)          { o.add("log %s: %s", stage, text) }

func (o *notes) String() string { return strings.Join(o.lines, "\n") }

func openStore(t *testing.T, dir string) *pipeline.Store {
	t.Helper()
	s, err := pipeline.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newStore(t *testing.T) *pipeline.Store {
	t.Helper()
	return openStore(t, filepath.Join(memoryDir(t), "store"))
}

// memoryDir returns a temporary directory, in memory where there is such a
// place: these tests sync thousands of files, and none cuts the power.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "pipeline-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func mustRun(t *testing.T, s *pipeline.Store, stages []pipeline.Stage, o pipeline.Options) *pipeline.Record {
	t.Helper()
	r, err := pipeline.Run(t.Context(), s, stages, o)
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	return r
}

func mustPlan(t *testing.T, s *pipeline.Store, stages []pipeline.Stage, targets ...string) *pipeline.Plan {
	t.Helper()
	p, err := pipeline.NewPlan(t.Context(), s, stages, targets...)
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	return p
}

// actions returns a plan as "name:action" words.
func actions(p *pipeline.Plan) string {
	var words []string
	for _, s := range p.Stages {
		words = append(words, s.Name+":"+string(s.Action))
	}
	return strings.Join(words, " ")
}

func reason(t *testing.T, p *pipeline.Plan, stage string) string {
	t.Helper()
	for _, s := range p.Stages {
		if s.Name == stage {
			return s.Reason
		}
	}
	t.Fatalf("plan has no stage %s", stage)
	return ""
}

// outcomes returns a record as "name:outcome" words.
func outcomes(r *pipeline.Record) string {
	var words []string
	for _, s := range r.Stages {
		words = append(words, s.Name+":"+string(s.Outcome))
	}
	return strings.Join(words, " ")
}

// tree returns everything below dir: file contents by path, "/" for directories.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		if e.IsDir() {
			all[rel] = "/"
			return nil
		}
		data, err := os.ReadFile(p)
		all[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func artifact(t *testing.T, s *pipeline.Store, ref string) *pipeline.Artifact {
	t.Helper()
	a, err := s.Artifact(ref)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
}

// verifyAll reads every artifact in the store and fails for any that is not whole.
func verifyAll(t *testing.T, s *pipeline.Store) []*pipeline.Artifact {
	t.Helper()
	list, err := s.Artifacts()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if err := a.Verify(t.Context()); err != nil {
			t.Errorf("half an artifact: %v", err)
		}
	}
	return list
}
