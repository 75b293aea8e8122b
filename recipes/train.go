package recipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/tokenizer"
	"github.com/retort-ml/retort/pipeline"
	"github.com/retort-ml/retort/train"
)

// trainStage trains a new model, or tunes one: all weights, or low-rank updates.
type trainStage struct {
	Kind    string      `yaml:"kind"`
	Student string      `yaml:"student"` // the model to tune; or new
	New     *newModel   `yaml:"new"`     // a model with random weights
	LoRA    *model.LoRA `yaml:"lora"`    // low-rank updates; without it all weights are trained
	Merge   bool        `yaml:"merge"`   // with lora: also write the merged model
	// Base is how the linear layers below the low-rank updates are stored while
	// these are trained (QLoRA): f16, bf16, q8_0, q4_0 or nf4; empty means as they
	// are. The adapter goes onto the student as it was.
	Base    string           `yaml:"base,omitempty"`
	On      string           `yaml:"on"`      // what is learned: a split, an answers stage, or a tokens stage
	Valid   string           `yaml:"valid"`   // what the validation loss is measured on, like on; may be empty
	Distill *distill.Options `yaml:"distill"` // follow the teacher's probabilities, not its answers alone
	// OnPolicy lets the student answer prompts of On itself while it is trained,
	// and learn what the teacher says of these answers.
	OnPolicy *onPolicyOptions `yaml:"on_policy,omitempty"`

	Tokenizer string `yaml:"tokenizer"` // of a new model: a tokenizer stage
	Batch     batch  `yaml:"batch"`
	// PromptWeight is the weight of a prompt token's loss beside a response
	// token's 1; PromptsOnly learns prompts alone and never sees a response.
	PromptWeight float64 `yaml:"prompt_weight"`
	PromptsOnly  bool    `yaml:"prompts_only"`

	learning      `yaml:",inline"` // a tokens stage has its own
	train.Options `yaml:",inline"`
}

// batch is the shape of a batch.
type batch struct {
	Rows   int `yaml:"rows"`   // rows of packed examples; 0 means 8
	Length int `yaml:"length"` // tokens of a row, and of the longest example; 0 means 256
	// OnePerRow gives each example a row of its own, instead of packing several into one.
	OnePerRow bool `yaml:"one_per_row"`
}

func (s *trainStage) check(c *checker) {
	switch {
	case s.New == nil && s.Student == "":
		c.blame("", "want a student to tune, or new")
	case s.New != nil && s.Student != "":
		c.blame("new", "a stage has a student or new, not both")
	case s.New != nil:
		s.checkNew(c)
	default:
		c.model("student", s.Student)
		if s.Tokenizer != "" {
			c.blame("tokenizer", "a student brings its own tokenizer")
		}
	}
	if s.LoRA != nil {
		c.options("lora", s.LoRA.Validate())
	} else if s.Merge {
		c.blame("merge", "there is nothing to merge without lora")
	}
	if s.LoRA == nil && s.LoRAPlusRatio != 0 {
		c.blame("loraplus_lr_ratio", "it is of lora's updates: there are none")
	}
	s.checkBase(c)
	s.checkOnPolicy(c)
	s.checkSource(c, "on", s.On)
	if s.Valid != "" {
		s.checkSource(c, "valid", s.Valid)
	}
	if s.Distill != nil {
		c.options("distill", s.Distill.Validate())
		if s.OnPolicy == nil {
			s.checkDistill(c)
		}
		if s.PromptsOnly {
			c.blame("prompts_only", "distill learns answers, prompts_only excludes them")
		}
	}
	s.checkLearning(c)
	if s.Batch.Rows < 0 || s.Batch.Length < 0 || s.Batch.Rows > 1<<16 || s.Batch.Length > maxLength {
		c.blame("batch", "want rows of 1 to 65536 and a length of 1 to 1048576 tokens")
	}
	if !(s.PromptWeight >= 0 && s.PromptWeight <= 1000) {
		c.blame("prompt_weight", "%v: want a number from 0 to 1000", s.PromptWeight)
	}
	if s.PromptsOnly && s.PromptWeight != 0 {
		c.blame("prompt_weight", "prompts_only learns prompts with weight 1 already")
	}
	if s.Keep == "best" && s.Valid == "" {
		c.blame("keep", "best is measured on validation data: set valid")
	}
	c.options("", s.Options.Validate())
}

