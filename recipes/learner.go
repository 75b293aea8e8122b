package recipes

import (
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/pipeline"
	"github.com/retort-ml/retort/train"
)

// learner puts together what train.Run needs.
type learner struct {
	stage   *trainStage
	recipe  *Recipe
	work    *pipeline.Work
	student *loaded
}

func (l *learner) run() (*train.Run, error) {
	s, w := l.stage, l.work
	data, err := l.data(s.On, true)
	if err != nil {
		return nil, err
	}
	run := &train.Run{Student: l.student.model, Data: data, Options: s.Options,
		Checkpoint: filepath.Join(w.Scratch, "checkpoint"), Identity: w.ID, Report: report(w), Planned: planned(w)}
	run.Options.Seed = l.recipe.Seed
	if s.Valid != "" {
		valid, err := l.data(s.Valid, false)
		if err != nil {
			return nil, fmt.Errorf("validation: %w", err)
		}
		run.Valid = &valid
	}
	return run, os.MkdirAll(w.Scratch, 0o777)
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
func (l *learner) data(ref string, shuffle bool) (train.Data, error) {
	s := l.stage
	var sequences []datasets.Sequence
	var size int64
	var objective train.Objective = train.CrossEntropy{}
	var err error
	if _, ok := l.recipe.find(ref).(*answersStage); ok {
		sequences, objective, err = l.answers(ref)
	} else {
		sequences, err = l.examples(ref)
	}
	if err != nil {
		return train.Data{}, err
	}
	if d, ok := objective.(*distill.Objective); ok {
		size = d.Bytes()
	}
	for i := range sequences {
		size += sequenceBytes + 4*int64(len(sequences[i].Tokens))
	}
	o := datasets.BatchOptions{Rows: s.rows(), Length: s.length(), InOrder: !shuffle, Seed: l.recipe.Seed,
		PromptWeight: float32(s.PromptWeight), ResponseWeight: 1, NoPacking: s.Batch.OnePerRow}
	if s.PromptsOnly {
		o.PromptWeight = 1
	}
	batches, err := datasets.NewBatches(sequences, o)
	return train.Data{Source: batches, Objective: objective, Bytes: size}, err
}

func (s *trainStage) length() int { return orElse(s.Batch.Length, 256) }

func (l *learner) format() datasets.Format {
	return datasets.Format{Writer: l.student.writer, BOS: l.student.bos, EOS: l.student.stop[0], MaxTokens: l.stage.length(), OmitResponse: l.stage.PromptsOnly}
}

// examples are the sequences of a split.
func (l *learner) examples(ref string) ([]datasets.Sequence, error) {
	list, err := examples(l.work, ref)
	if err != nil {
		return nil, err
	}
	return l.encode(ref, list)
}

// encode makes sequences of texts.
func (l *learner) encode(ref string, list []datasets.Example) ([]datasets.Sequence, error) {
	sequences, skipped, err := datasets.Encode(l.student.tokenizer, list, l.format())
	if err == nil && skipped.Total() > 0 {
		l.work.Warn(fmt.Sprintf("%s: %d of %d examples are not learned: %d longer than %d tokens, %d without prompt, %d without response",
			ref, skipped.Total(), len(list), skipped.TooLong, l.stage.length(), skipped.EmptyPrompt, skipped.EmptyResponse))
	}
	return sequences, err
}

// orElse is value, or otherwise where it is zero.
func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
