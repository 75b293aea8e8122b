package recipes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/tokenizer"
	"github.com/retort-ml/retort/pipeline"
)

// tokenizerStage trains a byte-level BPE for models that are trained from
// random weights.
type tokenizerStage struct {
	Kind                   string `yaml:"kind"`
	On                     string `yaml:"on"` // a split, such as data.train
	tokenizer.TrainOptions `yaml:",inline"`
	// ResponseTokens gives each distinct response one token of its own: for
	// labels. There must be at most 1,000.
	ResponseTokens bool `yaml:"response_tokens"`
}

const maxResponseTokens = 1000

func (s *tokenizerStage) check(c *checker) {
	c.split("on", s.On)
	c.options("", s.TrainOptions.Validate())
}

func (s *tokenizerStage) build(r *Recipe) pipeline.Stage {
	return pipeline.Stage{Inputs: []string{head(s.On)}, Fingerprint: fingerprint(*s, nil), Version: "1", Run: s.run}
}

func (s *tokenizerStage) run(_ context.Context, w *pipeline.Work) error {
	d, split, err := dataset(w, s.On)
	if err != nil {
		return err
	}
	o := s.TrainOptions
	if s.ResponseTokens {
		responses, err := distinctResponses(d, split)
		if err != nil {
			return fmt.Errorf("response_tokens: %s: %w", s.On, err)
		}
		o.Tokens = append(slices.Clone(o.Tokens), responses...)
	}
	var failed error
	t, err := tokenizer.Train(func(yield func(string) bool) {
		for e, err := range d.Examples(split) {
			if failed = err; err != nil || !yield(e.Prompt) || (!s.ResponseTokens && !yield(e.Response)) {
				return
			}
		}
	}, o)
	if err = errors.Join(failed, err); err != nil {
		return err
	}
	w.Log(fmt.Sprintf("%d tokens", t.VocabSize()))
	return t.Write(w.Dir)
}

// distinctResponses are the different responses of a split, in order.
func distinctResponses(d *datasets.Dataset, split string) ([]string, error) {
	set := map[string]bool{}
	for e, err := range d.Examples(split) {
		if err != nil {
			return nil, err
		}
		if e.Response != "" {
			set[e.Response] = true
		}
		if len(set) > maxResponseTokens {
			return nil, fmt.Errorf("more than %d distinct responses", maxResponseTokens)
		}
	}
	return slices.Sorted(maps.Keys(set)), nil
}
