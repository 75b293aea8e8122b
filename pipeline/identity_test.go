package pipeline_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/retort-ml/retort/pipeline"
)

// stageID plans a stage beside two others it may name as inputs.
func stageID(t *testing.T, change func(*pipeline.Stage)) string {
	t.Helper()
	a, b := copyStage("a", "1", nil, nil, nil), copyStage("b", "2", nil, nil, nil)
	c := copyStage("c", "3", nil, []string{"a", "b"}, nil)
	if change != nil {
		change(&c)
	}
	plan := mustPlan(t, newStore(t), []pipeline.Stage{a, b, c})
	return plan.Stages[2].ID
}

// The format of ids must not change unseen: every store would be lost.
func TestIDStaysAsItIs(t *testing.T) {
	const want = "0ba0185525bea792c40ac78577d35ce9c41b35982228b9894d19223f935475db"
	if got := stageID(t, nil); got != want {
		t.Errorf("id %s, want %s: raise formatVersion if this is meant", got, want)
	}
}

func TestWhatChangesAnID(t *testing.T) {
	type options struct{ A, B any }
	type swapped struct{ B, A any }
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "one", "x.csv"), "1\n")
	writeFile(t, filepath.Join(dir, "two", "x.csv"), "1\n")
	writeFile(t, filepath.Join(dir, "three", "x.csv"), "2\n")
	writeFile(t, filepath.Join(dir, "four", "y.csv"), "1\n")
	writeFile(t, filepath.Join(dir, "hidden", "x.csv"), "1\n")
	writeFile(t, filepath.Join(dir, "hidden", ".DS_Store"), "?")
	if err := os.Mkdir(filepath.Join(dir, "linked"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "one", "x.csv"), filepath.Join(dir, "linked", "x.csv")); err != nil {
		t.Fatal(err)
	}
	files := func(paths ...string) func(*pipeline.Stage) {
		for i := range paths {
			paths[i] = filepath.Join(dir, paths[i])
		}
		return func(s *pipeline.Stage) { s.Files = paths }
	}
	print := func(v any) func(*pipeline.Stage) { return func(s *pipeline.Stage) { s.Fingerprint = v } }
	tests := []struct {
		name string
		a, b func(*pipeline.Stage)
		same bool
	}{
		{"its name", nil, func(s *pipeline.Stage) { s.Name = "other" }, true},
		{"its kind", nil, func(s *pipeline.Stage) { s.Kind = "other" }, false},
		{"its version", nil, func(s *pipeline.Stage) { s.Version = "2" }, false},
		{"order of inputs", nil, func(s *pipeline.Stage) { s.Inputs = []string{"b", "a"} }, false},
		{"fewer inputs", nil, func(s *pipeline.Stage) { s.Inputs = []string{"a"} }, false},
		{"an option", print(options{1, 2}), print(options{1, 3}), false},
		{"order of options", print(options{1, 2}), print(swapped{2, 1}), true},
		{"zero and nothing", print(options{1, 0}), print(options{1, nil}), false},
		{"text and number", print(options{1, "2"}), print(options{1, 2}), false},
		{"large numbers", print(options{1, uint64(1<<63 + 1)}), print(options{1, uint64(1 << 63)}), false},
		{"directory of a file", files("one/x.csv"), files("two/x.csv"), true},
		{"content of a file", files("one/x.csv"), files("three/x.csv"), false},
		{"name of a file", files("one/x.csv"), files("four/y.csv"), false},
		{"no file", nil, files("one/x.csv"), false},
		{"file twice", files("one/x.csv"), files("one/x.csv", "one/x.csv"), false},
		{"name of a directory", files("one"), files("two"), true},
		{"file and its directory", files("one"), files("one/x.csv"), false},
		{"hidden entry", files("one"), files("hidden"), true},
		{"link to a file", files("one"), files("linked"), true},
		{"file in a directory", files("one"), files("three"), false},
		{"one directory or two", files("one", "four"), files("four", "one"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := stageID(t, tt.a), stageID(t, tt.b)
			if (a == b) != tt.same {
				t.Errorf("ids %.12s and %.12s, want same: %v", a, b, tt.same)
			}
		})
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "loop", "x"), "1")
	for link, to := range map[string]string{"loop/back": "../loop", "dangling": "nowhere", "null": os.DevNull} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "empty", ".git"), 0o777); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "latin", "\xff.csv"), "1")
	for name, want := range map[string]string{
		"loop": "a link back", "dangling": "no such file", "null": "not a regular file", "empty": "holds no files", "latin": "not UTF-8",
	} {
		stage := copyStage("a", "1", nil, nil, []string{filepath.Join(dir, name)})
		_, err := pipeline.NewPlan(t.Context(), newStore(t), []pipeline.Stage{stage})
		wantError(t, err, "stage a", name, want)
	}
}
