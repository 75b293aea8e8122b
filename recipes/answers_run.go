package recipes

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/distill/refine"
	"github.com/retort-ml/retort/internal/memory"
	"github.com/retort-ml/retort/pipeline"
)

// answering is a run of an answers stage.
type answering struct {
	*answersStage
	recipe  *Recipe
	work    *pipeline.Work
	data    *datasets.Dataset
	split   string
	schema  string
	store   *distill.Store
	teacher *askedTeacher
	checker *refine.Checker
	chooser *refine.Chooser
	stats   refine.Statistics
}

func (s *answersStage) run(ctx context.Context, w *pipeline.Work, r *Recipe) (err error) {
	defer memory.LimitGarbage(garbagePercent)()
	a := &answering{answersStage: s, recipe: r, work: w}
	if err := a.open(ctx); err != nil {
		return errors.Join(err, a.close())
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.collect(ctx, a.teacher, a.requests(), a.requestsEach()*a.data.Len(a.split), "answers"); err != nil {
		return err
	}
	choose := a.choose
	if s.method() == refine.ChooseJudge {
		j, err := a.judged(ctx)
		if err != nil {
			return err
		}
		choose = j.choose
	}
	return a.write(ctx, choose)
}

func (a *answering) open(ctx context.Context) (err error) {
	s, r, w := a.answersStage, a.recipe, a.work
	if a.data, a.split, err = dataset(w, s.From); err != nil {
		return err
	}
	schema, err := schemaText(s.Schema)
	if err != nil {
		return err
	}
	a.schema = string(schema)
	if s.Accept != nil {
		text, err := schemaText(s.Accept.Schema)
		if err != nil {
			return err
		}
		if a.checker, err = refine.NewChecker(*s.Accept, text); err != nil {
			return err
		}
	}
	var choose refine.Choose
	if s.Choose != nil {
		choose = *s.Choose
	}
	if a.chooser, err = refine.NewChooser(choose, s.labels()); err != nil {
		return err
	}
	if a.store, err = distill.OpenStore(ctx, filepath.Join(r.store, answersFile)); err != nil {
		return err
	}
	a.teacher, err = r.openTeacher(ctx, w, a.store, s.Teacher, s.Spending, r.account(s), s.Batch)
	return err
}

func (a *answering) close() error {
	var errs []error
	if a.teacher != nil {
		errs = append(errs, a.teacher.close())
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	return errors.Join(errs...)
}

// requestsEach is how many requests are made of each example.
func (a *answering) requestsEach() int {
	if a.LabelProbs && a.teacher.scores {
		return len(a.labels())
	}
	return a.samples()
}

// requests are what is asked of the teacher, in the order of the examples.
func (a *answering) requests() iter.Seq2[distill.Request, error] {
	return func(yield func(distill.Request, error) bool) {
		for e, err := range a.data.Examples(a.split) {
			if err != nil {
				yield(distill.Request{}, err)
				return
			}
			for k := range a.requestsEach() {
				r, err := a.ask(&e, k)
				if err != nil {
					err = fmt.Errorf("example %s (%s row %d): %w", e.ID, e.File, e.Row, err)
				}
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
	}
}

// ask is request k about an example.
func (a *answering) ask(e *datasets.Example, k int) (distill.Request, error) {
	r := a.request(a.recipe.Seed)
	r.Prompt, r.Messages, r.Tools, r.Schema = e.Prompt, e.Messages, e.Tools, a.schema
	switch {
	case a.Rationale != nil && e.Messages != "":
		return r, errors.New("rationale: it is asked for of plain prompts; this is a conversation")
	case a.Rationale != nil:
		r.Prompt = a.Rationale.Prompt(e.Prompt)
	case a.LabelProbs && a.teacher.scores:
		r.Given = new(a.labels()[k])
		return r, nil
	}
	r.Sample = k
	return r, nil
}

// collect gets answers into the store, and reports what that took.
func (a *answering) collect(ctx context.Context, t *askedTeacher, requests iter.Seq2[distill.Request, error], total int, what string) error {
	stats, err := distill.Collect(ctx, a.store, t, requests, func(done int) { a.work.Progress(int64(done), int64(total), what) })
	a.report(t, stats, what)
	if err = errors.Join(err, a.note(t, &stats)); err != nil {
		return err
	}
	if failed := stats.Err(); failed != nil {
		if a.OnFailure != dropFailures {
			return fmt.Errorf("%w\nall other answers are kept; set on_failure: drop to go on without these", failed)
		}
		a.work.Warn(failed.Error())
	}
	return nil
}

// note keeps what answers took for reports.
func (a *answering) note(t *askedTeacher, s *distill.Stats) error {
	account := a.recipe.account(a.answersStage)
	_, name, _ := strings.Cut(account, "/")
	if t != a.teacher {
		account, name = judgeAccount(account), name+" (judge)"
	}
	return a.recipe.keepNote(account, name, t, s)
}

// report writes down what answers took.
func (a *answering) report(t *askedTeacher, s distill.Stats, what string) {
	tally := func(t distill.Tally) map[string]any {
		return map[string]any{"answers": t.Answers, "prompt_tokens": t.PromptTokens, "cached_tokens": t.CachedTokens,
			"answer_tokens": t.AnswerTokens, "reasoning_tokens": t.ReasoningTokens, "usd": t.Cost.Dollars()}
	}
	event := map[string]any{"teacher": t.name, "requests": s.Requests, "repeated": s.Repeated, "failed": s.Failed,
		"cached": tally(s.Cached), "fresh": tally(s.Fresh), "batch": tally(s.Batch),
		"retried": map[string]any{"answers": s.Retried.Answers, "calls": s.Retried.Calls, "usd": s.Retried.Cost.Dollars()}}
	maps.Copy(event, t.figures())
	a.work.Event(what, event)
	text := fmt.Sprintf("%d %s: %d asked for, %d were in the store, %d repeated", s.Requests, what, s.Answered(), s.Cached.Answers, s.Repeated)
	if spent := s.Spent(); spent > 0 {
		text += fmt.Sprintf("; %v spent", spent)
	}
	if s.Retried.Calls > 0 {
		text += fmt.Sprintf("; %d calls were repeated", s.Retried.Calls)
	}
	a.work.Log(text)
}

// write chooses among the answers, and writes the artifact.
func (a *answering) write(ctx context.Context, choose func(context.Context, *answered) ([]taught, error)) error {
	out, err := distill.CreateAnswers(a.work.Dir, a.info())
	if err != nil {
		return err
	}
	defer out.Close() // after Finish it does nothing
	finish, rows := map[string]int{}, 0
	for x, err := range a.answered(ctx) {
		if err != nil {
			return err
		}
		for _, answer := range x.answers {
			finish[answer.Finish]++
		}
		list, err := choose(ctx, x)
		if err != nil {
			return fmt.Errorf("example %s (%s row %d): %w", x.example.ID, x.example.File, x.example.Row, err)
		}
		for _, t := range list {
			if err := out.Add(a.row(x, t)); err != nil {
				return err
			}
			rows++
		}
	}
	a.summary(finish)
	if rows == 0 {
		return fmt.Errorf("no answer can be learned: %s", a.stats.Rejected)
	}
	return out.Finish()
}

// summary tells how answers ended, and what was rejected.
func (a *answering) summary(finish map[string]int) {
	w := a.work
	delete(finish, distill.FinishStop)
	delete(finish, distill.FinishGiven)
	for _, how := range slices.Sorted(maps.Keys(finish)) {
		w.Warn(fmt.Sprintf("%d answers ended with %q", finish[how], how))
	}
	if !a.chooses() {
		return
	}
	s := a.stats
	w.Event("chosen", map[string]any{"prompts": s.Prompts, "unanswered": s.Unanswered, "answers": s.Answers, "accepted": s.Accepted,
		"rejected": s.Rejected, "voted": s.Voted, "agreement": s.Agreement()})
	w.Log(fmt.Sprintf("%d of %d answers are accepted", s.Accepted, s.Answers))
	if len(s.Rejected) > 0 {
		w.Log("rejected: " + s.Rejected.String())
	}
	if s.Unanswered > 0 {
		w.Warn(fmt.Sprintf("%d of %d prompts are left without an answer to learn", s.Unanswered, s.Prompts))
	}
}

func (a *answering) info() distill.Info {
	return distill.Info{Teacher: a.teacher.Identity(), Tokenizer: a.teacher.tokenizer, Prompting: a.teacher.prompting,
		ChatTemplate: a.teacher.chatTemplate, TopK: a.TopK, Vocabulary: a.teacher.vocabulary, MaxTokens: orElse(a.MaxTokens, 256), Sampling: a.Sampling, Seed: a.recipe.Seed}
}
