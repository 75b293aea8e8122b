package recipes

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/eval"
	"github.com/retort-ml/retort/pipeline"
)

// askedSubject is a server, or recorded answers, as package eval sees them: text
// in, text out, through the answer store.
type askedSubject struct {
	teacher *askedTeacher
	store   *distill.Store
	seed    uint64
}

// askedSubject opens the model that ref names, which has no weights here.
func (r *Recipe) askedSubject(ctx context.Context, w *pipeline.Work, ref string, s Spending, account string) (_ eval.NamedSubject, closeAll func() error, err error) {
	var named eval.NamedSubject
	store, err := distill.OpenStore(ctx, filepath.Join(r.store, answersFile))
	if err != nil {
		return named, nil, err
	}
	t, err := r.openTeacher(ctx, w, store, ref, s, account, 0)
	if err != nil {
		return named, store.Close, err
	}
	named.Subject, named.Format = &askedSubject{t, store, r.Seed}, "recorded"
	if m := r.Models[ref]; m.isRemote() {
		named.Format = m.API + " " + m.Model
	}
	return named, func() error { return errors.Join(t.close(), store.Close()) }, nil
}

// unsupported says what a model without weights cannot do.
func (s *askedSubject) unsupported(what string) error {
	return fmt.Errorf("%s answers with text alone, and %s: %w", s.teacher.name, what, errors.ErrUnsupported)
}

// ScoreChoices is not what a server does.
func (s *askedSubject) ScoreChoices(context.Context, []datasets.Question, []string) ([][]float64, []int, error) {
	return nil, nil, s.unsupported("scores no choices")
}

// ScoreResponses is not what a server does.
func (s *askedSubject) ScoreResponses(context.Context, []datasets.Question, []string) ([]eval.Scored, error) {
	return nil, s.unsupported("scores no responses")
}

// CountTokens is what only the server could say.
func (s *askedSubject) CountTokens(context.Context, []datasets.Question) ([]int, error) {
	return nil, s.unsupported("its tokenizer is not here")
}

// Generate implements eval.Subject. A refusal is an answer like others; a
// question that cannot be answered at all has an empty one.
func (s *askedSubject) Generate(ctx context.Context, questions []datasets.Question, maxTokens int) ([]eval.Generation, error) {
	var requests iter.Seq2[distill.Request, error] = func(yield func(distill.Request, error) bool) {
		for _, q := range questions {
			r := distill.Request{Prompt: q.Text, Messages: q.Messages, Tools: q.Tools, MaxTokens: maxTokens, Seed: s.seed}
			if !yield(r, nil) {
				return
			}
		}
	}
	if _, err := distill.Collect(ctx, s.store, s.teacher, requests, nil); err != nil {
		return nil, err
	}
	var out []eval.Generation
	for a, err := range s.store.Each(ctx, s.teacher.Identity(), requests) {
		if err != nil {
			return nil, err
		}
		out = append(out, eval.Generation{Text: a.Answer.Text, Tokens: min(a.Answer.AnswerTokens, maxTokens), Finish: a.Answer.Finish})
	}
	return out, nil
}
