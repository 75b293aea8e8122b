package recipes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/memory"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/pipeline"
	"github.com/retort-ml/retort/train"
)

// answersFile is the answer store of all runs, in the pipeline's store.
const answersFile = "answers.db"

// answersStage asks a teacher for answers.
type answersStage struct {
	Kind           string `yaml:"kind"`
	Teacher        string `yaml:"teacher"`    // a model
	From           string `yaml:"from"`       // the split whose prompts are asked
	MaxTokens      int    `yaml:"max_tokens"` // longest answer; 0 means 256
	TopK           int    `yaml:"top_k"`      // likeliest tokens kept per token of an answer; 0 is none
	Batch          int    `yaml:"batch"`      // answers under way at a time; 0 means 32
	model.Sampling `yaml:",inline"`
}

func (s *answersStage) request(prompt string, seed uint64) distill.Request {
	return distill.Request{Prompt: prompt, MaxTokens: s.MaxTokens, Sampling: s.Sampling, TopK: s.TopK, Seed: seed}
}

func (s *answersStage) check(c *checker) {
	c.model("teacher", s.Teacher)
	c.split("from", s.From)
	c.options("", s.request("", 0).Validate())
	if s.Batch < 0 || s.Batch > 1<<16 {
		c.blame("batch", "%d: want a whole number from 0 to %d", s.Batch, 1<<16)
	}
}

func (s *answersStage) build(r *Recipe) pipeline.Stage {
	m := r.modelRef(s.Teacher)
	options := *s
	options.Batch = 0 // answers do not depend on it
	return pipeline.Stage{Inputs: unique(append(m.stages, head(s.From))), Files: m.files, Version: "2",
		Fingerprint: fingerprint(options, r.chats(map[string]any{"seed": r.Seed}, s.Teacher)),
		Run:         func(ctx context.Context, w *pipeline.Work) error { return s.run(ctx, w, r) },
		Memory: func(ctx context.Context, made func(string) string) (pipeline.Memory, error) {
			return s.memory(ctx, r, made)
		}}
}

func (s *answersStage) run(ctx context.Context, w *pipeline.Work, r *Recipe) (err error) {
	defer memory.LimitGarbage(garbagePercent)()
	list, err := examples(w, s.From)
	if err != nil {
		return err
	}
	l, err := r.load(w, s.Teacher)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	id, err := l.hash()
	if err != nil {
		return err
	}
	teacher, err := distill.NewLocalTeacher(l.model, id, l.tokenizer, distill.LocalFormat{Writer: l.writer, BOS: l.bos, Stop: l.stop, Batch: s.Batch})
	if err != nil {
		return err
	}
	requests := make([]distill.Request, len(list))
	for i, e := range list {
		requests[i] = s.request(e.Prompt, r.Seed)
	}
	answers, err := s.collect(ctx, w, r, teacher, requests)
	if err != nil {
		return err
	}
	rows := make([]distill.Row, len(list))
	for i, e := range list {
		rows[i] = distill.NewRow(e.ID, teacher.Identity(), requests[i], answers[i])
	}
	return distill.WriteAnswers(w.Dir, distill.Info{Teacher: teacher.Identity(), Tokenizer: teacher.TokenizerHash(),
		Prompting: l.writer.ID(), ChatTemplate: l.promptingRecord().ChatTemplate, TopK: s.TopK, MaxTokens: orElse(s.MaxTokens, 256), Sampling: s.Sampling, Seed: r.Seed}, rows)
}

// collect gets the answers through the store that all runs share.
func (s *answersStage) collect(ctx context.Context, w *pipeline.Work, r *Recipe, t distill.Teacher, requests []distill.Request) (_ []distill.Answer, err error) {
	store, err := distill.OpenStore(ctx, filepath.Join(r.store, answersFile))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	given := func(yield func(distill.Request, error) bool) {
		for _, q := range requests {
			if !yield(q, nil) {
				return
			}
		}
	}
	stats, err := distill.Collect(ctx, store, t, given, func(done int) {
		w.Progress(int64(done), int64(len(requests)), "answers")
	})
	if err = errors.Join(err, stats.Err()); err != nil {
		return nil, err
	}
	answers := make([]distill.Answer, 0, len(requests))
	for a, err := range store.Each(ctx, t.Identity(), given) {
		if err != nil {
			return nil, err
		}
		answers = append(answers, a.Answer)
	}
	w.Event("answers", map[string]any{"requests": stats.Requests, "cached": stats.Cached.Answers, "fresh": stats.Answered(),
		"repeated": stats.Repeated, "prompt_tokens": stats.Fresh.PromptTokens, "answer_tokens": stats.Fresh.AnswerTokens})
	w.Log(fmt.Sprintf("%d answers: %d computed, %d were in the store, %d repeated", stats.Requests, stats.Answered(), stats.Cached.Answers, stats.Repeated))
	finish := map[string]int{}
	for _, a := range answers {
		finish[a.Finish]++
	}
	delete(finish, distill.FinishStop)
	for _, how := range slices.Sorted(maps.Keys(finish)) {
		w.Warn(fmt.Sprintf("%d of %d answers ended with %q", finish[how], len(answers), how))
	}
	return answers, nil
}

