package recipes

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/distill/api"
)

// recordedOptions are the rows of the dataset that a recorded teacher's options mean.
func recordedOptions(in *datasets.Input) datasets.Options {
	o := datasets.Options{Input: *in}
	o.Files = map[string][]string{}
	for split, files := range in.Files {
		o.Files[split] = expand(files)
	}
	return o
}

// recordedFiles are the outside files of a recorded teacher.
func recordedFiles(in *datasets.Input) []string {
	var files []string
	for _, list := range recordedOptions(in).Files {
		files = append(files, list...)
	}
	slices.Sort(files)
	return files
}

// recordedForm is what of a recorded teacher's options is no file.
func recordedForm(in *datasets.Input) datasets.Input {
	form := *in
	form.Files = nil
	return form
}

// openRecorded reads what somebody has written down. dir is for what is kept on
// disk meanwhile.
func openRecorded(ctx context.Context, name string, in *datasets.Input, dir string) (*api.Recorded, error) {
	d, err := datasets.Make(ctx, dir, recordedOptions(in), datasets.Hooks{Scratch: filepath.Join(dir, "scratch")})
	if err != nil {
		return nil, err
	}
	return api.NewRecorded(name, func(yield func(api.Record, error) bool) {
		for _, split := range d.Splits() {
			for e, err := range d.Examples(split) {
				r := api.Record{Prompt: e.Prompt, Messages: e.Messages, Answer: distill.Answer{Text: e.Response, Finish: distill.FinishStop}}
				if strings.TrimSpace(e.Response) == "" {
					r.Answer.Finish = distill.FinishEmpty
				}
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
	})
}
