package recipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/tokenizer"
	"github.com/retort-ml/retort/pipeline"
	"github.com/retort-ml/retort/train"
)

// classifierStage tunes an encoder to tell the responses of a dataset, its
// labels, from the prompts. With teacher it follows that model's probabilities
// of the labels. Its artifact holds the tuned model whole, and with lora the
// adapter besides.
type classifierStage struct {
	Kind    string           `yaml:"kind"`
	Student string           `yaml:"student"` // an encoder: a Hugging Face directory, or another classifier stage
	On      string           `yaml:"on"`      // a split; its distinct responses are the labels
	Valid   string           `yaml:"valid"`   // what the validation loss is measured on; may be empty
	Teacher string           `yaml:"teacher"` // a model whose probabilities of the labels are learned; may be empty
	Distill *distill.Options `yaml:"distill"` // how; with a teacher alone
	LoRA    *model.LoRA      `yaml:"lora"`    // low-rank updates and the head; without it all weights are trained
	Batch   batch            `yaml:"batch"`

	train.Options `yaml:",inline"`
}

func (s *classifierStage) check(c *checker) {
	c.subject("student", s.Student)
	c.split("on", s.On)
	if s.Valid != "" {
		c.split("valid", s.Valid)
	}
	if s.Teacher != "" {
		c.subject("teacher", s.Teacher)
	}
	if s.Distill != nil {
		c.options("distill", errors.Join(s.Distill.Validate(), s.Distill.ForClasses()))
		if s.Teacher == "" {
			c.blame("distill", "there is no teacher to follow")
		}
	}
	if s.LoRA != nil {
		c.options("lora", s.LoRA.Validate())
	}
	if s.Batch.Rows < 0 || s.Batch.Length < 0 || s.Batch.Rows > 1<<16 || s.Batch.Length > 1<<20 {
		c.blame("batch", "want rows of 1 to 65536 and a length of 1 to 1048576 tokens")
	}
	if s.Keep == "best" && s.Valid == "" {
		c.blame("keep", "best is measured on validation data: set valid")
	}
	c.options("", s.Options.Validate())
}

func (s *classifierStage) build(r *Recipe) pipeline.Stage {
	student := r.modelRef(s.Student)
	inputs, files := append(student.stages, head(s.On)), student.files
	if s.Valid != "" {
		inputs = append(inputs, head(s.Valid))
	}
	if s.Teacher != "" {
		teacher := r.modelRef(s.Teacher)
		inputs, files = append(inputs, teacher.stages...), append(files, teacher.files...)
	}
	options := *s
	options.Options = s.Options.WithDefaults()
	options.CheckpointEvery, options.Memory = 0, 0 // they change nothing of what is computed
	if s.Distill != nil {
		d := s.Distill.WithDefaults()
		options.Distill = &d
	}
	return pipeline.Stage{Inputs: unique(inputs), Files: unique(files), Version: "1",
		Fingerprint: fingerprint(options, r.chats(map[string]any{"seed": r.Seed}, s.Teacher)),
		Run:         func(ctx context.Context, w *pipeline.Work) error { return s.run(ctx, w, r) },
		Memory: func(ctx context.Context, made func(string) string) (pipeline.Memory, error) {
			return s.memory(ctx, r, made)
		}}
}

func (s *classifierStage) run(ctx context.Context, w *pipeline.Work, r *Recipe) (err error) {
	list, err := examples(w, s.On)
	if err != nil {
		return err
	}
	labels := labelsOf(list)
	if len(labels) < 2 || len(labels) > maxClasses {
		return fmt.Errorf("%s has %d distinct responses: want labels to tell apart, 2 to %d", s.On, len(labels), maxClasses)
	}
	l, err := s.student(w, r, labels)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	run := &train.Run{Student: l.model, Options: s.Options, Checkpoint: filepath.Join(w.Scratch, "checkpoint"),
		Identity: w.ID, Report: report(w), Planned: planned(w)}
	run.Options.Seed = r.Seed
	if run.Data, err = s.data(ctx, w, r, l, s.On, list); err != nil {
		return err
	}
	if s.Valid != "" {
		valid, err := examples(w, s.Valid)
		if err != nil {
			return err
		}
		data, err := s.data(ctx, w, r, l, s.Valid, valid)
		if err != nil {
			return fmt.Errorf("validation: %w", err)
		}
		run.Valid = &data
	}
	if err := os.MkdirAll(w.Scratch, 0o777); err != nil {
		return err
	}
	summary, err := run.Do(ctx)
	if err != nil {
		return err
	}
	if err := s.save(w, l); err != nil {
		return err
	}
	data, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(w.Dir, "train.json"), append(data, '\n'))
}

// maxClasses is the most distinct responses that are taken for labels.
const maxClasses = 1000

