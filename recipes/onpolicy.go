package recipes

import (
	"context"
	"errors"
	"fmt"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/train"
)

// onPolicyOptions say that a student learns from its own answers, and from which
// teacher's scores of them.
type onPolicyOptions struct {
	Teacher                 string `yaml:"teacher"` // a model with the student's tokenizer
	distill.OnPolicyOptions `yaml:",inline"`
}

func (s *trainStage) checkOnPolicy(c *checker) {
	o := s.OnPolicy
	if o == nil {
		return
	}
	c.model("on_policy.teacher", o.Teacher)
	c.options("on_policy", o.Validate())
	if _, ok := c.recipe.find(s.On).(*tokensStage); ok {
		c.blame("on_policy", "a tokens stage leaves no room for the student's answers: learn on its dataset")
	}
	if s.PromptWeight != 0 || s.PromptsOnly {
		c.blame("on_policy", "answers are learned, prompts are not: it excludes prompt_weight and prompts_only")
	}
	if room := o.WithDefaults().MaxTokens; room >= s.length() {
		c.blame("on_policy.max_tokens", "%d: answers of that length leave no room for prompts in rows of %d tokens (batch.length)", room, s.length())
	}
	if s.Distill != nil && s.Distill.Alpha != nil && *s.Distill.Alpha == 0 {
		c.blame("distill.alpha", "at 0 the student would learn its own answers as they are")
	}
}

// room is how many tokens each example leaves for the student's answer.
func (s *trainStage) room() int {
	if s.OnPolicy == nil {
		return 0
	}
	return s.OnPolicy.WithDefaults().MaxTokens
}

// given tells whether some of the answers that are learned are the data's.
func (s *trainStage) given() bool {
	return s.OnPolicy == nil || *s.OnPolicy.WithDefaults().Share < 1
}

// roomy are sequences with room for the student's answers behind them.
type roomy struct {
	datasets.Sequences
	room int
}

// Size implements datasets.Sequences.
func (r roomy) Size(i int) int { return r.Sequences.Size(i) + r.room }

// Totals implements datasets.Sequences.
func (r roomy) Totals() (tokens, learned int64) {
	tokens, learned = r.Sequences.Totals()
	n := int64(r.Sequences.Len())
	return tokens + n*int64(r.room), max(learned, n)
}

// Read implements datasets.Sequences. Of a prompt without an answer, the first
// place of the room stands for the answer that is to come.
func (r roomy) Read(i int, s *datasets.Sequence) error {
	if err := r.Sequences.Read(i, s); err != nil {
		return err
	}
	n := len(s.Tokens)
	if s.Learned == nil {
		s.Learned = make([]bool, n, n+r.room)
		for at := s.PromptLen; at < n; at++ {
			s.Learned[at] = true
		}
	}
	for k := range r.room {
		s.Tokens = append(s.Tokens, 0)
		s.Learned = append(s.Learned, k == 0 && n == s.PromptLen)
	}
	return nil
}

// ownAnswers makes data's batches those of the student's own answers.
func (l *learner) ownAnswers(data *train.Data) error {
	o := l.stage.OnPolicy
	t, err := l.recipe.load(l.work, o.Teacher)
	if err != nil {
		return fmt.Errorf("on_policy: %w", err)
	}
	l.open = append(l.open, closer(t.close))
	switch {
	case t.tokenizer.Hash() != l.student.tokenizer.Hash():
		return fmt.Errorf("on_policy: teacher %s has another tokenizer than the student: it cannot score the student's tokens", o.Teacher)
	case t.writer.ID() != l.student.writer.ID():
		return errors.New("on_policy: teacher and student are asked with other chat templates, system turns, dates or variables")
	}
	var d distill.Options
	if l.stage.Distill != nil {
		d = *l.stage.Distill
	}
	p, err := distill.NewOnPolicy(l.student.model, t.model, l.student.stop, o.OnPolicyOptions, d)
	if err != nil {
		return fmt.Errorf("on_policy: %w", err)
	}
	data.Write = func(ctx context.Context, b datasets.Batch, key uint64) (datasets.Batch, train.Objective, error) {
		return p.Write(ctx, b, key)
	}
	data.Bytes += l.stage.onPolicyBytes(t.model, l.student.model)
	return nil
}

// closer closes with a function.
type closer func() error

// Close calls it.
func (c closer) Close() error { return c() }

// onPolicyBytes is the memory of a teacher that scores, and of answering.
func (s *trainStage) onPolicyBytes(teacher, student *model.Model) int64 {
	o := s.OnPolicy.WithDefaults()
	rows, batch := s.rows()*s.length(), orElse(o.Batch, 32)
	return int64(teacher.Bytes()) + int64(teacher.ScoreBytes(rows, s.rows(), s.length())) +
		int64(student.GenerateBytes(batch, batch, s.length()-o.MaxTokens, o.MaxTokens)) + int64(student.GeneratingBytes())
}