func (s *trainStage) checkNew(c *checker) {
	c.tokenizer(s.Tokenizer)
	if s.LoRA != nil {
		c.blame("lora", "low-rank updates of random weights learn little: train a new model with all weights")
	}
	if s.New.Heads > 0 && s.New.HiddenSize%s.New.Heads != 0 {
		c.blame("new.hidden_size", "%d is not a multiple of num_attention_heads %d", s.New.HiddenSize, s.New.Heads)
	}
	config := s.New.config(nil)
	if err := config.Validate(); err != nil {
		c.options("new", err)
	}
}

// checkLearning checks what of the examples is learned.
func (s *trainStage) checkLearning(c *checker) {
	s.learning.check(c)
	if s.PromptsOnly && s.Learn != "" {
		c.blame("learn", "prompts_only learns prompts alone")
	}
	if _, ok := c.recipe.find(s.On).(*tokensStage); !ok {
		return
	}
	for _, k := range []struct{ key, value string }{{"learn", string(s.Learn)}, {"too_long", s.TooLong}, {"nothing_learned", s.NothingLearned}} {
		_, own := c.recipe.find(s.Valid).(*tokensStage)
		if k.value != "" && (s.Valid == "" || own) {
			c.blame(k.key, "the tokens stage %s has decided that: set it there", s.On)
		}
	}
}

// checkTokens checks a tokens stage that is learned from.
func (s *trainStage) checkTokens(c *checker, key, ref string, t *tokensStage) {
	if t.PromptsOnly != s.PromptsOnly {
		c.blame(key, "prompts_only is %v of the tokens stage %s and %v here", t.PromptsOnly, ref, s.PromptsOnly)
	}
	if t.length() > s.length() {
		c.blame(key, "the tokens stage %s has examples of up to %d tokens, and batch.length is %d", ref, t.length(), s.length())
	}
}

// checkSource checks what is learned: a split, an answers stage, or a tokens stage.
func (s *trainStage) checkSource(c *checker, key, ref string) {
	switch t := c.recipe.find(ref).(type) {
	case *answersStage:
		return
	case *tokensStage:
		s.checkTokens(c, key, ref, t)
		return
	}
	if _, ok := c.recipe.find(head(ref)).(splitStage); !ok {
		c.blame(key, "%s", unknown("dataset, answers or tokens stage", ref, c.names(func(s stage) bool {
			switch s.(type) {
			case splitStage, *answersStage, *tokensStage:
				return true
			}
			return false
		})))
		return
	}
	c.split(key, ref)
}

func (s *trainStage) checkDistill(c *checker) {
	for _, ref := range []string{s.On, s.Valid} {
		a, ok := c.recipe.find(ref).(*answersStage)
		switch {
		case ref == "":
		case !ok:
			c.blame("distill", "%s has no teacher's probabilities: want an answers stage", ref)
		case a.TopK == 0:
			c.blame("distill", "answers stage %s keeps no probabilities: set its top_k", ref)
		}
	}
}