// labelsOf are the distinct responses, sorted.
func labelsOf(list []datasets.Example) []string {
	labels := make([]string, len(list))
	for i, e := range list {
		labels[i] = e.Response
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

// noEncoder is the error of a student that is none.
func (s *classifierStage) noEncoder() error {
	return fmt.Errorf("student %s is no encoder that classifies: use kind: train for it", s.Student)
}

// student is the encoder to tune. Its head is kept if it tells these labels,
// and otherwise new.
func (s *classifierStage) student(w *pipeline.Work, r *Recipe, labels []string) (*classifier, error) {
	dir, ok := r.encoder(s.Student, w.Input)
	if !ok {
		return nil, s.noEncoder()
	}
	c, err := model.LoadClassifierConfig(dir)
	if err != nil {
		return nil, err
	}
	l := &classifier{}
	dev := cpu.New(0)
	if slices.Equal(c.Labels, labels) {
		l.model, err = model.LoadClassifier(dev, dir)
	} else {
		w.Log(fmt.Sprintf("a new head for %d labels", len(labels)))
		l.model, err = model.LoadEncoder(dev, dir, labels, random.Stream(r.Seed, "classification head"))
	}
	if err != nil {
		return nil, err
	}
	if err := l.openTokenizer(dir); err != nil {
		return nil, errors.Join(err, l.close())
	}
	if s.LoRA != nil {
		err = l.model.AddLoRA(*s.LoRA, random.Stream(r.Seed, "low-rank updates"))
	} else {
		err = l.model.Unfreeze()
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// data is the batches of a split, and the objective that fits them.
func (s *classifierStage) data(ctx context.Context, w *pipeline.Work, r *Recipe, l *classifier, ref string, list []datasets.Example) (train.Data, error) {
	length := min(orElse(s.Batch.Length, 256), l.model.Config.MaxPositionEmbeddings)
	sequences, classes := make([]datasets.Sequence, len(list)), make([]int32, len(list))
	cut, size := 0, int64(0)
	for i, e := range list {
		ids, whole := l.encode(e.Prompt, length)
		if !whole {
			cut++
		}
		var err error
		if classes[i], err = l.model.Config.Label(e.Response); err != nil {
			return train.Data{}, fmt.Errorf("%s: example %s: %w", ref, e.ID, err)
		}
		sequences[i] = datasets.Sequence{Tokens: ids, PromptLen: len(ids), Example: i}
		size += sequenceBytes + 4*int64(len(ids))
	}
	if cut > 0 {
		w.Warn(fmt.Sprintf("%s: %d of %d texts are cut to %d tokens", ref, cut, len(list), length))
	}
	batches, err := datasets.NewBatches(sequences, datasets.BatchOptions{Rows: orElse(s.Batch.Rows, 8), Length: length,
		PromptWeight: 1, InOrder: ref == s.Valid, Seed: r.Seed, NoPacking: s.Batch.OnePerRow})
	if err != nil {
		return train.Data{}, err
	}
	source, err := train.NewClasses(batches, classes, len(l.model.Config.Labels))
	if err != nil || s.Teacher == "" {
		return train.Data{Source: source, Objective: train.CrossEntropy{}, Bytes: size}, err
	}
	probabilities, err := s.ask(ctx, w, r, list, l.model.Config.Labels)
	if err != nil {
		return train.Data{}, fmt.Errorf("teacher %s: %w", s.Teacher, err)
	}
	objective, err := distill.NewClassObjective(*orElse(s.Distill, &distill.Options{}), probabilities)
	if err != nil {
		return train.Data{}, err
	}
	return train.Data{Source: source, Objective: objective, Bytes: size + objective.Bytes()}, nil
}

// save writes the model whole, and the adapter.
func (s *classifierStage) save(w *pipeline.Work, l *classifier) error {
	if s.LoRA != nil {
		if err := l.model.SaveAdapter(filepath.Join(w.Dir, adapterDir), s.Student); err != nil {
			return err
		}
		l.model.Merge()
	}
	if err := l.promptingRecord().write(w.Dir); err != nil {
		return err
	}
	dir := filepath.Join(w.Dir, modelDir)
	if err := l.model.Save(dir); err != nil {
		return err
	}
	return l.tokenizer.Write(dir)
}

// openTokenizer reads the tokenizer of a directory, and refuses one that does
// not fit the model.
func (l *classifier) openTokenizer(dir string) (err error) {
	if l.tokenizer, err = tokenizer.Load(dir); err != nil {
		return err
	}
	if have, room := l.tokenizer.VocabSize(), l.model.Config.VocabSize; have > room {
		return fmt.Errorf("model %s: the tokenizer has token ids up to %d, the model's vocabulary ends at %d", dir, have-1, room-1)
	}
	if len(l.tokenizer.Encode("", true)) == 0 {
		return fmt.Errorf("model %s: the tokenizer puts no token such as [CLS] before a text, which an encoder's head reads", dir)
	}
	return nil
}
