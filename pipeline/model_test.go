package pipeline_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/pipeline"
)

// world is a random pipeline that is edited at random.
type world struct {
	rng    *rand.Rand
	dir    string
	values []int   // of each stage; stages alike are wanted
	inputs [][]int // of each stage, always to stages before it
	files  []int   // which file each stage reads; -1 for none
	named  []int   // the number in its name, which may change
	ran    counter
	names  int
}

const worldFiles = 2

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir()}
	for i := range worldFiles {
		w.writeFile(t, i)
	}
	for range 3 + w.rng.IntN(4) {
		w.addStage()
	}
	return w
}

func (w *world) file(i int) string { return filepath.Join(w.dir, fmt.Sprintf("f%d", i)) }

func (w *world) writeFile(t *testing.T, i int) {
	writeFile(t, w.file(i), fmt.Sprint(w.rng.IntN(3)))
}

func (w *world) addStage() {
	n := len(w.values)
	w.values = append(w.values, w.rng.IntN(4))
	w.files = append(w.files, w.rng.IntN(worldFiles+1)-1)
	w.inputs = append(w.inputs, nil)
	w.named = append(w.named, w.names)
	w.names++
	w.rewire(n)
}

func (w *world) rewire(i int) {
	w.inputs[i] = nil
	for range w.rng.IntN(3) {
		if i > 0 {
			w.inputs[i] = append(w.inputs[i], w.rng.IntN(i)) // the same one twice, at times
		}
	}
}

func (w *world) name(i int) string { return fmt.Sprintf("s%d", w.named[i]) }

// stages returns the pipeline, declared in random order.
func (w *world) stages() []pipeline.Stage {
	var list []pipeline.Stage
	for i := range w.values {
		var inputs, files []string
		for _, in := range w.inputs[i] {
			inputs = append(inputs, w.name(in))
		}
		if w.files[i] >= 0 {
			files = []string{w.file(w.files[i])}
		}
		list = append(list, copyStage(w.name(i), fmt.Sprint(w.values[i]), &w.ran, inputs, files))
	}
	w.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// edit changes one thing about the pipeline and returns what it was.
func (w *world) edit(t *testing.T) string {
	i := w.rng.IntN(len(w.values))
	switch w.rng.IntN(6) {
	case 0:
		w.addStage()
		return "stage added"
	case 1:
		w.rewire(i)
		return "inputs of " + w.name(i)
	case 2:
		w.writeFile(t, w.rng.IntN(worldFiles))
		return "a file"
	case 3:
		w.named[i] = w.names
		w.names++
		return "renamed to " + w.name(i)
	case 4:
		return "nothing"
	}
	w.values[i] = w.rng.IntN(4)
	return "value of " + w.name(i)
}

// harm removes or damages an artifact at random; it returns the id of one
// that is harmed, or "".
func (w *world) harm(t *testing.T, s *pipeline.Store) string {
	list, err := s.Artifacts()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 || w.rng.IntN(3) > 0 {
		return ""
	}
	a := list[w.rng.IntN(len(list))]
	victim := []string{a.Dir, filepath.Join(a.Dir, "manifest.json"), filepath.Join(a.Dir, "sub", "out.txt")}[w.rng.IntN(3)]
	if w.rng.IntN(2) == 0 && victim != a.Dir {
		err = os.Truncate(victim, 3)
	} else {
		err = os.RemoveAll(victim)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a.Manifest.ID
}

// The store after any edits, damages and partial runs holds for every stage
// what an empty store would get by running everything; and a stage runs only
// if its artifact was not there.
func TestRunAgainstRunEverything(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			s := newStore(t)
			have := make(map[string]bool) // ids of whole artifacts
			for round := range 7 {
				what := w.edit(t)
				delete(have, w.harm(t, s))
				stages := w.stages()
				var targets []string
				if w.rng.IntN(3) == 0 {
					targets = []string{stages[w.rng.IntN(len(stages))].Name}
				}
				w.check(t, s, stages, targets, have)
				if t.Failed() {
					t.Fatalf("in round %d, after: %s; targets %q", round, what, targets)
				}
			}
		})
	}
}

func (w *world) check(t *testing.T, s *pipeline.Store, stages []pipeline.Stage, targets []string, have map[string]bool) {
	t.Helper()
	oracle := newStore(t)
	want := mustRun(t, oracle, stages, pipeline.Options{})
	w.ran.take()

	due := w.due(want, stages, targets, have)
	plan := mustPlan(t, s, stages, targets...)
	var planned []string
	for _, p := range plan.Stages {
		if p.Action == pipeline.ActionRun {
			planned = append(planned, p.ID)
		}
	}
	got := mustRun(t, openStore(t, s.Dir()), stages, pipeline.Options{Targets: targets})
	var ran []string
	for _, sr := range got.Stages {
		if sr.Outcome == pipeline.Ran {
			ran = append(ran, sr.ID)
		}
	}
	slices.Sort(planned)
	slices.Sort(ran)
	if !slices.Equal(ran, due) || !slices.Equal(planned, due) {
		t.Errorf("ran %.6q, planned %.6q, due %.6q", ran, planned, due)
	}
	if n := len(strings.Fields(w.ran.take())); n != len(due) {
		t.Errorf("%d stages were called, %d due", n, len(due))
	}
	for _, id := range due {
		have[id] = true
	}
	for _, sr := range want.Stages {
		if !have[sr.ID] {
			continue
		}
		if a, b := contents(t, oracle, sr.ID), contents(t, s, sr.ID); !maps.Equal(a, b) {
			t.Errorf("stage %s: %v, want %v", sr.Name, b, a)
		}
	}
}

// due returns the ids that must be made: of the targets or everything, and of
// what those read, as far as they are not there.
func (w *world) due(all *pipeline.Record, stages []pipeline.Stage, targets []string, have map[string]bool) []string {
	ids, byName := make(map[string]string), make(map[string]pipeline.Stage)
	for _, sr := range all.Stages {
		ids[sr.Name] = sr.ID
	}
	for _, s := range stages {
		byName[s.Name] = s
	}
	if len(targets) == 0 {
		targets = slices.Collect(maps.Keys(byName))
	}
	due := make(map[string]bool)
	var need func(name string)
	need = func(name string) {
		if have[ids[name]] || due[ids[name]] {
			return
		}
		due[ids[name]] = true
		for _, in := range byName[name].Inputs {
			need(in)
		}
	}
	for _, name := range targets {
		need(name)
	}
	return slices.Sorted(maps.Keys(due))
}

// contents returns the files an artifact holds, but of its manifest only what
// does not name stages: an artifact keeps the names it was made under.
func contents(t *testing.T, s *pipeline.Store, id string) map[string]string {
	t.Helper()
	a := artifact(t, s, id)
	if err := a.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := tree(t, a.Dir)
	delete(all, "manifest.json")
	all["content"] = a.Manifest.Content()
	return all
}
