package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/retort-ml/retort/pipeline"
)

func TestSecondRunReusesEverything(t *testing.T) {
	var ran counter
	stages := []pipeline.Stage{
		copyStage("data", "1", &ran, nil, nil),
		copyStage("train", "2", &ran, []string{"data"}, nil),
	}
	s := newStore(t)
	first := mustRun(t, s, stages, pipeline.Options{Recipe: "r", RecipeText: "text: <r>\n", Program: "v1"})
	if got := ran.take(); got != "data train" {
		t.Errorf("first run ran %q", got)
	}
	o := &notes{t: t}
	second := mustRun(t, s, stages, pipeline.Options{Observer: o})
	if got := ran.take(); got != "" {
		t.Errorf("second run ran %q", got)
	}
	if got, want := o.String(), "reused data: artifact present\nreused train: artifact present"; got != want {
		t.Errorf("observed\n%s\nwant\n%s", got, want)
	}
	if outcomes(first) != "data:ran train:ran" || outcomes(second) != "data:reused train:reused" {
		t.Errorf("outcomes %q, then %q", outcomes(first), outcomes(second))
	}
	if first.Status != pipeline.Done || first.Recipe != "r" || first.RecipeText != "text: <r>\n" || first.Program != "v1" {
		t.Errorf("record %+v", first)
	}
	if first.Stages[1].PeakBytes == 0 && runtime.GOOS == "linux" {
		t.Error("no peak memory measured")
	}
}

func TestOnlyWhatChangedRunsAgain(t *testing.T) {
	var ran counter
	data := filepath.Join(t.TempDir(), "rows.csv")
	writeFile(t, data, "1")
	pipe := func(lr string) []pipeline.Stage {
		return []pipeline.Stage{
			copyStage("data", "d", &ran, nil, []string{data}),
			copyStage("teacher", "t", &ran, []string{"data"}, nil),
			copyStage("train", lr, &ran, []string{"data", "teacher"}, nil),
			copyStage("eval", "e", &ran, []string{"train"}, nil),
		}
	}
	s := newStore(t)
	steps := []struct {
		name, lr, rows, ran string
		reasons             map[string]string
	}{
		{"at first", "0.1", "1", "data eval teacher train", map[string]string{"data": "no artifact", "train": "input data runs; input teacher runs"}},
		{"other rate", "0.2", "1", "eval train", map[string]string{"data": "artifact present", "train": "options changed: value", "eval": "input train runs"}},
		{"rate as before", "0.1", "1", "", nil},
		{"other rows", "0.1", "2", "data eval teacher train", map[string]string{"data": "file rows.csv changed", "teacher": "input data runs"}},
		{"rows as before", "0.1", "1", "", map[string]string{"eval": "artifact present"}},
	}
	for _, step := range steps {
		writeFile(t, data, step.rows)
		plan := mustPlan(t, s, pipe(step.lr))
		for stage, want := range step.reasons {
			if got := reason(t, plan, stage); got != want {
				t.Errorf("%s: reason of %s: %q, want %q", step.name, stage, got, want)
			}
		}
		mustRun(t, s, pipe(step.lr), pipeline.Options{})
		if got := ran.take(); got != step.ran {
			t.Errorf("%s: ran %q, want %q", step.name, got, step.ran)
		}
	}
}

func TestTargets(t *testing.T) {
	var ran counter
	stages := []pipeline.Stage{
		copyStage("a", "1", &ran, nil, nil), copyStage("b", "2", &ran, []string{"a"}, nil),
		copyStage("c", "3", &ran, []string{"b"}, nil), copyStage("d", "4", &ran, nil, nil),
	}
	s := newStore(t)
	run := func(want string, targets ...string) {
		t.Helper()
		mustRun(t, s, stages, pipeline.Options{Targets: targets})
		if got := ran.take(); got != want {
			t.Errorf("targets %q ran %q, want %q", targets, got, want)
		}
	}
	run("a b", "b")
	run("c", "c")
	for _, stage := range []string{"a", "b"} {
		if err := os.RemoveAll(artifact(t, s, stage).Dir); err != nil {
			t.Fatal(err)
		}
	}
	run("", "c") // what it was made from is not needed
	if got := actions(mustPlan(t, s, stages, "c")); got != "c:reuse" {
		t.Errorf("plan %q", got)
	}
	run("a b d") // now everything is wanted
}

