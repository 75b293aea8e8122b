package recipes

import (
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/retort-ml/retort/pipeline"
)

// against takes apart what a dataset is decontaminated against: files, and
// splits of other stages' datasets. A name that is a file is one.
func (s *datasetStage) against(r *Recipe) (files, splits []string) {
	if s.Decontaminate == nil {
		return nil, nil
	}
	for _, a := range s.Decontaminate.Against {
		stage, split := splitRef(a)
		other, ok := r.find(stage).(splitStage)
		if _, err := os.Stat(a); err != nil && ok && slices.Contains(other.splits(), split) {
			splits = append(splits, a)
		} else {
			files = append(files, a)
		}
	}
	return files, splits
}

// benchmarkTexts are the prompts and responses of the splits.
func benchmarkTexts(w *pipeline.Work, splits []string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, ref := range splits {
			d, split, err := dataset(w, ref)
			if err != nil {
				yield("", err)
				return
			}
			// Labels are in training and in benchmarks alike, and give nothing away.
			labels := d.Labels()
			isLabel := labels != nil && 2*len(labels) <= d.Len(split)
			for e, err := range d.Examples(split) {
				if err != nil {
					yield("", fmt.Errorf("%s: %w", ref, err))
					return
				}
				texts := []string{e.Prompt, e.Response}
				if isLabel {
					texts = texts[:1]
				}
				for _, text := range texts {
					if strings.TrimSpace(text) != "" && !yield(text, nil) {
						return
					}
				}
			}
		}
	}
}
