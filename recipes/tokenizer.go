package recipes

import (
	"context"
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
	list, err := examples(w, s.On)
	if err != nil {
		return err
	}
	o := s.TrainOptions
	if s.ResponseTokens {
		responses := distinctResponses(list)
		if len(responses) > maxResponseTokens {
			return fmt.Errorf("response_tokens: %s has %d distinct responses: want at most %d", s.On, len(responses), maxResponseTokens)
		}
		o.Tokens = append(slices.Clone(o.Tokens), responses...)
	}
	t, err := tokenizer.Train(func(yield func(string) bool) {
		for _, e := range list {
			if !yield(e.Prompt) || (!s.ResponseTokens && !yield(e.Response)) {
				return
			}
		}
	}, o)
	if err != nil {
		return err
	}
	w.Log(fmt.Sprintf("%d tokens", t.VocabSize()))
	return t.Write(w.Dir)
}

func distinctResponses(list []datasets.Example) []string {
	set := map[string]bool{}
	for _, e := range list {
		if e.Response != "" {
			set[e.Response] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}