// hash names the model's files by their contents.
func (l *loaded) hash() (string, error) {
	h := sha256.New()
	for _, path := range l.files {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		n, err := io.Copy(h, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", fmt.Errorf("read %s: %w", path, err)
		}
		fmt.Fprintf(h, "\n%s %d\n", filepath.Base(path), n)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// answers are the sequences of a teacher's answers, and the objective.
func (l *learner) answers(ref string) ([]datasets.Sequence, train.Objective, error) {
	a, err := distill.OpenAnswers(l.work.Input(ref))
	if err != nil {
		return nil, nil, err
	}
	var objective train.Objective = train.CrossEntropy{}
	if a.Tokenizer != l.student.tokenizer.Hash() {
		if l.stage.Distill != nil {
			return nil, nil, fmt.Errorf("distill: the teacher of %s has another tokenizer than the student: its probabilities are of other tokens", ref)
		}
		sequences, err := l.encode(ref, textsOf(a))
		return sequences, objective, err
	}
	if l.stage.Distill != nil {
		if a.Prompting != l.student.writer.ID() {
			return nil, nil, fmt.Errorf("distill: the teacher of %s was asked with chat template %s and the student is with %s, or with another system turn, date or variables: its probabilities are of other texts",
				ref, short(a.ChatTemplate), short(l.student.promptingRecord().ChatTemplate))
		}
		table, err := a.TopK()
		if err != nil {
			return nil, nil, err
		}
		if objective, err = distill.NewObjective(*l.stage.Distill, table); err != nil {
			return nil, nil, err
		}
	}
	if l.stage.PromptsOnly {
		sequences, err := l.encode(ref, textsOf(a))
		return sequences, objective, err
	}
	sequences, err := l.tokens(ref, a)
	return sequences, objective, err
}

// textsOf are the answers as examples.
func textsOf(a *distill.Answers) []datasets.Example {
	list := make([]datasets.Example, len(a.Rows))
	for i, row := range a.Rows {
		list[i] = datasets.Example{ID: row.ID, Prompt: row.Prompt, Response: row.Answer}
	}
	return list
}

// tokens are the prompts followed by the teacher's own tokens, so that its
// probabilities stay with the tokens that they are of.
func (l *learner) tokens(ref string, a *distill.Answers) ([]datasets.Sequence, error) {
	var list []datasets.Sequence
	long, empty := 0, 0
	for i, row := range a.Rows {
		var s datasets.Sequence
		if l.student.bos >= 0 {
			s.Tokens = append(s.Tokens, l.student.bos)
		}
		prompt, err := l.student.writer.Prompt(datasets.Ask(row.Prompt))
		if err != nil {
			return nil, fmt.Errorf("%s: example %s: %w", ref, row.ID, err)
		}
		s.Tokens = append(s.Tokens, l.student.tokenizer.Encode(prompt, false)...)
		s.PromptLen, s.Example = len(s.Tokens), i
		s.Tokens = append(s.Tokens, row.Tokens...)
		switch {
		case row.Finish == distill.FinishEmpty || s.PromptLen == 0:
			empty++
		case len(s.Tokens) > l.stage.length():
			long++
		default:
			list = append(list, s)
		}
	}
	if long+empty > 0 {
		l.work.Warn(fmt.Sprintf("%s: %d of %d answers are not learned: %s", ref, long+empty, len(a.Rows),
			strings.Join([]string{fmt.Sprintf("%d longer than %d tokens", long, l.stage.length()), fmt.Sprintf("%d empty", empty)}, ", ")))
	}
	return list, nil
}
