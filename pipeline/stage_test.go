package pipeline_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/pipeline"
)

func TestFaultsOfStages(t *testing.T) {
	run := func(context.Context, *pipeline.Work) error { return nil }
	ok := func(name string, inputs ...string) pipeline.Stage {
		return pipeline.Stage{Name: name, Kind: "k", Inputs: inputs, Run: run}
	}
	tests := []struct {
		name    string
		stages  []pipeline.Stage
		targets []string
		want    []string
	}{
		{"unknown input", []pipeline.Stage{ok("a", "bb")}, nil, []string{`stage a: input "bb": no such stage`}},
		{"two faults at once", []pipeline.Stage{ok("a", "x"), ok("b", "y")}, nil, []string{`"x"`, `"y"`}},
		{"name twice", []pipeline.Stage{ok("a"), ok("a")}, nil, []string{"stage a: declared twice"}},
		{"cycle of one", []pipeline.Stage{ok("a", "a")}, nil, []string{"cycle: a → a"}},
		{"cycle", []pipeline.Stage{ok("z", "a"), ok("a", "b"), ok("b", "c"), ok("c", "a")}, nil, []string{"cycle: a → b → c → a"}},
		{"cycle beside the targets", []pipeline.Stage{ok("a", "b"), ok("b", "a"), ok("c")}, []string{"c"}, []string{"cycle: a → b → a"}},
		{"unknown target", []pipeline.Stage{ok("a"), ok("b")}, []string{"c"}, []string{`target "c"`, "a, b"}},
		{"no run", []pipeline.Stage{{Name: "a", Kind: "k"}}, nil, []string{"stage a", "no Run"}},
		{"no name", []pipeline.Stage{ok("")}, nil, []string{`stage ""`}},
		{"name as path", []pipeline.Stage{ok("../a")}, nil, []string{`stage "../a"`}},
		{"control in name", []pipeline.Stage{ok("a\x1b[2J")}, nil, []string{`stage "a\x1b[2J"`}},
		{"kind as path", []pipeline.Stage{{Name: "a", Kind: "k/..", Run: run}}, nil, []string{`kind "k/.."`}},
		{"no kind", []pipeline.Stage{{Name: "a", Run: run}}, nil, []string{`kind ""`}},
		{"long kind", []pipeline.Stage{{Name: "a", Kind: strings.Repeat("k", 300), Run: run}}, nil, []string{"at most 40"}},
		{"fingerprint", []pipeline.Stage{{Name: "a", Kind: "k", Run: run, Fingerprint: func() {}}}, nil, []string{"stage a: fingerprint"}},
		{"missing file", []pipeline.Stage{{Name: "a", Kind: "k", Run: run, Files: []string{"no/such"}}}, nil, []string{"stage a: file no/such: no such file"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			_, err := pipeline.NewPlan(t.Context(), s, tt.stages, tt.targets...)
			wantError(t, err, tt.want...)
			r, err := pipeline.Run(t.Context(), s, tt.stages, pipeline.Options{Targets: tt.targets})
			wantError(t, err, tt.want...)
			if r != nil {
				t.Errorf("a run of faulty stages has a record: %+v", r)
			}
		})
	}
}

func TestOrder(t *testing.T) {
	tests := []struct {
		name, stages, targets, want string // stages as "name<input,input"
	}{
		{"as declared", "a b c", "", "a b c"},
		{"inputs first", "c<b,a a b<a", "", "a b c"},
		{"diamond", "end<l,r l<top r<top top", "", "top l r end"},
		{"target and what it needs", "a b<a c<b d", "b", "a b"},
		{"two targets, declared order", "d c a<c b", "b a", "c a b"},
		{"none", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stages []pipeline.Stage
			for _, word := range strings.Fields(tt.stages) {
				name, inputs, _ := strings.Cut(word, "<")
				split := strings.FieldsFunc(inputs, func(r rune) bool { return r == ',' })
				stages = append(stages, copyStage(name, name, nil, split, nil))
			}
			var got []string
			for _, p := range mustPlan(t, newStore(t), stages, strings.Fields(tt.targets)...).Stages {
				got = append(got, p.Name)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("order of %q for %q: %q, want %q", tt.stages, tt.targets, got, tt.want)
			}
		})
	}
}

func TestAThousandStagesInARow(t *testing.T) {
	var stages []pipeline.Stage
	for i := range 1000 {
		var inputs []string
		if i > 0 {
			inputs = []string{fmt.Sprintf("s%d", i-1)}
		}
		stages = append(stages, copyStage(fmt.Sprintf("s%d", i), "v", nil, inputs, nil))
	}
	if n := len(mustPlan(t, newStore(t), stages).Stages); n != 1000 {
		t.Errorf("%d stages planned", n)
	}
}

func TestOpenRefusesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	writeFile(t, path, "x")
	_, err := pipeline.Open(path)
	wantError(t, err, path, "not a directory")
	_, err = pipeline.Open("")
	wantError(t, err, "no directory")
}
