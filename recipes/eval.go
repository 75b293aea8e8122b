package recipes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/retort-ml/retort/eval"
	"github.com/retort-ml/retort/internal/memory"
	"github.com/retort-ml/retort/pipeline"
)

// evalStage scores models on the same items.
type evalStage struct {
	Kind         string   `yaml:"kind"`
	On           string   `yaml:"on"`      // a split, such as data.test
	Models       []string `yaml:"models"`  // in the report's order
	Teacher      string   `yaml:"teacher"` // which of the models the others are measured by
	Base         string   `yaml:"base"`    // which of the models is the student before tuning; may be empty
	Train        string   `yaml:"train"`   // with baseline: the split that the bag-of-words model learns
	eval.Options `yaml:",inline"`
	// Budget is the most that asking servers may ever cost, in US dollars; 0 means
	// that there is no limit.
	Budget float64 `yaml:"budget,omitempty"`
}

func (s *evalStage) check(c *checker) {
	c.split("on", s.On)
	if len(s.Models) == 0 {
		c.blame("models", "want at least one model")
	}
	for i, ref := range s.Models {
		if m, ok := c.recipe.Models[ref]; !ok || m.hasWeights() {
			c.subject(fmt.Sprintf("models[%d]", i), ref)
		}
		if slices.Contains(s.Models[:i], ref) {
			c.blame(fmt.Sprintf("models[%d]", i), "%s comes twice", ref)
		}
	}
	for key, ref := range map[string]string{"teacher": s.Teacher, "base": s.Base} {
		if ref != "" && !slices.Contains(s.Models, ref) {
			c.blame(key, "%s", unknown("model of this report", ref, s.Models))
		}
	}
	if s.Teacher != "" && s.Teacher == s.Base {
		c.blame("base", "%s is the teacher", s.Base)
	}
	switch {
	case s.Baseline:
		c.split("train", s.Train)
	case s.Train != "":
		c.blame("train", "it is what the baseline learns: set baseline: true")
	}
	c.options("", s.Options.Validate())
	if !(s.Budget >= 0 && s.Budget <= 1e9) {
		c.blame("budget", "%v: want US dollars from 0 on", s.Budget)
	}
}

func (s *evalStage) build(r *Recipe) pipeline.Stage {
	inputs, files := []string{head(s.On)}, []string(nil)
	if s.Train != "" {
		inputs = append(inputs, head(s.Train))
	}
	for _, ref := range s.Models {
		m := r.modelRef(ref)
		inputs, files = append(inputs, m.stages...), append(files, m.files...)
	}
	options := *s
	options.Budget = 0 // what may be spent changes no answer
	options.Options = s.options(r)
	return pipeline.Stage{Inputs: unique(inputs), Files: unique(files), Version: "1", Fingerprint: fingerprint(options, r.asked(map[string]any{"seed": r.Seed}, s.Models...)),
		Run: func(ctx context.Context, w *pipeline.Work) error { return s.run(ctx, w, r) },
		Memory: func(ctx context.Context, made func(string) string) (pipeline.Memory, error) {
			return s.memory(ctx, r, made)
		}}
}

// options are the options with what follows from the recipe.
func (s *evalStage) options(r *Recipe) eval.Options {
	o := s.Options
	o.Benchmark, o.Seed = orElse(o.Benchmark, r.Name), r.Seed
	return o
}

func (s *evalStage) run(ctx context.Context, w *pipeline.Work, r *Recipe) (err error) {
	defer memory.LimitGarbage(garbagePercent)()
	items, err := examples(w, s.On)
	if err != nil {
		return err
	}
	var subjects []eval.NamedSubject
	for _, ref := range s.Models {
		open := func() (eval.NamedSubject, func() error, error) { return r.scorer(w, ref) }
		if m, ok := r.Models[ref]; ok && !m.hasWeights() {
			open = func() (eval.NamedSubject, func() error, error) {
				return r.askedSubject(ctx, w, ref, Spending{Budget: s.Budget}, r.account(s))
			}
		}
		subject, closeModel, failed := open()
		if closeModel != nil {
			defer func() { err = errors.Join(err, closeModel()) }()
		}
		if failed != nil {
			return failed
		}
		subject.Name, subject.Role, subject.Reference = ref, s.role(r, ref), s.reference(r, ref)
		subjects = append(subjects, subject)
	}
	if s.Baseline {
		b, err := s.baseline(ctx, w, r)
		if err != nil {
			return err
		}
		subjects = append(subjects, b)
	}
	report, err := eval.Evaluate(ctx, s.options(r), items, subjects, func(done, total int) {
		w.Progress(int64(done), int64(total), "items")
	})
	if err != nil {
		return err
	}
	for _, stage := range unique([]string{head(s.On), head(orElse(s.Train, s.On))}) {
		note, err := dataNote(w, stage)
		if err != nil {
			return err
		}
		report.Data = append(report.Data, note)
	}
	if report.Timing.Answers, err = r.notes(); err != nil {
		return err
	}
	return report.Write(w.Dir)
}

func (s *evalStage) baseline(ctx context.Context, w *pipeline.Work, r *Recipe) (eval.NamedSubject, error) {
	list, err := examples(w, s.Train)
	if err != nil {
		return eval.NamedSubject{}, err
	}
	b, err := eval.TrainBagOfWords(ctx, list, r.Seed)
	if err != nil {
		return eval.NamedSubject{}, err
	}
	return eval.NamedSubject{Subject: b, Identity: eval.Identity{
		Name: "bag of words", Role: eval.RoleBaseline, Parameters: b.Parameters(), Format: "logistic regression",
	}}, nil
}

// role is what ref is in the report.
func (s *evalStage) role(r *Recipe, ref string) eval.Role {
	switch ref {
	case s.Teacher:
		return eval.RoleTeacher
	case s.Base:
		return eval.RoleBase
	}
	name, _, _ := strings.Cut(ref, ".")
	switch r.find(name).(type) {
	case *trainStage, *classifierStage:
		return eval.RoleStudent
	case *quantizeStage:
		return eval.RoleQuantized
	}
	return eval.RoleOther
}

// reference is the model of this report that ref was made from: of a quantized
// model, and of a merged one.
func (s *evalStage) reference(r *Recipe, ref string) string {
	from := ""
	name, part, _ := strings.Cut(ref, ".")
	switch q := r.find(name).(type) {
	case *quantizeStage:
		from = q.Model
	case *trainStage:
		if part == mergedSuffix {
			from = name
		}
	}
	if slices.Contains(s.Models, from) {
		return from
	}
	return ""
}
