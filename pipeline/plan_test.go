package pipeline_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/pipeline"
)

func TestPlanTouchesNothing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "rows.csv")
	writeFile(t, data, "1")
	s := newStore(t)
	pipe := func(v string) []pipeline.Stage {
		return []pipeline.Stage{copyStage("data", "1", nil, nil, []string{data, "doc.go"}), copyStage("train", v, nil, []string{"data"}, nil)}
	}
	mustPlan(t, s, pipe("1"))
	if _, err := os.Stat(s.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("planning made the store: %v", err)
	}
	mustRun(t, s, pipe("1"), pipeline.Options{})
	writeFile(t, filepath.Join(artifact(t, s, "data").Dir, "sub", "out.txt"), "damaged")
	before := tree(t, s.Dir())
	fresh := openStore(t, s.Dir())
	if got := actions(mustPlan(t, fresh, pipe("2"))); got != "data:run train:run" {
		t.Errorf("plan %q", got)
	}
	if after := tree(t, s.Dir()); !maps.Equal(before, after) {
		t.Error("planning changed the store")
	}
}

func TestPlanAsJSON(t *testing.T) {
	stages := []pipeline.Stage{copyStage("a", "1", nil, nil, nil), copyStage("b", "2", nil, []string{"a"}, nil)}
	plan := mustPlan(t, newStore(t), stages)
	data, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"stages":[` +
		`{"name":"a","kind":"copy","id":"` + plan.Stages[0].ID + `","inputs":[],"action":"run","reason":"no artifact"},` +
		`{"name":"b","kind":"copy","id":"` + plan.Stages[1].ID + `","inputs":["a"],"action":"run","reason":"input a runs"}]}`
	if string(data) != want {
		t.Errorf("plan\n%s\nwant\n%s", data, want)
	}
}

func TestReasons(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for _, name := range []string{"a.csv", "b.csv"} {
		paths = append(paths, filepath.Join(dir, name))
		writeFile(t, paths[len(paths)-1], "1")
	}
	type lora struct{ R, Alpha int }
	type options struct {
		LoRA                     lora
		Rate                     float64
		P1, P2, P3, P4, P5, Text string
	}
	base := func() pipeline.Stage {
		s := copyStage("x", "", nil, []string{"in"}, paths)
		s.Fingerprint = options{LoRA: lora{16, 32}, Rate: 0.1}
		return s
	}
	in := copyStage("in", "1", nil, nil, nil)
	s := newStore(t)
	mustRun(t, s, []pipeline.Stage{in, base()}, pipeline.Options{})
	tests := []struct {
		name   string
		change func(in, x *pipeline.Stage)
		want   string
	}{
		{"nothing", func(in, x *pipeline.Stage) {}, "artifact present"},
		{"one option", func(in, x *pipeline.Stage) { x.Fingerprint = options{LoRA: lora{8, 32}, Rate: 0.1} }, "options changed: LoRA.R"},
		{"an option and the version", func(in, x *pipeline.Stage) {
			x.Fingerprint, x.Version = options{LoRA: lora{16, 32}}, "2"
		}, "the stage's version changed; options changed: Rate"},
		{"many options", func(in, x *pipeline.Stage) {
			x.Fingerprint = options{lora{1, 1}, 0.1, "1", "2", "3", "4", "5", ""}
		}, "options changed: LoRA.Alpha, LoRA.R, P1, P2, 3 more"},
		{"an option gone", func(in, x *pipeline.Stage) { x.Fingerprint = struct{ LoRA lora }{lora{16, 32}} }, "options changed: P1, P2, P3, P4, 3 more"},
		{"other files", func(in, x *pipeline.Stage) { x.Files = paths[:1] }, "other files"},
		{"other order", func(in, x *pipeline.Stage) { x.Files = []string{paths[1], paths[0]} }, "file b.csv changed; file a.csv changed"},
		{"input", func(in, x *pipeline.Stage) { in.Version = "2" }, "input in runs"},
		{"no input", func(in, x *pipeline.Stage) { x.Inputs = nil }, "other inputs"},
		{"new name", func(in, x *pipeline.Stage) { x.Name, x.Version = "y", "3" }, "no artifact"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := in, base()
			tt.change(&a, &b)
			plan := mustPlan(t, s, []pipeline.Stage{a, b})
			if got := plan.Stages[1].Reason; got != tt.want {
				t.Errorf("reason %q, want %q", got, tt.want)
			}
		})
	}
	if err := os.RemoveAll(artifact(t, s, "x").Dir); err != nil {
		t.Fatal(err)
	}
	if got := reason(t, mustPlan(t, s, []pipeline.Stage{in, base()}), "x"); got != "no artifact" {
		t.Errorf("artifact removed: reason %q", got)
	}
}

// The cache of file hashes is believed where the file's stat is as before, and
// is no danger when it is damaged.
func TestFileHashCache(t *testing.T) {
	fresh := filepath.Join(t.TempDir(), "fresh.csv")
	writeFile(t, fresh, "1")
	stages := []pipeline.Stage{copyStage("a", "1", nil, nil, []string{"doc.go", fresh})}
	s := newStore(t)
	id := mustRun(t, s, stages, pipeline.Options{}).Stages[0].ID
	path := filepath.Join(s.Dir(), "file-hashes.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cache map[string]map[string]any
	if err := json.Unmarshal(data, &cache); err != nil {
		t.Fatal(err)
	}
	old, err := filepath.Abs("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	if len(cache) != 1 || cache[old] == nil {
		t.Fatalf("cache holds %s, want %s and not the file written just now", data, old)
	}
	hash := cache[old]["sha256"].(string)
	replaced := func(old, now string) string { return strings.Replace(string(data), old, now, 1) }
	tests := []struct {
		name, content string
		same          bool
	}{
		{"as it was", string(data), true},
		{"another hash", replaced(hash, strings.Repeat("ab", 32)), false},
		{"another stat", strings.Replace(replaced(hash, strings.Repeat("ab", 32)), `"inode":`, `"inode":1`, 1), true},
		{"hash that is none", replaced(hash, "zz"), true},
		{"cut short", string(data[:len(data)/2]), true},
		{"null", "null", true},
		{"empty", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			writeFile(t, path, tt.content)
			plan := mustPlan(t, openStore(t, s.Dir()), stages)
			if (plan.Stages[0].ID == id) != tt.same {
				t.Errorf("id %s, before %s, want the same: %v", plan.Stages[0].ID, id, tt.same)
			}
		})
	}
}
