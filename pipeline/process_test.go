package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retort-ml/retort/pipeline"
)

// The test binary runs itself as another process, told by these variables to
// run the slow pipeline on a store.
const (
	helperStore = "PIPELINE_TEST_STORE"
	helperLog   = "PIPELINE_TEST_LOG"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperStore); dir != "" {
		os.Exit(helper(dir, os.Getenv(helperLog)))
	}
	os.Exit(m.Run())
}

func helper(dir, log string) int {
	s, err := pipeline.Open(dir)
	if err == nil {
		_, err = pipeline.Run(context.Background(), s, slowStages(log), pipeline.Options{Observer: printer{}})
	}
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

// printer is an Observer that prints what is logged.
type printer struct{}

func (printer) Started(stage, reason string)    { fmt.Println("started", stage, reason) }
func (printer) Progress(pipeline.Progress)      {}
func (printer) Measured(pipeline.Event)         {}
func (printer) Reused(s pipeline.StageRecord)   { fmt.Println("reused", s.Name, s.Reason) }
func (printer) Finished(s pipeline.StageRecord) { fmt.Println("finished", s.Name, s.Outcome) }
func (printer) Warning(stage, text string)      { fmt.Println("warning", stage, text) }
func (printer) Log(stage, text string)          { fmt.Println("log", stage, text) }

const (
	slowCount = 4  // stages
	slowUnits = 15 // units of work in each
)

// slowStages is a chain of stages that work unit by unit and keep each unit in
// scratch, as a stage asking a paid teacher does.
func slowStages(log string) []pipeline.Stage {
	var stages []pipeline.Stage
	for i := range slowCount {
		s := pipeline.Stage{Name: fmt.Sprintf("slow%d", i), Kind: "slow", Fingerprint: i}
		if i > 0 {
			s.Inputs = []string{stages[i-1].Name}
		}
		s.Run = func(ctx context.Context, w *pipeline.Work) error { return slowRun(ctx, w, s.Name, log) }
		stages = append(stages, s)
	}
	return stages
}

func slowRun(_ context.Context, w *pipeline.Work, name, log string) error {
	var all bytes.Buffer
	for i := range slowUnits {
		kept := filepath.Join(w.Scratch, fmt.Sprint(i))
		data, err := os.ReadFile(kept)
		if errors.Is(err, fs.ErrNotExist) {
			data, err = slowUnit(name, log, kept, i)
		}
		if err != nil {
			return err
		}
		all.Write(data)
		if err := os.WriteFile(filepath.Join(w.Dir, fmt.Sprint(i)), data, 0o666); err != nil {
			return err
		}
		w.Event("unit", map[string]any{"i": i})
	}
	return os.WriteFile(filepath.Join(w.Dir, "all"), all.Bytes(), 0o666)
}

// slowUnit computes one unit, notes that in the log, and keeps it.
func slowUnit(name, log, kept string, i int) ([]byte, error) {
	time.Sleep(2 * time.Millisecond)
	f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := fmt.Appendf(nil, "%s unit %d\n", name, i)
	if _, err := f.Write(data); err != nil {
		return nil, err
	}
	if err := os.WriteFile(kept+".new", data, 0o666); err != nil {
		return nil, err
	}
	return data, os.Rename(kept+".new", kept)
}

func helperCommand(t *testing.T, dir, log string, out *bytes.Buffer) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helperStore+"="+dir, helperLog+"="+log)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// unitsIn counts the lines of the log of computed units.
func unitsIn(t *testing.T, log string) map[string]int {
	t.Helper()
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for line := range strings.Lines(string(data)) {
		count[strings.TrimSpace(line)]++
	}
	return count
}

func TestKill(t *testing.T) {
	dir, log := filepath.Join(memoryDir(t), "store"), filepath.Join(t.TempDir(), "log")
	s := openStore(t, dir)
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) // the moment is random anyway
	kills := 0
	for finished := false; !finished; {
		var out bytes.Buffer
		cmd := helperCommand(t, dir, log, &out)
		if kills < 15 {
			time.AfterFunc(time.Duration(8+rng.IntN(40))*time.Millisecond, func() { cmd.Process.Kill() })
		}
		switch err := cmd.Wait(); {
		case err == nil:
			finished = true
		case strings.Contains(err.Error(), "killed"):
			kills++
		default:
			t.Fatalf("after %d kills: %v\n%s", kills, err, &out)
		}
		verifyAll(t, s)
		list, err := s.Runs()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			if r.Status == pipeline.Running || r.Status == pipeline.Unreadable {
				t.Errorf("a run whose process was killed: %+v", r)
			}
			for _, err := range s.Events(r.ID) {
				if err != nil {
					t.Error(err)
				}
			}
		}
	}
	if kills == 0 {
		t.Error("the pipeline finished before it could be killed")
	}
	checkSlowStore(t, s)
	total := 0
	for _, n := range unitsIn(t, log) {
		total += n
	}
	// A kill may fall between the work of a unit and keeping it.
	if most := slowCount*slowUnits + kills; total < slowCount*slowUnits || total > most {
		t.Errorf("%d units computed with %d kills, want at most %d", total, kills, most)
	}
	t.Logf("%d kills, %d units computed", kills, total)
}

