package recipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/distill/refine"
	"github.com/retort-ml/retort/internal/memory"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/pipeline"
)

// synthesizeStage asks a teacher for new prompts that are like those of a split,
// and makes a dataset of them, with the split train.
type synthesizeStage struct {
	Kind             string `yaml:"kind"`
	Teacher          string `yaml:"teacher"`    // a model
	From             string `yaml:"from"`       // the split whose prompts are the seeds
	MaxTokens        int    `yaml:"max_tokens"` // longest reply; 0 means 1024
	model.Sampling   `yaml:",inline"`
	refine.Synthesis `yaml:",inline"`
	// ByLabel asks for prompts of each label in turn; the label is then the new
	// prompt's response. Without it, new prompts have none.
	ByLabel  bool `yaml:"by_label"`
	Spending `yaml:",inline"`
}

// What a synthesize stage's artifact holds beside the dataset.
const provenanceFile = "provenance.jsonl" // of every prompt: its seeds, request and round

const (
	// mostSeeds bounds the rows that seeds are drawn from: the first ones.
	mostSeeds = 20_000
	// repliesAtOnce is how many requests a round has.
	repliesAtOnce = 64
)

func (s *synthesizeStage) splits() []string { return []string{datasets.TrainSplit} }

func (s *synthesizeStage) check(c *checker) {
	c.teacher("teacher", s.Teacher)
	c.split("from", s.From)
	c.options("", errors.Join(s.Synthesis.Validate(), s.request("", 0).Validate()))
	s.Spending.check(c, s.Teacher)
	if m, ok := c.recipe.Models[s.Teacher]; ok && m.isRecorded() {
		c.blame("teacher", "recorded answers are of prompts that are there: there can be no new ones")
	}
	if s.Temperature == 0 {
		c.blame("temperature", "at temperature 0 requests with the same seeds have one reply: want more than 0")
	}
}

func (s *synthesizeStage) request(prompt string, seed uint64) distill.Request {
	return distill.Request{Prompt: prompt, MaxTokens: orElse(s.MaxTokens, 1024), Sampling: s.Sampling, Seed: seed}
}

func (s *synthesizeStage) build(r *Recipe) pipeline.Stage {
	m := r.modelRef(s.Teacher)
	options := *s
	options.Spending = Spending{}
	options.Synthesis = s.Synthesis.WithDefaults()
	return pipeline.Stage{Inputs: unique(append(m.stages, head(s.From))), Files: m.files, Version: "1",
		Fingerprint: fingerprint(options, r.asked(map[string]any{"seed": r.Seed}, s.Teacher)),
		Run:         func(ctx context.Context, w *pipeline.Work) error { return s.run(ctx, w, r) }}
}

