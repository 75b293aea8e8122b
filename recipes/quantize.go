package recipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/memory"
	"github.com/retort-ml/retort/pipeline"
	"github.com/retort-ml/retort/quantize"
)

// quantizeStage writes a model in fewer bits. A model with an adapter is
// merged first.
type quantizeStage struct {
	Kind             string `yaml:"kind"`
	Model            string `yaml:"model"`
	Format           string `yaml:"format"` // gguf, which is also what nothing means
	quantize.Options `yaml:",inline"`
}

func (s *quantizeStage) check(c *checker) {
	c.model("model", s.Model)
	if s.Format != "" && s.Format != "gguf" {
		c.blame("format", "%s", unknown("format", s.Format, []string{"gguf"}))
	}
	c.options("", s.Options.Validate())
}

// fileName is the artifact's file.
func (s *quantizeStage) fileName() string { return "model-" + s.Options.WithDefaults().Type + ".gguf" }

func (s *quantizeStage) build(r *Recipe) pipeline.Stage {
	m := r.modelRef(s.Model)
	options := *s
	options.Options = s.options(r)
	return pipeline.Stage{Inputs: m.stages, Files: m.files, Version: "2", Fingerprint: fingerprint(options, r.chats(map[string]any{}, s.Model)),
		Run: func(ctx context.Context, w *pipeline.Work) error { return s.run(w, r) },
		Memory: func(ctx context.Context, made func(string) string) (pipeline.Memory, error) {
			return s.memory(ctx, r, made)
		}}
}

// options are the options with what follows from the recipe.
func (s *quantizeStage) options(r *Recipe) quantize.Options {
	o := s.Options
	o.Name = orElse(o.Name, r.Name)
	return o.WithDefaults()
}

func (s *quantizeStage) run(w *pipeline.Work, r *Recipe) (err error) {
	defer memory.LimitGarbage(garbagePercent)()
	l, err := r.load(w, s.Model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if l.model.LoRA != nil {
		if err := l.model.Merge(); err != nil {
			return fmt.Errorf("model %s: %w", s.Model, err)
		}
		l.model.Release() // what was merged is not read again
	}
	vocab, err := l.tokenizer.GGUF()
	if err != nil {
		return fmt.Errorf("model %s: tokenizer: %w", s.Model, err)
	}
	o := s.options(r)
	o.Source = l.artifact
	summary, err := quantize.WriteGGUF(filepath.Join(w.Dir, s.fileName()), l.model, vocab, o)
	if err != nil {
		return err
	}
	// The file's vocabulary is another description of the same tokenizer.
	if l.tokenizer, err = readVocabulary(filepath.Join(w.Dir, s.fileName())); err != nil {
		return err
	}
	if err := l.promptingRecord().write(w.Dir); err != nil {
		return err
	}
	data, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(w.Dir, "quantize.json"), append(data, '\n'))
}