func TestStagesAlikeShareAnArtifact(t *testing.T) {
	var ran counter
	stages := []pipeline.Stage{copyStage("a", "1", &ran, nil, nil), copyStage("b", "1", &ran, nil, nil)}
	s := newStore(t)
	plan := mustPlan(t, s, stages)
	if actions(plan) != "a:run b:reuse" || reason(t, plan, "b") != "same artifact as stage a" {
		t.Errorf("plan %+v", plan.Stages)
	}
	mustRun(t, s, stages, pipeline.Options{})
	if got := ran.take(); got != "a" {
		t.Errorf("ran %q", got)
	}
}

// failing returns a pipeline whose second stage ends as run does, and leaves a
// file in Dir and in Scratch before.
func failing(ran *counter, run func(ctx context.Context, w *pipeline.Work) error) []pipeline.Stage {
	bad := pipeline.Stage{Name: "bad", Kind: "bad", Inputs: []string{"a"}, Run: func(ctx context.Context, w *pipeline.Work) error {
		ran.add("bad")
		err := errors.Join(
			os.WriteFile(filepath.Join(w.Dir, "half"), []byte("half"), 0o666),
			os.WriteFile(filepath.Join(w.Scratch, "checkpoint"), []byte("step 3"), 0o666))
		if err != nil {
			return err
		}
		return run(ctx, w)
	}}
	return []pipeline.Stage{copyStage("a", "1", ran, nil, nil), bad, copyStage("after", "2", ran, []string{"bad"}, nil)}
}