func (s *trainStage) build(r *Recipe) pipeline.Stage {
	inputs, files := []string{}, []string(nil)
	if s.Student != "" {
		m := r.modelRef(s.Student)
		inputs, files = m.stages, m.files
	} else {
		inputs = append(inputs, s.Tokenizer)
	}
	for _, ref := range []string{s.On, s.Valid} {
		if ref == "" {
			continue
		}
		inputs = append(inputs, head(ref))
	}
	chats := []string{s.Student}
	if s.OnPolicy != nil {
		m := r.modelRef(s.OnPolicy.Teacher)
		inputs, files = append(inputs, m.stages...), unique(append(slices.Clone(files), m.files...))
		chats = append(chats, s.OnPolicy.Teacher)
	}
	options := *s
	options.Options = s.Options.WithDefaults()
	options.CheckpointEvery, options.Memory = 0, 0 // they change nothing of what is computed
	options.Base = strings.ToLower(s.Base)
	options.learning = s.shortest()
	if s.LoRA != nil {
		lora := s.LoRA.WithDefaults()
		options.LoRA = &lora
	}
	if s.OnPolicy != nil {
		o := *s.OnPolicy
		o.OnPolicyOptions = o.OnPolicyOptions.WithDefaults()
		o.Batch = 0 // answers do not depend on it
		options.OnPolicy = &o
	}
	if s.Distill != nil {
		d := s.Distill.WithDefaults()
		options.Distill = &d
	}
	return pipeline.Stage{Inputs: unique(inputs), Files: files, Version: "2",
		Fingerprint: fingerprint(options, r.chats(map[string]any{"seed": r.Seed}, chats...)),
		Run:         func(ctx context.Context, w *pipeline.Work) error { return s.run(ctx, w, r) },
		Memory: func(ctx context.Context, made func(string) string) (pipeline.Memory, error) {
			return s.memory(ctx, r, made)
		}}
}

func unique(list []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

func (s *trainStage) run(ctx context.Context, w *pipeline.Work, r *Recipe) (err error) {
	l, err := s.student(w, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	learn := learner{stage: s, recipe: r, work: w, student: l}
	defer func() { err = errors.Join(err, learn.close()) }()
	run, err := learn.run(ctx)
	if err != nil {
		return err
	}
	summary, err := run.Do(ctx)
	if err != nil {
		return err
	}
	if err := s.save(w, r, l); err != nil {
		return err
	}
	data, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(w.Dir, "train.json"), append(data, '\n'))
}

// student is the model to train, with what is trained unfrozen.
func (s *trainStage) student(w *pipeline.Work, r *Recipe) (*loaded, error) {
	if s.New != nil {
		return s.fresh(w, r)
	}
	l, err := r.load(w, s.Student)
	if err != nil {
		return nil, err
	}
	if err := l.model.Merge(); err != nil { // tuning goes on from the tuned student
		return nil, errors.Join(err, l.close())
	}
	if s.LoRA != nil {
		// DoRA's magnitudes begin as the lengths of the rows that are trained over.
		err = errors.Join(s.freeze(l.model), s.addLoRA(l.model, random.Stream(r.Seed, "low-rank updates")))
	} else {
		err = l.model.Unfreeze()
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	l.model.Release() // what was converted is not read again
	return l, nil
}

// addLoRA gives m the stage's updates, and refuses those that it could not merge later.
func (s *trainStage) addLoRA(m *model.Model, rng *rand.Rand) error {
	if err := m.AddLoRA(*s.LoRA, rng); err != nil || !s.Merge {
		return err
	}
	return m.Mergeable()
}

func (s *trainStage) fresh(w *pipeline.Work, r *Recipe) (*loaded, error) {
	t, err := tokenizer.Load(w.Input(s.Tokenizer))
	if err != nil {
		return nil, err
	}
	m, err := model.New(cpu.New(0), s.New.config(t), random.Stream(r.Seed, "weights"))
	if err != nil {
		return nil, err
	}
	w.Log(fmt.Sprintf("%d parameters", m.Parameters()))
	l := &loaded{model: m, tokenizer: t, writer: datasets.Plain{}}
	if err := l.setTokens(); err != nil {
		return nil, err
	}
	return l, m.Unfreeze()
}

// save writes the adapter, the model, or both.
func (s *trainStage) save(w *pipeline.Work, r *Recipe, l *loaded) (err error) {
	if err := l.promptingRecord().write(w.Dir); err != nil {
		return err
	}
	dir := filepath.Join(w.Dir, modelDir)
	if s.LoRA != nil {
		adapter := filepath.Join(w.Dir, adapterDir)
		if err := l.model.SaveAdapter(adapter, l.artifact); err != nil {
			return err
		}
		if !s.Merge {
			return nil
		}
		if s.Base != "" {
			l.model.Release()
			if l, err = s.thaw(w, r, adapter); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, l.close()) }()
		}
		if err := l.model.Merge(); err != nil {
			return err
		}
	}
	if err := l.model.Save(dir); err != nil {
		return err
	}
	return l.tokenizer.Write(dir)
}
