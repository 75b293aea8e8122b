package recipes

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/pipeline"
)

// datasetStage reads rows and writes examples in splits.
type datasetStage struct {
	Kind             string `yaml:"kind"`
	datasets.Options `yaml:",inline"`
}

func (s *datasetStage) check(c *checker) { c.options("", s.Options.Validate()) }

// splits are the names of the splits that the dataset will have.
func (s *datasetStage) splits() []string {
	names := map[string]bool{}
	for name := range s.Files {
		names[name] = true
	}
	for name := range s.Split {
		names[name] = true
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
	options := *s
	options.Files = map[string][]string{}
	var outside []string
	for _, split := range slices.Sorted(maps.Keys(s.Files)) {
		for _, f := range expand(s.Files[split]) {
			if name, ok := strings.CutPrefix(f, embeddedPrefix); ok {
				options.Files[split] = append(options.Files[split], embeddedPrefix+name+" "+embeddedHash(name))
				continue
			}
			options.Files[split] = append(options.Files[split], filepath.Base(f))
			outside = append(outside, f)
		}
	}
	return pipeline.Stage{Files: outside, Fingerprint: fingerprint(options, nil), Version: "1", Run: s.run}
}

// expand replaces patterns by the files that match; one that matches nothing
// stays, and is then a missing file.
func expand(patterns []string) []string {
	var files []string
	for _, p := range patterns {
		if _, err := os.Stat(p); err == nil || strings.HasPrefix(p, embeddedPrefix) {
			files = append(files, p)
			continue
		}
		if matches, err := filepath.Glob(p); err == nil && len(matches) > 0 {
			files = append(files, matches...)
			continue
		}
		files = append(files, p)
	}
	return files
}

func (s *datasetStage) run(ctx context.Context, w *pipeline.Work) error {
	o, err := s.located(w.Scratch)
	if err != nil {
		return err
	}
	d, err := datasets.Load(ctx, o)
	if err != nil {
		return err
	}
	if rejected := total(d.Counts.Rejected); rejected > 0 {
		w.Warn(fmt.Sprintf("%d of %d rows cannot be used: %s", rejected, d.Counts.Rows, reasons(d.Counts.Rejected)))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Splits)) {
		w.Log(fmt.Sprintf("%s: %d examples", name, len(d.Splits[name])))
	}
	return d.Write(w.Dir)
}

// located are the options with the files that the patterns name; those that are
// built in are written into dir.
func (s *datasetStage) located(dir string) (datasets.Options, error) {
	o := s.Options
	o.Files = map[string][]string{}
	for split, files := range s.Files {
		for _, f := range expand(files) {
			if name, ok := strings.CutPrefix(f, embeddedPrefix); ok {
				path, err := extract(name, dir)
				if err != nil {
					return o, err
				}
				f = path
			}
			o.Files[split] = append(o.Files[split], f)
		}
	}
	return o, nil
}

func total(counts map[datasets.Reason]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

func reasons(counts map[datasets.Reason]int) string {
	var list []string
	for _, r := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s %d", r, counts[r]))
	}
	return strings.Join(list, ", ")
}

// examples reads the split that ref names from the stage's inputs.
func examples(w *pipeline.Work, ref string) ([]datasets.Example, error) {
	name, split, _ := strings.Cut(ref, ".")
	d, err := datasets.Open(w.Input(name))
	if err != nil {
		return nil, err
	}
	list, ok := d.Splits[split]
	if !ok || len(list) == 0 {
		return nil, fmt.Errorf("dataset %s has no examples in split %s", name, split)
	}
	return list, nil
}

// head is the stage that a reference names.
func head(ref string) string {
	name, _, _ := strings.Cut(ref, ".")
	return name
}
