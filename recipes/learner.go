package recipes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/pipeline"
	"github.com/retort-ml/retort/train"
)

// learner puts together what train.Run needs. It is closed after the run.
type learner struct {
	stage   *trainStage
	recipe  *Recipe
	work    *pipeline.Work
	student *loaded
	open    []io.Closer // token caches
}

func (l *learner) run(ctx context.Context) (*train.Run, error) {
	s, w := l.stage, l.work
	if err := os.MkdirAll(w.Scratch, 0o777); err != nil {
		return nil, err
	}
	data, err := l.data(ctx, s.On, true)
	if err == nil && s.OnPolicy != nil {
		err = l.ownAnswers(&data)
	}
	if err != nil {
		return nil, err
	}
	run := &train.Run{Student: l.student.model, Data: data, Options: s.Options,
		Checkpoint: filepath.Join(w.Scratch, "checkpoint"), Identity: w.ID, Report: report(w), Planned: planned(w)}
	run.Options.Seed = l.recipe.Seed
	if s.Valid != "" {
		valid, err := l.data(ctx, s.Valid, false)
		if err != nil {
			return nil, fmt.Errorf("validation: %w", err)
		}
		run.Valid = &valid
	}
	return run, nil
}

func (l *learner) close() error {
	var errs []error
	for _, c := range l.open {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// planned tells how much memory the run will take.
func planned(w *pipeline.Work) func(train.Memory) {
	return func(m train.Memory) {
		w.Event("memory", map[string]any{"planned_bytes": m.Peak, "recomputed_layers": m.Recomputed, "layers": m.Layers})
		if m.Recomputed > 0 {
			w.Log(m.String())
		}
	}
}

// report turns the loop's progress into the pipeline's.
func report(w *pipeline.Work) func(train.Progress) {
	return func(p train.Progress) {
		w.Progress(int64(p.Step), int64(p.Steps), "steps")
		event := map[string]any{"step": p.Step, "epoch": p.Epoch, "loss_nats": p.Loss, "grad_norm": p.GradNorm,
			"learning_rate": p.Rate, "supervised_tokens": p.Tokens}
		if !math.IsNaN(p.Valid) {
			event["valid_loss_nats"] = p.Valid
		}
		w.Event("step", event)
	}
}

// data is the batches of a reference, and the objective that fits them.
func (l *learner) data(ctx context.Context, ref string, shuffle bool) (train.Data, error) {
	var s sequences
	var objective train.Objective = train.CrossEntropy{}
	var err error
	switch l.recipe.find(ref).(type) {
	case *answersStage:
		var list []datasets.Sequence
		if list, objective, err = l.answers(ref, shuffle); err == nil {
			s, err = inMemory(list)
		}
	case *tokensStage:
		s, err = l.tokensOf(ref)
	default:
		s, err = l.examples(ctx, ref, l.format(shuffle))
	}
	if err != nil {
		return train.Data{}, err
	}
	if d, ok := objective.(*distill.Objective); ok {
		s.bytes += d.Bytes()
	}
	if shuffle && l.stage.OnPolicy != nil {
		s.Sequences = roomy{s.Sequences, l.stage.room()}
	}
	batches, err := datasets.NewBatchesOf(s, l.stage.batches(shuffle, l.recipe.Seed))
	return train.Data{Source: batches, Objective: objective, Bytes: s.bytes}, err
}

// batches is how the stage lays sequences out.
func (s *trainStage) batches(shuffle bool, seed uint64) datasets.BatchOptions {
	o := datasets.BatchOptions{Rows: s.rows(), Length: s.length(), InOrder: !shuffle, Seed: seed,
		PromptWeight: float32(s.PromptWeight), ResponseWeight: 1, NoPacking: s.Batch.OnePerRow}
	if s.PromptsOnly {
		o.PromptWeight = 1
	}
	return o
}

const (
	defaultLength = 256
	maxLength     = 1 << 20
)

func (s *trainStage) length() int { return orElse(s.Batch.Length, defaultLength) }

// format is how examples become sequences; those that are trained on leave room
// for the student's own answers, if it writes them.
func (l *learner) format(trained bool) datasets.Format {
	s := l.stage
	if !trained || s.OnPolicy == nil {
		return s.learning.format(l.student, s.length(), s.PromptsOnly)
	}
	return s.learning.format(l.student, s.length()-s.room(), !s.given())
}

// orElse is value, or otherwise where it is zero.
func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