func (s *synthesizeStage) run(ctx context.Context, w *pipeline.Work, r *Recipe) (err error) {
	defer memory.LimitGarbage(garbagePercent)()
	seeds, err := s.seeds(w)
	if err != nil {
		return err
	}
	maker, err := refine.NewSynthesizer(s.Synthesis, seeds)
	if err != nil {
		return err
	}
	store, err := distill.OpenStore(ctx, filepath.Join(r.store, answersFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	teacher, err := r.openTeacher(ctx, w, store, s.Teacher, s.Spending, r.account(s), 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, teacher.close()) }()
	if err := s.ask(ctx, w, r, store, teacher, maker); err != nil {
		return err
	}
	w.Log(fmt.Sprintf("%d new prompts of %d requests", len(maker.Kept()), maker.Asked()))
	if dropped := maker.Dropped(); len(dropped) > 0 {
		w.Log("dropped: " + dropped.String())
	}
	if n := len(maker.Kept()); n < s.Target {
		w.Warn(fmt.Sprintf("only %d of %d prompts: the teacher's others were too much like those before, or not as they should be", n, s.Target))
	}
	w.Event("synthesized", map[string]any{"prompts": len(maker.Kept()), "requests": maker.Asked(), "dropped": maker.Dropped()})
	return s.write(ctx, w, maker.Kept())
}

// seeds are the rows that show what prompts are like.
func (s *synthesizeStage) seeds(w *pipeline.Work) ([]refine.Seed, error) {
	d, split, err := dataset(w, s.From)
	if err != nil {
		return nil, err
	}
	var seeds []refine.Seed
	for e, err := range d.Examples(split) {
		if err != nil {
			return nil, err
		}
		if e.Messages != "" {
			return nil, fmt.Errorf("example %s is a conversation: new prompts are made like plain ones", e.ID)
		}
		seed := refine.Seed{ID: e.ID, Text: e.Prompt}
		if s.ByLabel {
			if seed.Label = e.Response; seed.Label == "" {
				return nil, fmt.Errorf("by_label: example %s has no response", e.ID)
			}
		}
		if seeds = append(seeds, seed); len(seeds) == mostSeeds {
			break
		}
	}
	return seeds, nil
}

// ask goes from round to round. Its replies are in the store, so that a killed
// run goes through the same rounds again without asking anybody.
func (s *synthesizeStage) ask(ctx context.Context, w *pipeline.Work, r *Recipe, store *distill.Store, t *askedTeacher, maker *refine.Synthesizer) error {
	draw := random.Stream(r.Seed, "synthesis")
	for {
		asks := maker.Round(draw, repliesAtOnce)
		if len(asks) == 0 {
			return nil
		}
		requests := func(yield func(distill.Request, error) bool) {
			for i, a := range asks {
				q := s.request(a.Text, r.Seed)
				q.Sample = i // requests with the same seeds are not to have one reply
				if !yield(q, nil) {
					return
				}
			}
		}
		stats, err := distill.Collect(ctx, store, t, requests, nil)
		if err != nil {
			return err
		}
		if failed := stats.Err(); failed != nil {
			return failed
		}
		i := 0
		for got, err := range store.Each(ctx, t.Identity(), requests) {
			if err != nil {
				return err
			}
			maker.Add(asks[i], got.Request.Key(t.Identity()).String(), got.Answer.Text)
			i++
		}
		w.Progress(int64(len(maker.Kept())), int64(s.Target), "prompts")
	}
}

// synthesized is a row of the dataset's source.
type synthesized struct {
	ID     string `json:"id"`
	Prompt string `json:"prompt"`
	Label  string `json:"label,omitempty"`
}

// write makes the dataset.
func (s *synthesizeStage) write(ctx context.Context, w *pipeline.Work, kept []refine.NewPrompt) error {
	if len(kept) == 0 {
		return errors.New("the teacher made no prompt that could be kept")
	}
	scratch := filepath.Join(w.Scratch, "dataset-scratch")
	if err := os.MkdirAll(scratch, 0o777); err != nil {
		return err
	}
	var rows, provenance strings.Builder
	write := json.NewEncoder(&rows)
	trace := json.NewEncoder(&provenance)
	write.SetEscapeHTML(false)
	trace.SetEscapeHTML(false)
	for _, p := range kept {
		err := errors.Join(write.Encode(synthesized{p.ID, p.Text, p.Label}), trace.Encode(map[string]any{
			"id": p.ID, "seeds": p.Seeds, "request_hash": p.Request, "round": p.Round}))
		if err != nil {
			return err
		}
	}
	source := filepath.Join(w.Scratch, "synthesized.jsonl")
	if err := errors.Join(os.WriteFile(source, []byte(rows.String()), 0o666),
		os.WriteFile(filepath.Join(w.Dir, provenanceFile), []byte(provenance.String()), 0o666)); err != nil {
		return err
	}
	in := datasets.Input{Files: map[string][]string{datasets.TrainSplit: {source}}, PromptOnly: !s.ByLabel,
		Columns: datasets.Columns{Prompt: "prompt", ID: "id"}}
	if s.ByLabel {
		in.Columns.Response = "label"
	}
	_, err := datasets.Make(ctx, w.Dir, datasets.Options{Input: in}, datasets.Hooks{Scratch: scratch})
	return err
}
