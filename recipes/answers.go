package recipes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/distill/api"
	"github.com/retort-ml/retort/distill/refine"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/pipeline"
)

// answersFile is the answer store of all runs, in the pipeline's store.
const answersFile = "answers.db"

// What answersStage.OnFailure may say.
const (
	failFailures = "error"
	dropFailures = "drop"
)

// answersStage asks a teacher for answers, and chooses those to learn.
type answersStage struct {
	Kind           string `yaml:"kind"`
	Teacher        string `yaml:"teacher"`    // a model
	From           string `yaml:"from"`       // the split whose prompts are asked
	MaxTokens      int    `yaml:"max_tokens"` // longest answer; 0 means 256
	TopK           int    `yaml:"top_k"`      // likeliest tokens kept per token of an answer; 0 is none
	Batch          int    `yaml:"batch"`      // of a local teacher, answers under way at a time; 0 means 32
	model.Sampling `yaml:",inline"`

	// Pieces keeps the bytes of a local teacher's tokens and alternatives, for students
	// with another tokenizer. A server's are always kept, with top_k.
	Pieces bool `yaml:"pieces,omitempty"`

	Samples int    `yaml:"samples,omitempty"` // answers to each prompt; 0 means 1
	Schema  string `yaml:"schema,omitempty"`  // file of a JSON schema that a server is to keep answers to

	Accept    *refine.Accept    `yaml:"accept,omitempty"`    // which answers may be learned; nil means all
	Choose    *refine.Choose    `yaml:"choose,omitempty"`    // which of several; nil means the first that is accepted
	Judge     *judgeOptions     `yaml:"judge,omitempty"`     // of choose judge
	Rationale *refine.Rationale `yaml:"rationale,omitempty"` // ask for reasons, and learn them too
	// LabelProbs asks for the probability of each of accept's labels instead of
	// answers; what is learned is every label, with its probability for weight.
	LabelProbs bool `yaml:"label_probs,omitempty"`

	// OnFailure says what becomes of prompts without an answer: "" or error: the
	// stage fails once all others are answered; drop: they are left out.
	OnFailure string `yaml:"on_failure,omitempty"`

	Spending `yaml:",inline"`
}

// Spending says how a teacher that costs money is asked. It changes no answer.
type Spending struct {
	// Budget is the most that the stage may ever spend, in US dollars; 0 means
	// that there is no limit.
	Budget float64 `yaml:"budget,omitempty"`
	// BatchAPI asks through the provider's batch API: half the price, within a day.
	// Nil asks one by one.
	BatchAPI *api.BatchOptions `yaml:"batch_api,omitempty"`
}

// check checks how the model that ref names is paid.
func (s Spending) check(c *checker, ref string) {
	m, given := c.recipe.Models[ref]
	remote := given && m.isRemote()
	if !(s.Budget >= 0 && s.Budget <= 1e9) {
		c.blame("budget", "%v: want US dollars from 0 on", s.Budget)
	} else if s.Budget > 0 && !remote {
		c.blame("budget", "teacher %s costs nothing", ref)
	}
	if s.BatchAPI == nil {
		return
	}
	c.options("batch_api", s.BatchAPI.Validate())
	if !remote || !slices.Contains([]string{api.OpenAI, api.Completions, api.Anthropic}, m.API) {
		c.blame("batch_api", "teacher %s has no batch API that is known here: only api openai, completions and anthropic have", ref)
	}
}

// judgeOptions say which teacher judges answers, and how.
type judgeOptions struct {
	Teacher        string `yaml:"teacher"`    // a model
	MaxTokens      int    `yaml:"max_tokens"` // longest verdict; 0 means 512
	refine.Judge   `yaml:",inline"`
	model.Sampling `yaml:",inline"`
}

func (s *answersStage) samples() int { return orElse(s.Samples, 1) }

func (s *answersStage) method() string {
	if s.Choose == nil {
		return refine.ChooseFirst
	}
	return orElse(s.Choose.Method, refine.ChooseFirst)
}

func (s *answersStage) labels() []string {
	if s.Accept == nil {
		return nil
	}
	return s.Accept.Labels
}

// request is what is asked about one prompt.
func (s *answersStage) request(seed uint64) distill.Request {
	return distill.Request{MaxTokens: s.MaxTokens, Sampling: s.Sampling, TopK: s.TopK, Seed: seed}
}

