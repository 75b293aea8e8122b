package recipes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/eval"
	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/pipeline"
)

// notesDir holds what each stage's answers last took, in the pipeline's store.
// Money and clocks are in no artifact.
const notesDir = "spending"

func (r *Recipe) notePath(account string) string {
	name := sha256.Sum256([]byte(account))
	return filepath.Join(r.store, notesDir, hex.EncodeToString(name[:16])+".json")
}

// keepNote writes down what the answers of a stage took.
func (r *Recipe) keepNote(account, stage string, t *askedTeacher, s *distill.Stats) error {
	n := eval.AnswersNote{Stage: stage, Teacher: t.name, Answers: s.Requests, Cached: s.Cached.Answers + s.Repeated, Fresh: s.Fresh.Answers,
		Batch: s.Batch.Answers, Retries: s.Retried.Calls, Saved: s.Cached.Cost.Dollars(), Fees: s.Fresh.Cost.Dollars(),
		Batched: s.Batch.Cost.Dollars(), Retried: s.Retried.Cost.Dollars()}
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	path := r.notePath(account)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, append(data, '\n'))
}

// notes are those of the recipe's stages, as far as they have run.
func (r *Recipe) notes() ([]eval.AnswersNote, error) {
	var list []eval.AnswersNote
	for _, s := range r.stages {
		for _, account := range []string{r.account(s.spec), judgeAccount(r.account(s.spec))} {
			data, err := os.ReadFile(r.notePath(account))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			var n eval.AnswersNote
			if err == nil {
				err = json.Unmarshal(data, &n)
			}
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", r.notePath(account), err)
			}
			list = append(list, n)
		}
	}
	return list, nil
}

// judgeAccount names the notes of a stage's judge; it pays from the stage's account.
func judgeAccount(account string) string { return account + "/judge" }

// dataNote says what became of the rows of a dataset.
func dataNote(w *pipeline.Work, stage string) (eval.DataNote, error) {
	n := eval.DataNote{Stage: stage}
	d, err := datasets.Open(w.Input(stage))
	if err != nil {
		return n, err
	}
	add := func(count int, what string, args ...any) {
		if count > 0 {
			n.Counts = append(n.Counts, eval.DataCount{What: fmt.Sprintf(what, args...), Count: int64(count)})
		}
	}
	c := d.Counts
	add(c.Rows, "rows read")
	for _, reason := range slices.Sorted(maps.Keys(c.Rejected)) {
		add(c.Rejected[reason], "not usable: %s", reason)
	}
	for _, split := range d.Splits() {
		add(d.Len(split), "%s: examples", split)
		for _, drop := range slices.Sorted(maps.Keys(c.Dropped[split])) {
			add(c.Dropped[split][drop], "%s: left out: %s", split, drop)
		}
		add(c.Repeated[split], "%s: repeated", split)
	}
	for _, part := range slices.Sorted(maps.Keys(c.Truncated)) {
		add(c.Truncated[part], "%s cut to the length allowed", part)
	}
	if f := d.Contamination; f != nil {
		add(f.Examples, "training examples compared with benchmarks' texts")
		add(f.Matching, "of these, that share a run of words with one")
		add(f.Dropped, "of these, left out")
		add(f.Texts, "benchmarks' texts looked for")
		add(f.TextsFound, "of these, found in training examples")
		add(f.TextsWhole, "of these, found whole")
	}
	return n, nil
}
