package recipes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/redact"
	"github.com/retort-ml/retort/pipeline"
)

// datasetStage reads rows and writes examples in splits.
type datasetStage struct {
	Kind             string `yaml:"kind"`
	datasets.Options `yaml:",inline"`
	// Redact takes personal data out of examples before anything else is done with
	// them; nil leaves them.
	Redact *redactOptions `yaml:"redact,omitempty"`

	found map[string]map[string][]string // what locate has found, by mixed source ("" without one)
}

func (s *datasetStage) check(c *checker) {
	c.options("", s.Options.Validate())
	if s.Redact != nil {
		c.options("redact", s.Redact.validate())
	}
	_, splits := s.against(c.recipe)
	for _, ref := range splits {
		if head(ref) == c.name {
			c.blame("decontaminate.against", "%s is its own: decontaminate.splits says which of those are looked for", ref)
		}
	}
	for name, in := range s.inputs() {
		if _, err := s.locate(name, in); err != nil {
			key := "hub"
			if name != "" {
				key = "mix." + name + ".hub"
			}
			c.blame(key, "%v", err)
		}
	}
}

// inputs are the inputs by the name of the mixed source, "" of the only one.
func (s *datasetStage) inputs() map[string]*datasets.Input {
	if len(s.Mix) == 0 {
		return map[string]*datasets.Input{"": &s.Input}
	}
	all := map[string]*datasets.Input{}
	for name, m := range s.Mix {
		all[name] = &m.Input
	}
	return all
}

// locate is the files of an input by split: as the recipe names them, or where
// the cache has those of a hub. It looks once.
func (s *datasetStage) locate(name string, in *datasets.Input) (map[string][]string, error) {
	if files, ok := s.found[name]; ok {
		return files, nil
	}
	files, err := hubFiles(in)
	if err == nil && s.found == nil {
		s.found = map[string]map[string][]string{}
	}
	if err == nil {
		s.found[name] = files
	}
	return files, err
}

// files are the files of an input, none of a hub's that check blames.
func (s *datasetStage) files(name string, in *datasets.Input) map[string][]string {
	files, _ := s.locate(name, in)
	return files
}