func (s *answersStage) check(c *checker) {
	c.teacher("teacher", s.Teacher)
	c.split("from", s.From)
	r := s.request(0)
	c.options("", r.Validate())
	if s.Batch < 0 || s.Batch > 1<<16 {
		c.blame("batch", "%d: want a whole number from 0 to %d", s.Batch, 1<<16)
	}
	if s.Samples < 0 || s.Samples > 1000 {
		c.blame("samples", "%d: want a whole number from 0 to 1000", s.Samples)
	}
	if s.OnFailure != "" && s.OnFailure != failFailures && s.OnFailure != dropFailures {
		c.blame("on_failure", "%q: want %s or %s", s.OnFailure, failFailures, dropFailures)
	}
	s.Spending.check(c, s.Teacher)
	s.checkTeacher(c)
	s.checkChoice(c)
}

// checkTeacher checks what some kinds of teachers cannot do.
func (s *answersStage) checkTeacher(c *checker) {
	m, given := c.recipe.Models[s.Teacher]
	remote := given && m.isRemote()
	local := !remote && !(given && m.isRecorded())
	if s.Schema != "" && !remote {
		c.blame("schema", "only a server can keep answers to a schema; accept.schema checks them")
	}
	if !local && s.Batch != 0 {
		c.blame("batch", "it is of local teachers; models.%s.concurrency says how many requests are under way", s.Teacher)
	}
	if given && m.isRecorded() && (s.TopK != 0 || s.LabelProbs) {
		c.blame("top_k", "recorded answers have no probabilities")
	}
	switch {
	case s.Pieces && !local:
		c.blame("pieces", "it is of local teachers: a server's tokens are kept with top_k anyway, and recorded answers have none")
	case s.Pieces && s.TopK == 0:
		c.blame("pieces", "there is nothing to keep without top_k")
	}
	if s.samples() > 1 && s.Temperature == 0 && !(given && m.isRecorded()) {
		c.blame("samples", "at temperature 0 all answers to a prompt are one: set temperature")
	}
}

// checkChoice checks how answers are chosen.
func (s *answersStage) checkChoice(c *checker) {
	if s.Accept != nil {
		c.options("accept", s.Accept.Validate())
	}
	if s.Choose != nil {
		c.options("choose", s.Choose.Validate())
		if s.Choose.Vote == refine.VoteLabel && len(s.labels()) == 0 {
			c.blame("choose.vote", "label takes accept.labels")
		}
	}
	switch judged := s.method() == refine.ChooseJudge; {
	case judged && s.Judge == nil:
		c.blame("choose.method", "judge takes the key judge, with a teacher")
	case !judged && s.Judge != nil:
		c.blame("judge", "nobody asks it: set choose.method to judge")
	case judged:
		c.teacher("judge.teacher", s.Judge.Teacher)
		c.options("judge", errors.Join(s.Judge.Judge.Validate(), s.Judge.Sampling.Validate()))
		if s.Judge.Verdicts > 1 && s.Judge.Temperature == 0 {
			c.blame("judge.verdicts", "at temperature 0 all verdicts are one: set judge.temperature")
		}
	}
	if s.Rationale != nil {
		c.options("rationale", s.Rationale.Validate())
		if s.TopK != 0 {
			c.blame("top_k", "the probabilities of a rationale's text are of no answer that is learned")
		}
	}
	if s.LabelProbs {
		if len(s.labels()) == 0 {
			c.blame("label_probs", "it takes accept.labels")
		}
		if s.samples() > 1 || s.Choose != nil || s.Rationale != nil {
			c.blame("label_probs", "it excludes samples, choose and rationale")
		}
	}
}

func (s *answersStage) build(r *Recipe) pipeline.Stage {
	m := r.modelRef(s.Teacher)
	stages, files, refs := m.stages, m.files, []string{s.Teacher}
	if s.Judge != nil {
		j := r.modelRef(s.Judge.Teacher)
		stages, files, refs = append(slices.Clone(stages), j.stages...), append(slices.Clone(files), j.files...), append(refs, s.Judge.Teacher)
	}
	for _, f := range s.files() {
		files = append(slices.Clone(files), f)
	}
	options := *s
	options.Batch, options.Spending = 0, Spending{} // answers do not depend on them
	return pipeline.Stage{Inputs: unique(append(stages, head(s.From))), Files: unique(files), Version: "4",
		Fingerprint: fingerprint(options, r.asked(map[string]any{"seed": r.Seed}, refs...)),
		Run:         func(ctx context.Context, w *pipeline.Work) error { return s.run(ctx, w, r) },
		Memory: func(ctx context.Context, made func(string) string) (pipeline.Memory, error) {
			return s.memory(ctx, r, made)
		},
		Charge: s.charge(r)}
}

// files are the outside files that the stage's keys name.
func (s *answersStage) files() []string {
	var files []string
	if s.Schema != "" {
		files = append(files, s.Schema)
	}
	if s.Accept != nil && s.Accept.Schema != "" {
		files = append(files, s.Accept.Schema)
	}
	return files
}

// schemaText reads a JSON schema's file; "" names none.
func schemaText(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return []byte(strings.TrimSpace(string(text))), nil
}