// checkSlowStore expects the finished artifacts and nothing left over.
func checkSlowStore(t *testing.T, s *pipeline.Store) {
	t.Helper()
	fresh := newStore(t)
	mustRun(t, fresh, slowStages(filepath.Join(t.TempDir(), "log")), pipeline.Options{})
	want, got := tree(t, filepath.Join(fresh.Dir(), "artifacts")), tree(t, filepath.Join(s.Dir(), "artifacts"))
	if len(want) != len(got) {
		t.Errorf("%d files in artifacts, want %d", len(got), len(want))
	}
	for path := range want {
		if want[path] != got[path] {
			t.Errorf("artifacts/%s: %q, want %q", path, got[path], want[path])
		}
	}
	for _, sub := range []string{"staging", "scratch", "locks", "aside"} {
		if left, _ := filepath.Glob(filepath.Join(s.Dir(), sub, "*")); len(left) > 0 {
			t.Errorf("left in %s: %q", sub, left)
		}
	}
}

func TestProcessesShareAStore(t *testing.T) {
	dir, log := filepath.Join(memoryDir(t), "store"), filepath.Join(t.TempDir(), "log")
	outs := make([]bytes.Buffer, 3)
	var commands []*exec.Cmd
	for i := range outs {
		commands = append(commands, helperCommand(t, dir, log, &outs[i]))
	}
	var all strings.Builder
	for i, cmd := range commands {
		if err := cmd.Wait(); err != nil {
			t.Errorf("process %d: %v\n%s", i, err, &outs[i])
		}
		all.WriteString(outs[i].String())
	}
	for unit, n := range unitsIn(t, log) {
		if n != 1 {
			t.Errorf("%s computed %d times", unit, n)
		}
	}
	if n := strings.Count(all.String(), "started"); n != slowCount {
		t.Errorf("%d stages started, want %d:\n%s", n, slowCount, &all)
	}
	checkSlowStore(t, openStore(t, dir))
}

// Waiting for another process ends with the context.
func TestCancelWhileWaiting(t *testing.T) {
	s := newStore(t)
	started, release := make(chan struct{}), make(chan struct{})
	stage := func(run func()) []pipeline.Stage {
		return []pipeline.Stage{{Name: "a", Kind: "a", Run: func(context.Context, *pipeline.Work) error { run(); return nil }}}
	}
	first := make(chan error, 1)
	go func() {
		_, err := pipeline.Run(context.Background(), s, stage(func() { close(started); <-release }), pipeline.Options{})
		first <- err
	}()
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
	defer cancel()
	o := &notes{t: t}
	r, err := pipeline.Run(ctx, s, stage(func() { t.Error("ran beside the holder") }), pipeline.Options{Observer: o})
	if !errors.Is(err, context.DeadlineExceeded) || r.Status != pipeline.Interrupted {
		t.Errorf("status %s, error %v", r.Status, err)
	}
	if want := fmt.Sprintf("held by process %d on ", os.Getpid()); !strings.Contains(o.String(), want) {
		t.Errorf("observed\n%s", o)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// waitObserver says once that its run waits for another.
type waitObserver struct {
	*notes
	once    sync.Once
	waiting chan struct{}
}

func (o *waitObserver) Log(string, string) { o.once.Do(func() { close(o.waiting) }) }

// Who waits for an artifact goes on when it is there, though the process that
// made it now reads it for a later stage.
func TestWaitingEndsWithTheArtifact(t *testing.T) {
	s := newStore(t)
	started, releaseA, releaseB := make(chan struct{}), make(chan struct{}), make(chan struct{})
	a := pipeline.Stage{Name: "a", Kind: "a", Run: func(context.Context, *pipeline.Work) error { close(started); <-releaseA; return nil }}
	b := pipeline.Stage{Name: "b", Kind: "b", Inputs: []string{"a"}, Run: func(context.Context, *pipeline.Work) error { <-releaseB; return nil }}
	run := func(o pipeline.Options) chan error {
		result := make(chan error, 1)
		go func() {
			_, err := pipeline.Run(t.Context(), s, []pipeline.Stage{a, b}, o)
			result <- err
		}()
		return result
	}
	first := run(pipeline.Options{})
	<-started
	o := &waitObserver{notes: &notes{t: t}, waiting: make(chan struct{})}
	second := run(pipeline.Options{Targets: []string{"a"}, Observer: o})
	<-o.waiting
	close(releaseA)
	select {
	case err := <-second:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("still waits for an artifact that is there")
	}
	close(releaseB)
	if err := <-first; err != nil {
		t.Error(err)
	}
}
