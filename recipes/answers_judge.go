package recipes

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/distill/refine"
)

// judging is a judge with its verdicts in the store.
type judging struct {
	*answering
	options  *judgeOptions
	teacher  *askedTeacher
	verdicts func() (distill.Answered, error, bool)
	bias     refine.Bias
}

// judged asks the judge about all prompts with several accepted answers.
func (a *answering) judged(ctx context.Context) (_ *judging, err error) {
	j := &judging{answering: a, options: a.Judge}
	if j.teacher, err = a.recipe.openTeacher(ctx, a.work, a.store, a.Judge.Teacher, Spending{Budget: a.Budget}, a.recipe.account(a.answersStage), a.Batch); err != nil {
		return nil, err
	}
	// Its verdicts are in the store once it has been asked.
	err = a.collect(ctx, j.teacher, j.requests(ctx), 0, "verdicts")
	if closed := j.teacher.close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, fmt.Errorf("judge: %w", err)
	}
	j.verdicts, _ = iter.Pull2(a.store.Each(ctx, j.teacher.Identity(), j.requests(ctx)))
	return j, nil
}

// requests are the judge's, in the order of the examples.
func (j *judging) requests(ctx context.Context) iter.Seq2[distill.Request, error] {
	return func(yield func(distill.Request, error) bool) {
		for x, err := range j.answered(ctx) {
			if err != nil {
				yield(distill.Request{}, err)
				return
			}
			for _, r := range j.about(x) {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// about is what the judge is asked about one example: every pair in both
// orders, or every answer as often as there are to be verdicts.
func (j *judging) about(x *answered) []distill.Request {
	o, e, texts := j.options, &x.example, x.screened.Texts
	r := distill.Request{MaxTokens: orElse(o.MaxTokens, 512), Sampling: o.Sampling, Seed: j.recipe.Seed}
	var list []distill.Request
	add := func(prompt string, sample int) {
		q := r
		q.Prompt, q.Sample = prompt, sample
		list = append(list, q)
	}
	if o.WithDefaults().Mode == refine.JudgeScores {
		for _, text := range texts {
			for k := range o.WithDefaults().Verdicts {
				add(o.ScorePrompt(e.Prompt, e.Reference, text), k)
			}
		}
		return list
	}
	for _, p := range refine.Pairs(texts) {
		add(o.PairPrompt(e.Prompt, e.Reference, texts[p.I], texts[p.J]), 0)
		add(o.PairPrompt(e.Prompt, e.Reference, texts[p.J], texts[p.I]), 0)
	}
	return list
}

// choose takes the answer that the judge likes best.
func (j *judging) choose(_ context.Context, x *answered) ([]taught, error) {
	var replies []string
	for range j.about(x) {
		v, err, ok := j.verdicts()
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("the verdicts end too early")
		}
		replies = append(replies, v.Answer.Text)
	}
	c := refine.Choice{}
	if len(x.screened.Texts) > 0 {
		c = j.best(x, replies)
	}
	return j.chosen(x, c), nil
}

func (j *judging) best(x *answered, replies []string) refine.Choice {
	if o := j.options.WithDefaults(); o.Mode == refine.JudgeScores {
		means := make([]float64, len(x.screened.Texts))
		for i := range means {
			var scores []float64
			for _, reply := range replies[i*o.Verdicts : (i+1)*o.Verdicts] {
				if s, ok := o.ParseScore(reply); ok {
					scores = append(scores, s)
				}
			}
			means[i] = refine.MeanScore(scores)
		}
		at := o.BestScore(means)
		if at < 0 || math.IsNaN(means[at]) {
			return refine.Choice{}
		}
		return x.screened.Pick(at, fmt.Sprintf("score %.2f", means[at]))
	}
	var duels []refine.Duel
	for k, p := range refine.Pairs(x.screened.Texts) {
		d := refine.Duel{Pair: p, Straight: refine.ParsePair(replies[2*k]), Swapped: refine.ParsePair(replies[2*k+1])}
		j.bias.Add(d)
		duels = append(duels, d)
	}
	rank := refine.Rank(len(x.screened.Texts), duels)
	return x.screened.Pick(rank.Order[0], fmt.Sprintf("strength %.2f of %d", rank.Strength[rank.Order[0]], len(rank.Order)))
}
