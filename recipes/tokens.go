package recipes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/pipeline"
)

// tokensStage encodes a split once, for all train stages that read it with the
// same tokenizer and chat template.
type tokensStage struct {
	Kind      string `yaml:"kind"`
	Student   string `yaml:"student"`   // the model whose tokenizer and chat template it is
	Tokenizer string `yaml:"tokenizer"` // instead: a tokenizer stage, for new models
	On        string `yaml:"on"`        // a split, such as data.train
	Length    int    `yaml:"length"`    // tokens of the longest example; 0 means 256
	// PromptsOnly leaves responses out, for train stages with prompts_only.
	PromptsOnly bool `yaml:"prompts_only"`

	learning `yaml:",inline"`
}

func (s *tokensStage) check(c *checker) {
	switch {
	case s.Student == "" && s.Tokenizer == "":
		c.blame("", "want a student, or a tokenizer stage for new models")
	case s.Student != "" && s.Tokenizer != "":
		c.blame("tokenizer", "a student brings its own tokenizer")
	case s.Student != "":
		c.model("student", s.Student)
	default:
		c.tokenizer(s.Tokenizer)
	}
	if _, ok := c.recipe.find(s.On).(*answersStage); ok {
		c.blame("on", "%s: a teacher's answers have tokens already: train on them directly", s.On)
	} else {
		c.split("on", s.On)
	}
	if s.Length < 0 || s.Length > maxLength {
		c.blame("length", "%d: want 1 to %d tokens", s.Length, maxLength)
	}
	s.learning.check(c)
	if s.PromptsOnly && s.Learn != "" {
		c.blame("learn", "prompts_only learns prompts alone")
	}
}

// tokenizer checks a reference to a tokenizer stage.
func (c *checker) tokenizer(ref string) {
	if t, ok := c.recipe.find(ref).(*tokenizerStage); !ok || t == nil {
		c.blame("tokenizer", "%s", unknown("tokenizer stage", ref, c.names(func(s stage) bool { _, ok := s.(*tokenizerStage); return ok })))
	}
}

func (s *tokensStage) length() int { return orElse(s.Length, defaultLength) }

func (s *tokensStage) build(r *Recipe) pipeline.Stage {
	inputs, files := []string{s.Tokenizer}, []string(nil)
	if s.Student != "" {
		m := r.modelRef(s.Student)
		inputs, files = m.stages, m.files
	}
	inputs = unique(append(slices.Clone(inputs), head(s.On)))
	options := *s
	options.Length, options.learning = s.length(), s.shortest()
	return pipeline.Stage{Inputs: inputs, Files: files, Version: "1",
		Fingerprint: fingerprint(options, r.chats(map[string]any{}, s.Student)),
		Run:         func(ctx context.Context, w *pipeline.Work) error { return s.run(ctx, w, r, inputs) },
		Memory: func(context.Context, func(string) string) (pipeline.Memory, error) {
			return forecast(processBytes+encodingBytes, nil)
		}}
}

// encodingBytes is what reading, encoding and writing examples takes: a few
// thousand examples, a record batch, and the index of a file. Measured.
const encodingBytes = 120 << 20

func (s *tokensStage) run(ctx context.Context, w *pipeline.Work, r *Recipe, inputs []string) error {
	l, err := r.reader(s.Student, s.Tokenizer, func(stage string) string {
		if !slices.Contains(inputs, stage) {
			return ""
		}
		return w.Input(stage)
	})
	if err != nil {
		return err
	}
	d, split, err := dataset(w, s.On)
	if err != nil {
		return err
	}
	dir := filepath.Join(w.Scratch, tokensDir)
	cache, err := datasets.WriteTokens(ctx, dir, l.tokenizer, d.Examples(split), s.format(l, s.length(), s.PromptsOnly), l.rule(s.On),
		func(n int) { w.Progress(int64(n), int64(d.Len(split)), "examples") })
	if err != nil {
		return err
	}
	info := cache.Info
	if err := cache.Close(); err != nil {
		return err
	}
	lostRows(w, s.On, info.Counts, s.length())
	w.Log(fmt.Sprintf("%d sequences, %d tokens, %d learned", info.Counts.Sequences, info.Tokens, info.Learned))
	return moveFiles(dir, w.Dir)
}

// moveFiles moves the files of one directory into another on the same disk.
func moveFiles(from, to string) error {
	entries, err := os.ReadDir(from)
	for _, e := range entries {
		err = errors.Join(err, os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())))
	}
	return err
}

// lostRows warns of examples that are cut or not learned, naming the first.
func lostRows(w *pipeline.Work, ref string, c datasets.EncodeCounts, length int) {
	if c.Cut > 0 {
		w.Warn(fmt.Sprintf("%s: %d of %d examples are cut to %d tokens", ref, c.Cut, c.Examples, length))
	}
	if c.Lost() > 0 {
		w.Warn(fmt.Sprintf("%s: %d of %d examples are not learned: %d longer than %d tokens, %d with nothing to learn; the first is %s",
			ref, c.Lost(), c.Examples, c.TooLong, length, c.Unlearned, c.First[0]))
	}
}

// tokensDir is the token cache in a stage's scratch directory.
const tokensDir = "tokens"