// splits are the names of the splits that the dataset will have.
func (s *datasetStage) splits() []string {
	names := map[string]bool{}
	for name, in := range s.inputs() {
		for split := range s.files(name, in) {
			names[split] = true
		}
	}
	for name := range s.Split {
		names[name], names[datasets.TrainSplit] = true, true
	}
	if names[""] {
		delete(names, "")
		names[datasets.TrainSplit] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// embeddedPrefix marks a file that is built into the program.
const embeddedPrefix = "embedded:"

func (s *datasetStage) build(r *Recipe) pipeline.Stage {
	// What the files are called changes nothing but the names in the artifact,
	// which pipeline.Stage.Files covers; which split each belongs to does.
	var outside []string
	files, splits := s.against(r)
	options := s.withFiles(files, func(f string) string {
		if name, ok := strings.CutPrefix(f, embeddedPrefix); ok {
			return embeddedPrefix + name + " " + embeddedHash(name)
		}
		outside = append(outside, f)
		return filepath.Base(f)
	})
	var extra map[string]any
	outside = append(outside, s.Redact.files()...)
	var inputs []string
	for _, ref := range splits {
		inputs = append(inputs, head(ref))
		extra = map[string]any{"against": splits}
	}
	return pipeline.Stage{Inputs: unique(inputs), Files: outside, Fingerprint: fingerprint(datasetStage{Kind: s.Kind, Options: options, Redact: s.Redact}, extra), Version: "1",
		Run: func(ctx context.Context, w *pipeline.Work) error { return s.run(ctx, w, r) }}
}

// withFiles are the options with what f makes of each file that the patterns
// mean; against are those that it is decontaminated against.
func (s *datasetStage) withFiles(against []string, f func(path string) string) datasets.Options {
	named := func(name string, in *datasets.Input) map[string][]string {
		out := map[string][]string{}
		files := s.files(name, in)
		for _, split := range slices.Sorted(maps.Keys(files)) {
			for _, path := range expand(files[split]) {
				out[split] = append(out[split], f(path))
			}
		}
		return out
	}
	o := s.Options
	if s.Decontaminate != nil {
		d := *s.Decontaminate
		d.Against = nil
		for _, path := range expand(against) {
			d.Against = append(d.Against, f(path))
		}
		o.Decontaminate = &d
	}
	if len(s.Mix) == 0 {
		o.Files = named("", &o.Input)
		return o
	}
	o.Mix = map[string]datasets.MixInput{}
	for _, name := range slices.Sorted(maps.Keys(s.Mix)) {
		m := s.Mix[name]
		m.Files = named(name, &m.Input)
		o.Mix[name] = m
	}
	return o
}

// expand replaces patterns by the files that match; one that matches nothing
// stays, and is then a missing file.
func expand(patterns []string) []string {
	var files []string
	for _, p := range patterns {
		matches, err := datasets.Match(p)
		if err != nil || strings.HasPrefix(p, embeddedPrefix) {
			matches = []string{p}
		}
		files = append(files, matches...)
	}
	return files
}

func (s *datasetStage) run(ctx context.Context, w *pipeline.Work, r *Recipe) (err error) {
	o, err := s.located(r, w.Scratch)
	if err != nil {
		return err
	}
	hooks := datasets.Hooks{Scratch: w.Scratch, Progress: func(rows int) { w.Progress(int64(rows), 0, "rows") }}
	if _, splits := s.against(r); len(splits) > 0 {
		hooks.Against = benchmarkTexts(w, splits)
	}
	redactor, err := s.Redact.redactor()
	if err != nil {
		return err
	}
	if redactor != nil {
		vault, failed := redact.OpenVault(filepath.Join(r.store, vaultDir))
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, vault.Close()) }()
		hooks.Transform = func(e *datasets.Example) error { return redactExample(redactor, vault, e) }
	}
	d, err := datasets.Make(ctx, w.Dir, o, hooks)
	if err != nil {
		return err
	}
	if rejected := total(d.Counts.Rejected); rejected > 0 {
		w.Warn(fmt.Sprintf("%d of %d rows cannot be used: %s", rejected, d.Counts.Rows, reasons(d.Counts.Rejected)))
	}
	for _, name := range d.Splits() {
		text := fmt.Sprintf("%s: %d examples", name, d.Len(name))
		if dropped := d.Counts.Dropped[name]; len(dropped) > 0 {
			text += "; left out: " + reasons(dropped)
		}
		w.Log(text)
	}
	return nil
}

// located are the options with the files that the patterns name; those that are
// built in are written into dir.
func (s *datasetStage) located(r *Recipe, dir string) (datasets.Options, error) {
	var failed error
	against, _ := s.against(r)
	o := s.withFiles(against, func(f string) string {
		name, ok := strings.CutPrefix(f, embeddedPrefix)
		if !ok {
			return f
		}
		path, err := extract(name, dir)
		failed = errors.Join(failed, err)
		return path
	})
	o.Hub, o.Revision, o.Config = "", "", ""
	for name, m := range o.Mix {
		m.Hub, m.Revision, m.Config = "", "", ""
		o.Mix[name] = m
	}
	return o, failed
}

func total(counts map[datasets.Reason]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

func reasons[R ~string](counts map[R]int) string {
	var list []string
	for _, r := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s %d", r, counts[r]))
	}
	return strings.Join(list, ", ")
}

// examples reads the split that ref names from the stage's inputs.
func examples(w *pipeline.Work, ref string) ([]datasets.Example, error) {
	d, split, err := dataset(w, ref)
	if err != nil {
		return nil, err
	}
	return d.Read(split)
}

// dataset opens the dataset of the split that ref names, which has examples.
func dataset(w *pipeline.Work, ref string) (d *datasets.Dataset, split string, err error) {
	name, split, _ := strings.Cut(ref, ".")
	if d, err = datasets.Open(w.Input(name)); err != nil {
		return nil, "", err
	}
	if d.Len(split) == 0 {
		return nil, "", fmt.Errorf("dataset %s has no examples in split %s", name, split)
	}
	return d, split, nil
}

// splitRef takes a reference to a split apart.
func splitRef(ref string) (stage, split string) {
	stage, split, _ = strings.Cut(ref, ".")
	return stage, split
}

// head is the stage that a reference names.
func head(ref string) string {
	name, _, _ := strings.Cut(ref, ".")
	return name
}
