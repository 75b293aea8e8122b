package recipes

import (
	"context"
	"errors"
	"fmt"

	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/pipeline"
	"github.com/retort-ml/retort/train"
)

// source is the directory that the encoder of ref comes from, through the
// stages that tune it: what is made of it has the same sizes. false of other models.
func (r *Recipe) source(ref string) (dir string, ok bool) {
	for {
		s, ok := r.find(ref).(*classifierStage)
		if !ok {
			return r.encoder(ref, func(string) string { return "" })
		}
		ref = s.Student
	}
}

// classifierBytes estimates the memory of a classifier that is evaluated: its
// weights as float32, what a run of it takes, and the tokenizer; false of other models.
func (r *Recipe) classifierBytes(ref string) (int64, bool) {
	dir, ok := r.source(ref)
	if !ok {
		return 0, false
	}
	c, err := model.LoadClassifierConfig(dir)
	if err != nil {
		return 0, true // loading it will say what is wrong
	}
	return int64(c.Memory()) + tokenBytes*int64(c.VocabSize), true
}

// memory forecasts training, with the teacher beside it if there is one.
func (s *classifierStage) memory(ctx context.Context, r *Recipe, made madeDir) (pipeline.Memory, error) {
	dir, ok := r.source(s.Student)
	if !ok {
		return pipeline.Memory{}, s.noEncoder() // before a teacher is paid
	}
	t, err := r.texts(ctx, made, s.On)
	if err != nil {
		return pipeline.Memory{}, err
	}
	m, err := model.LoadClassifierOutline(dir, make([]string, max(2, t.labels)))
	if err != nil {
		return pipeline.Memory{}, err
	}
	if s.LoRA != nil {
		err = m.AddLoRA(*s.LoRA, nil)
	} else {
		err = m.Unfreeze()
	}
	if err != nil {
		return pipeline.Memory{}, err
	}
	length := min(orElse(s.Batch.Length, 256), m.Config.MaxPositionEmbeddings)
	need := train.Need{Student: m, Rows: orElse(s.Batch.Rows, 8) * length, Options: s.Options.WithDefaults(),
		DataBytes: t.heldBytes() + t.promptBytes + int64(t.examples)*(sequenceBytes+8*int64(t.labels)) + tokenBytes*int64(m.Config.VocabSize)}
	if s.Valid != "" {
		need.ValidRows = need.Rows
	}
	planned, err := need.Memory(s.Limit())
	var small *train.MemoryError
	if errors.As(err, &small) {
		return pipeline.Memory{PeakBytes: small.Least, Fault: small.Error() + "; try fewer batch.rows, a shorter batch.length or lora"}, nil
	}
	if err != nil {
		return pipeline.Memory{}, err
	}
	teacher, err := s.teacherBytes(r, made, t)
	asked := processBytes + int64(m.Bytes()) + t.heldBytes() + teacher
	return pipeline.Memory{PeakBytes: max(planned.Peak, asked)}, err
}

// teacherBytes is what the teacher takes while it scores the labels.
func (s *classifierStage) teacherBytes(r *Recipe, made madeDir, t texts) (int64, error) {
	if s.Teacher == "" {
		return 0, nil
	}
	if n, ok := r.classifierBytes(s.Teacher); ok {
		return n, nil
	}
	o, err := r.outline(made, s.Teacher)
	if err != nil {
		return 0, fmt.Errorf("teacher: %w", err)
	}
	prompt, response := t.promptTokens(o), t.responseTokens(o)
	scores := o.model.ScoreBytes(askedAtOnce*(prompt+max(1, t.labels)*(response-1)), askedAtOnce, prompt+response)
	return o.bytes() + withGarbage(int64(scores)), nil
}
