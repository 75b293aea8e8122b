package recipes

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/pipeline"
)

// charge is the stage's forecast of money: of a server's answers, from the rows
// that there are, without those that the store has.
func (s *answersStage) charge(r *Recipe) func(context.Context, func(string) string) (pipeline.Charge, error) {
	m, ok := r.Models[s.Teacher]
	if !ok || !m.isRemote() {
		return nil
	}
	return func(ctx context.Context, made func(string) string) (c pipeline.Charge, err error) {
		price, err := m.price()
		if err != nil {
			return c, err
		}
		c.Cap = s.Budget
		store, err := r.existingStore(ctx)
		if err != nil {
			return c, err
		}
		if store != nil {
			defer store.Close()
		}
		name, split := splitRef(s.From)
		known := false
		err = r.withDataset(ctx, made, name, func(d *datasets.Dataset) error {
			known = true
			o := distill.EstimateOptions{Price: price, Batch: s.BatchAPI != nil, Samples: s.samples()}
			e, err := distill.EstimateAnswers(ctx, store, m.teacherIdentity(), s.drafts(d, split, r.Seed), o)
			c.Calls = e.Likely.Answers
			c.Likely, c.Most = e.Likely.Cost.Dollars(), e.Worst.Cost.Dollars()
			return err
		})
		switch {
		case err != nil:
		case !known:
			c.Unsure = fmt.Sprintf("%s is yet to be made", name)
		case s.Judge != nil:
			c.Unsure = "without the judge's verdicts"
		}
		return c, err
	}
}

// existingStore opens the answer store, if there is one.
func (r *Recipe) existingStore(ctx context.Context) (*distill.Store, error) {
	path := filepath.Join(r.store, answersFile)
	if _, err := os.Stat(path); err != nil {
		return nil, nil
	}
	return distill.OpenStore(ctx, path)
}

// drafts are the requests that the stage will make.
func (s *answersStage) drafts(d *datasets.Dataset, split string, seed uint64) iter.Seq2[distill.Draft, error] {
	schema, _ := schemaText(s.Schema) // a missing file is reported with the stage's files
	return func(yield func(distill.Draft, error) bool) {
		if d.Len(split) == 0 {
			return
		}
		for e, err := range d.Examples(split) {
			r := s.request(seed)
			r.Prompt, r.Messages, r.Tools, r.Schema = e.Prompt, e.Messages, e.Tools, string(schema)
			if s.Rationale != nil {
				r.Prompt = s.Rationale.Prompt(e.Prompt)
			}
			reference := e.Response
			if s.Rationale != nil {
				reference = "" // a rationale is longer by nobody knows how much
			}
			if !yield(distill.Draft{Request: r, Reference: reference}, err) || err != nil {
				return
			}
		}
	}
}