func TestStagesThatFail(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name string
		run  func(context.Context, *pipeline.Work) error
		want []string
	}{
		{"error", func(context.Context, *pipeline.Work) error { return errors.New("row 812: empty") }, []string{"stage bad: row 812: empty"}},
		{"panic", func(context.Context, *pipeline.Work) error { panic("index 7") }, []string{"stage bad: panic: index 7"}},
		{"nil map", func(context.Context, *pipeline.Work) error { var m map[int]int; m[1] = 1; return nil }, []string{"stage bad: panic", "nil map"}},
		{"goexit", func(context.Context, *pipeline.Work) error { runtime.Goexit(); return nil }, []string{"stage bad: ended its goroutine"}},
		{"full disk", func(_ context.Context, w *pipeline.Work) error {
			return fmt.Errorf("write %s: %w", w.Dir, syscall.ENOSPC)
		}, []string{"stage bad", "no space left"}},
		{"unlisted input", func(_ context.Context, w *pipeline.Work) error { w.Input("after"); return nil }, []string{`stage bad asks for input "after"`}},
		{"own manifest", func(_ context.Context, w *pipeline.Work) error {
			return os.WriteFile(filepath.Join(w.Dir, "manifest.json"), []byte("{}"), 0o666)
		}, []string{"stage bad", "manifest.json of its own"}},
		{"link in artifact", func(_ context.Context, w *pipeline.Work) error {
			return os.Symlink(dir, filepath.Join(w.Dir, "link"))
		}, []string{"stage bad", "link: not a regular file"}},
		{"no directory left", func(_ context.Context, w *pipeline.Work) error { return os.RemoveAll(w.Dir) }, []string{"stage bad"}},
		{"event that is no JSON", func(ctx context.Context, w *pipeline.Work) error {
			w.Event("loss", map[string]any{"f": func() {}})
			<-ctx.Done()
			return ctx.Err()
		}, []string{"stage bad", "event loss", "unsupported type"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var ran counter
			s := newStore(t)
			r, err := pipeline.Run(t.Context(), s, failing(&ran, tt.run), pipeline.Options{})
			wantError(t, err, tt.want...)
			if outcomes(r) != "a:ran bad:failed after:pending" || r.Status != pipeline.Failed || r.Error == "" {
				t.Errorf("outcomes %q, status %s, error %q", outcomes(r), r.Status, r.Error)
			}
			if panicked := strings.Contains(r.Stages[1].Error, "panic"); panicked != strings.Contains(r.Stages[1].Stack, "run_test.go") {
				t.Errorf("error %q has stack %q", r.Stages[1].Error, r.Stages[1].Stack)
			}
			if list := verifyAll(t, s); len(list) != 1 {
				t.Errorf("%d artifacts, want only that of a", len(list))
			}
			if left, _ := filepath.Glob(filepath.Join(s.Dir(), "staging", "*")); len(left) > 0 {
				t.Errorf("staging holds %q", left)
			}
			if left, _ := filepath.Glob(filepath.Join(s.Dir(), "locks", "*")); len(left) > 0 {
				t.Errorf("locks left: %q", left)
			}
			ran.take()
			repaired := failing(&ran, func(_ context.Context, w *pipeline.Work) error {
				if data, err := os.ReadFile(filepath.Join(w.Scratch, "checkpoint")); err != nil || string(data) != "step 3" {
					return fmt.Errorf("checkpoint is gone: %q, %v", data, err)
				}
				return errors.Join(os.Mkdir(filepath.Join(w.Dir, "sub"), 0o777), os.WriteFile(filepath.Join(w.Dir, "sub", "out.txt"), nil, 0o666))
			})
			if plan := mustPlan(t, s, repaired); !plan.Stages[1].Resumes {
				t.Error("the plan does not say that bad resumes")
			}
			mustRun(t, s, repaired, pipeline.Options{})
			if got := ran.take(); got != "after bad" {
				t.Errorf("after the repair ran %q", got)
			}
			if left, _ := filepath.Glob(filepath.Join(s.Dir(), "scratch", "*")); len(left) > 0 {
				t.Errorf("scratch holds %q after the commit", left)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	tests := []struct {
		name, outcomes string
		run            func(cancel func()) func(context.Context, *pipeline.Work) error
	}{
		{"stage obeys", "a:ran bad:interrupted after:pending", func(cancel func()) func(context.Context, *pipeline.Work) error {
			return func(ctx context.Context, _ *pipeline.Work) error { cancel(); <-ctx.Done(); return ctx.Err() }
		}},
		{"stage says something else", "a:ran bad:interrupted after:pending", func(cancel func()) func(context.Context, *pipeline.Work) error {
			return func(ctx context.Context, _ *pipeline.Work) error { cancel(); <-ctx.Done(); return io.ErrUnexpectedEOF }
		}},
		{"stage finishes first", "a:ran bad:ran after:pending", func(cancel func()) func(context.Context, *pipeline.Work) error {
			return func(context.Context, *pipeline.Work) error { cancel(); return nil }
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := newStore(t)
			r, err := pipeline.Run(ctx, s, failing(nil, tt.run(cancel)), pipeline.Options{})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if r.Status != pipeline.Interrupted || outcomes(r) != tt.outcomes {
				t.Errorf("status %s, outcomes %q, want %q", r.Status, outcomes(r), tt.outcomes)
			}
			verifyAll(t, s)
			if r, err := pipeline.Run(ctx, s, failing(nil, nil), pipeline.Options{}); !errors.Is(err, context.Canceled) || r != nil && r.Status != pipeline.Interrupted {
				t.Errorf("run that is cancelled already: %+v, %v", r, err)
			}
		})
	}
}

// A timeout of the stage's own is a failure, not an interruption.
func TestTimeoutInsideAStageIsAFailure(t *testing.T) {
	r, err := pipeline.Run(t.Context(), newStore(t), failing(nil, func(context.Context, *pipeline.Work) error {
		return fmt.Errorf("ask teacher: %w", context.DeadlineExceeded)
	}), pipeline.Options{})
	wantError(t, err, "ask teacher")
	if r.Status != pipeline.Failed || r.Stages[1].Outcome != pipeline.StageFailed {
		t.Errorf("status %s, outcomes %s", r.Status, outcomes(r))
	}
}

func TestFileThatChangesDuringAStage(t *testing.T) {
	data := filepath.Join(t.TempDir(), "rows.csv")
	writeFile(t, data, "1")
	edit := true
	stage := pipeline.Stage{Name: "data", Kind: "data", Files: []string{data}, Run: func(_ context.Context, w *pipeline.Work) error {
		writeFile(t, filepath.Join(w.Scratch, "part"), "1")
		if edit {
			writeFile(t, data, "2")
		}
		return nil
	}}
	s := newStore(t)
	_, err := pipeline.Run(t.Context(), s, []pipeline.Stage{stage}, pipeline.Options{})
	wantError(t, err, "stage data: file rows.csv changed during the run", "aside")
	edit = false
	writeFile(t, data, "1")
	if plan := mustPlan(t, s, []pipeline.Stage{stage}); plan.Stages[0].Action != pipeline.ActionRun || plan.Stages[0].Resumes {
		t.Errorf("plan %+v: want to run from the start", plan.Stages[0])
	}
	mustRun(t, s, []pipeline.Stage{stage}, pipeline.Options{})
}

func TestMeasurementsAndMessages(t *testing.T) {
	stage := pipeline.Stage{Name: "train", Kind: "train", Run: func(_ context.Context, w *pipeline.Work) error {
		fields := map[string]any{"step": 1, "nats": 2.5}
		w.Event("loss", fields)
		fields["nats"] = -1.0 // it is the stage's again
		w.Event("loss", map[string]any{"step": 2, "nats": math.NaN(), "<&>": float32(math.Inf(1))})
		for i := range int64(100_000) {
			w.Progress(i, 100_000, "steps")
		}
		w.Progress(100_000, 100_000, "steps")
		w.Progress(100_000, 100_000, "steps")
		for i := range 150 {
			w.Warn(fmt.Sprintf("row %d: too long", i))
		}
		w.Log("half way")
		return nil
	}}
	s := newStore(t)
	o := &notes{t: t}
	r := mustRun(t, s, []pipeline.Stage{stage}, pipeline.Options{Observer: o})

	if got, want := string(r.Stages[0].Measured["loss"]), `{"<&>":"+Inf","nats":"NaN","step":2}`; got != want {
		t.Errorf("last measurement %s, want %s", got, want)
	}
	if n := len(r.Stages[0].Warnings); n != 100 {
		t.Errorf("record keeps %d warnings", n)
	}
	if n := len(o.progress); n < 2 || n > 20 || o.progress[n-1] != (pipeline.Progress{Stage: "train", Done: 100_000, Total: 100_000, Unit: "steps"}) {
		t.Errorf("%d reports of progress, the last %+v", n, o.progress[max(0, n-1):])
	}
	var kinds []string
	for e, err := range s.Events(r.ID) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != "warning" {
			kinds = append(kinds, fmt.Sprintf("%s %s", e.Kind, e.Fields))
		}
	}
	got := strings.Join(kinds, "\n")
	for _, want := range []string{`loss {"nats":2.5,"step":1}` + "\n" + `loss {"<&>":"+Inf"`, "\nlog ", "stage started", "stage finished"} {
		if !strings.Contains(got, want) {
			t.Errorf("events\n%s\nlack %q", got, want)
		}
	}
	if !strings.Contains(o.String(), "warning train: row 149: too long") || !strings.Contains(o.String(), "log train: half way") {
		t.Errorf("observed\n%s", o)
	}
}

// A goroutine that a stage forgot must not block or crash the run.
func TestLateReportsDoNothing(t *testing.T) {
	release, ended := make(chan struct{}), make(chan struct{})
	stage := pipeline.Stage{Name: "a", Kind: "a", Run: func(_ context.Context, w *pipeline.Work) error {
		go func() {
			defer close(ended)
			<-release
			for i := range int64(1000) {
				w.Event("late", nil)
				w.Progress(i, i, "x")
			}
		}()
		return nil
	}}
	mustRun(t, newStore(t), []pipeline.Stage{stage}, pipeline.Options{})
	close(release)
	<-ended
}
