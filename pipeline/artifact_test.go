package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/pipeline"
)

func pair(ran *counter) []pipeline.Stage {
	return []pipeline.Stage{copyStage("data", "1", ran, nil, nil), copyStage("train", "2", ran, []string{"data"}, []string{"doc.go"})}
}

func TestSameRecipeSameBytes(t *testing.T) {
	var trees []map[string]string
	for range 2 {
		s := newStore(t)
		mustRun(t, s, pair(nil), pipeline.Options{Program: "v1"})
		trees = append(trees, tree(t, filepath.Join(s.Dir(), "artifacts")))
		for path, content := range trees[len(trees)-1] {
			if strings.Contains(content, s.Dir()) {
				t.Errorf("%s holds an absolute path", path)
			}
		}
	}
	if !maps.Equal(trees[0], trees[1]) {
		t.Errorf("two stores differ:\n%v\n%v", trees[0], trees[1])
	}
}

func TestManifest(t *testing.T) {
	s := newStore(t)
	mustRun(t, s, pair(nil), pipeline.Options{Program: "v1"})
	a := artifact(t, s, "train")
	m := a.Manifest
	if m.Stage != "train" || m.Kind != "copy" || m.Program != "v1" || string(bytes.Join(bytes.Fields(m.Options), nil)) != `{"value":"2"}` {
		t.Errorf("manifest %+v", m)
	}
	data := artifact(t, s, "data").Manifest
	if len(m.Inputs) != 1 || m.Inputs[0] != (pipeline.Input{Stage: "data", ID: data.ID, Content: data.Content()}) {
		t.Errorf("inputs %+v", m.Inputs)
	}
	if len(m.Outside) != 1 || m.Outside[0].Name != "doc.go" || m.Outside[0].Size == 0 {
		t.Errorf("outside files %+v", m.Outside)
	}
	if len(m.Files) != 1 || m.Files[0].Path != "sub/out.txt" {
		t.Errorf("files %+v", m.Files)
	}
}

// Whatever is wrong with an artifact, it is named, made again, and what was
// there is kept. What was made from it stays, if the new one is the same.
func TestDamagedArtifacts(t *testing.T) {
	edit := func(change func(m map[string]any)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, "manifest.json")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var m map[string]any
			if err := json.Unmarshal(data, &m); err != nil {
				t.Fatal(err)
			}
			change(m)
			data, err = json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, path, string(data))
		}
	}
	file := func(m map[string]any) map[string]any { return m["files"].([]any)[0].(map[string]any) }
	remove := func(parts ...string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(append([]string{dir}, parts...)...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   string
	}{
		{"file missing", remove("sub", "out.txt"), "sub/out.txt: no such file"},
		{"directory missing", remove("sub"), "sub/out.txt: no such file"},
		{"file cut short", func(t *testing.T, dir string) { writeFile(t, filepath.Join(dir, "sub", "out.txt"), "v") }, "sub/out.txt: 1 bytes, manifest says 8"},
		{"file is a directory", func(t *testing.T, dir string) {
			remove("sub", "out.txt")(t, dir)
			writeFile(t, filepath.Join(dir, "sub", "out.txt", "x"), "1")
		}, "sub/out.txt: not a regular file"},
		{"manifest missing", remove("manifest.json"), "manifest.json: no such file"},
		{"manifest empty", func(t *testing.T, dir string) { writeFile(t, filepath.Join(dir, "manifest.json"), "") }, "manifest.json: unexpected end"},
		{"manifest null", func(t *testing.T, dir string) { writeFile(t, filepath.Join(dir, "manifest.json"), "null") }, "manifest.json: format 0"},
		{"manifest of a later format", edit(func(m map[string]any) { m["format"] = 99 }), "manifest.json: format 99"},
		{"manifest with other options", edit(func(m map[string]any) { m["options"] = 1 }), "not the hash"},
		{"manifest with another kind", edit(func(m map[string]any) { m["kind"] = "other" }), "not the hash"},
		{"manifest with another id", edit(func(m map[string]any) { m["id"] = strings.Repeat("0", 64) }), "not the hash"},
		{"path outside", edit(func(m map[string]any) { file(m)["path"] = "../../x" }), `file "../../x"`},
		{"absolute path", edit(func(m map[string]any) { file(m)["path"] = "/etc/passwd" }), `file "/etc/passwd"`},
		{"negative size", edit(func(m map[string]any) { file(m)["size"] = -1 }), "size -1"},
		{"no hash", edit(func(m map[string]any) { file(m)["sha256"] = "" }), `hash ""`},
		{"a file in its place", func(t *testing.T, dir string) {
			remove()(t, dir)
			writeFile(t, dir, "I am no directory")
		}, "manifest.json: not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var ran counter
			s := newStore(t)
			mustRun(t, s, pair(&ran), pipeline.Options{})
			ran.take()
			a := artifact(t, s, "data")
			before := tree(t, a.Dir)
			tt.damage(t, a.Dir)

			if info, err := os.Stat(a.Dir); err == nil && info.IsDir() {
				err := artifact(t, s, a.Name()).Verify(t.Context())
				wantError(t, err, a.Name(), tt.want)
			}
			plan := mustPlan(t, s, pair(&ran))
			if got := reason(t, plan, "data"); actions(plan) != "data:run train:reuse" || !strings.HasPrefix(got, "damaged: ") || !strings.Contains(got, tt.want) {
				t.Errorf("plan %q because %q, want %q", actions(plan), got, tt.want)
			}
			o := &notes{t: t}
			mustRun(t, s, pair(&ran), pipeline.Options{Observer: o})
			if got := ran.take(); got != "data" {
				t.Errorf("ran %q", got)
			}
			if !strings.Contains(o.String(), "warning data: artifact "+a.Name()+" cannot be used") || !strings.Contains(o.String(), tt.want) {
				t.Errorf("observed\n%s", o)
			}
			if after := tree(t, a.Dir); !maps.Equal(before, after) {
				t.Errorf("made again it is\n%v\nbefore\n%v", after, before)
			}
			if kept, _ := filepath.Glob(filepath.Join(s.Dir(), "aside", a.Name()+"-*")); len(kept) != 1 {
				t.Errorf("kept aside: %q", kept)
			}
			verifyAll(t, s)
		})
	}
}

func TestVerifyReadsEveryByte(t *testing.T) {
	tests := []struct{ name, path, content, want string }{
		{"flipped byte", "sub/out.txt", "value 7\n", "sub/out.txt: SHA-256"},
		{"file nobody listed", "extra", "1", "extra: not in the manifest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			mustRun(t, s, pair(nil), pipeline.Options{})
			a := artifact(t, s, "data")
			if err := a.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(a.Dir, tt.path), tt.content)
			wantError(t, artifact(t, s, "data").Verify(t.Context()), a.Name(), tt.want)
		})
	}
}

// A teacher does not answer alike twice: what was trained on answers that are
// gone must not pass for trained on the new ones.
func TestInputMadeAgainWithOtherContent(t *testing.T) {
	var ran counter
	calls := 0
	teacher := pipeline.Stage{Name: "answers", Kind: "answers", Run: func(_ context.Context, w *pipeline.Work) error {
		ran.add("answers")
		calls++
		return os.WriteFile(filepath.Join(w.Dir, "a.txt"), fmt.Appendf(nil, "call %d", calls), 0o666)
	}}
	train := pipeline.Stage{Name: "train", Kind: "train", Inputs: []string{"answers", "base"}, Run: func(_ context.Context, w *pipeline.Work) error {
		ran.add("train")
		data, err := os.ReadFile(filepath.Join(w.Input("answers"), "a.txt"))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(w.Dir, "model"), data, 0o666)
	}}
	other := copyStage("stats", "3", &ran, nil, nil)
	other.Inputs = []string{"answers"}
	stages := []pipeline.Stage{teacher, copyStage("base", "1", &ran, nil, nil), train, other}
	s := newStore(t)
	mustRun(t, s, stages, pipeline.Options{})
	ran.take()
	for _, stage := range []string{"answers", "base", "stats"} {
		if err := os.RemoveAll(artifact(t, s, stage).Dir); err != nil {
			t.Fatal(err)
		}
	}
	// stats needs the answers again; so train is out of date, and needs base.
	plan := mustPlan(t, s, stages, "stats", "train")
	if got, want := actions(plan), "answers:run train:reuse stats:run"; got != want {
		t.Errorf("plan %q, want %q", got, want)
	}
	if got, want := reason(t, plan, "train"), "artifact present, if answers comes out as before"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	r := mustRun(t, s, stages, pipeline.Options{Targets: []string{"stats", "train"}})
	if got := ran.take(); got != "answers base stats train" {
		t.Errorf("ran %q", got)
	}
	if got, want := outcomes(r), "answers:ran train:ran stats:ran base:ran"; got != want {
		t.Errorf("outcomes %q, want %q", got, want)
	}
	mustRun(t, s, stages, pipeline.Options{})
	if got := ran.take(); got != "" {
		t.Errorf("a further run ran %q", got)
	}
}

func TestFindArtifact(t *testing.T) {
	s := newStore(t)
	if _, err := s.Artifact("train"); err == nil {
		t.Error("found an artifact in an empty store")
	}
	first := mustRun(t, s, []pipeline.Stage{copyStage("train", "1", nil, nil, nil)}, pipeline.Options{})
	second := mustRun(t, s, []pipeline.Stage{copyStage("train", "2", nil, nil, nil)}, pipeline.Options{})
	if _, err := pipeline.Run(t.Context(), s, failing(nil, func(context.Context, *pipeline.Work) error { return context.Canceled }), pipeline.Options{}); err == nil {
		t.Fatal("no error")
	}
	one, two := first.Stages[0].ID, second.Stages[0].ID
	tests := []struct{ ref, id string }{
		{one, one}, {two, two}, {"copy-" + one[:16], one}, {one[:8], one}, {one[:16], one}, {"copy-" + one[:6], one},
		{"train", two}, {"a", artifact(t, s, "a").Manifest.ID},
	}
	for _, tt := range tests {
		if a := artifact(t, s, tt.ref); a.Manifest.ID != tt.id {
			t.Errorf("%q found %s, want %s", tt.ref, a.Manifest.ID, tt.id)
		}
	}
	for ref, want := range map[string]string{
		"copy": "could be any of", one[:3]: "no artifact", "": "no artifact", "../artifacts": "no artifact",
		"bad": "no artifact", strings.Repeat("0", 64): "no artifact", ".": "no artifact",
		one[:16] + strings.Repeat("0", 48): "not in the store",
	} {
		_, err := s.Artifact(ref)
		wantError(t, err, fmt.Sprintf("%q", ref), want)
	}
	if err := os.RemoveAll(artifact(t, s, "train").Dir); err != nil {
		t.Fatal(err)
	}
	_, err := s.Artifact("train")
	wantError(t, err, `"train"`, "copy-"+two[:16], "not in the store")
}
