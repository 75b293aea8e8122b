package datasets_test

import (
	"math"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
)

func TestValidateReportsEveryFault(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*datasets.Options)
		want []string
	}{
		{"good", func(*datasets.Options) {}, nil},
		{"nothing", func(o *datasets.Options) { *o = datasets.Options{} },
			[]string{"files: want at least one file", "columns.prompt: want a column", "columns.response: want a column"}},
		{"empty list", func(o *datasets.Options) { o.Files["test"] = nil }, []string{`files: "test": want at least one file`}},
		{"empty name", func(o *datasets.Options) { o.Files[""] = []string{""} }, []string{"an empty file name"}},
		{"split that is no file name", func(o *datasets.Options) { o.Files["../x"] = []string{"a"} }, []string{`"../x" cannot name a split`}},
		{"share", func(o *datasets.Options) { o.Split = map[string]float64{"test": 1.5} }, []string{"split: test: 1.5: want a share"}},
		{"share NaN", func(o *datasets.Options) { o.Split = map[string]float64{"test": math.NaN()} }, []string{"want a share"}},
		{"shares", func(o *datasets.Options) { o.Split = map[string]float64{"test": 0.5, "valid": 0.5} }, []string{"leave nothing for train"}},
		{"train share", func(o *datasets.Options) { o.Split = map[string]float64{"train": 0.8} }, []string{"split: train is what"}},
		{"nothing to split", func(o *datasets.Options) {
			o.Files = map[string][]string{"test": {"a"}}
			o.Split = map[string]float64{"valid": 0.1}
		}, []string{"no files to divide"}},
		{"negative", func(o *datasets.Options) { o.MaxPromptChars, o.Limit = -1, -2 }, []string{"max_prompt_chars: -1", "limit: -2"}},
		{"bad rows", func(o *datasets.Options) { o.BadRows = "ignore" }, []string{`bad_rows: "ignore": want drop or error`}},
		{"template without column", func(o *datasets.Options) { o.Columns.Prompt, o.Template = "", "hello {{text}}" }, []string{`template: "hello {{text}}": it uses no column`}},
		{"template beside column", func(o *datasets.Options) { o.Template = "{other}" }, []string{"does not use the prompt column {text}"}},
		{"open brace", func(o *datasets.Options) { o.Template = "{text" }, []string{`template: "{text": a { without }`}},
		{"nested brace", func(o *datasets.Options) { o.Template = "{te{xt}" }, []string{"a { without }"}},
		{"close brace", func(o *datasets.Options) { o.ResponseTemplate = "{label} }" }, []string{`response_template: "{label} }": a } without {`}},
		{"empty braces", func(o *datasets.Options) { o.Template = "{text}{}" }, []string{"{} names no column"}},
		{"prompt only", func(o *datasets.Options) { o.PromptOnly = true }, []string{"prompt_only: it excludes"}},
		{"format", func(o *datasets.Options) { o.Format = "chat" }, []string{`format: "chat": want one of "alpaca"`}},
		{"a column of another format", func(o *datasets.Options) { o.Columns.Messages = "m" }, []string{"columns.messages: format text does not read it"}},
		{"messages", func(o *datasets.Options) {
			o.Format, o.Columns, o.Template, o.Lowercase = datasets.FormatMessages, datasets.Columns{}, "{x}", true
			o.MaxPromptChars, o.TooLong = 5, datasets.TruncateLeft
		}, []string{"template: it is for texts", "lowercase: it is for texts", "too_long: truncate_left: format messages has conversations"}},
		{"labels", func(o *datasets.Options) { o.Labels = []string{"a", "a"} }, []string{"labels: they are of format", "labels: want different names"}},
		{"answer", func(o *datasets.Options) {
			o.Format, o.Columns, o.Answer, o.Respond = datasets.FormatMultipleChoice, datasets.Columns{}, "number", "index"
		}, []string{`answer: "number": want index`, `respond: "index": want letter or text`}},
		{"preference", func(o *datasets.Options) {
			o.Format, o.Columns, o.PromptOnly = datasets.FormatPreference, datasets.Columns{}, true
		},
			[]string{"prompt_only: preference pairs"}},
		{"hub keys", func(o *datasets.Options) { o.Revision, o.Config = "main", "x" }, []string{"revision: it is of a dataset", "config: it is of a dataset"}},
		{"too_long", func(o *datasets.Options) { o.TooLong = "cut" }, []string{`too_long: "cut": want drop, truncate_left`}},
		{"too_long of nothing", func(o *datasets.Options) { o.TooLong = datasets.DropTooLong }, []string{"too_long: nothing is"}},
		{"deduplicate", func(o *datasets.Options) {
			o.Deduplicate = &datasets.Deduplicate{Near: 0.3, On: "response", Conflicts: "warn"}
		}, []string{"deduplicate.near: 0.3: want 0, or", `deduplicate.on: "response"`, `deduplicate.conflicts: "warn"`}},
		{"deduplicate nothing", func(o *datasets.Options) { o.Deduplicate = &datasets.Deduplicate{Exact: new(bool)} }, []string{"deduplicate.exact: false"}},
		{"near NaN", func(o *datasets.Options) { o.Deduplicate = &datasets.Deduplicate{Near: math.NaN()} }, []string{"deduplicate.near: NaN"}},
		{"decontaminate", func(o *datasets.Options) {
			o.Decontaminate = &datasets.Decontaminate{Ngram: 3, MinWords: 4, MinShare: 2, Against: []string{""}, Splits: []string{"train"}}
		}, []string{"decontaminate.min_words: 4: want 1 to ngram, 3", "decontaminate.min_share: 2", "decontaminate.against: an empty", `decontaminate.splits: "train"`}},
		{"balance", func(o *datasets.Options) { o.Balance = &datasets.Balance{Ratio: 0.5, MaxPerLabel: -1} }, []string{"balance.ratio: 0.5", "balance.max_per_label: -1"}},
		{"empty balance", func(o *datasets.Options) { o.Balance = &datasets.Balance{} }, []string{"balance.max_per_label: want it, ratio or oversample"}},
		{"repeats", func(o *datasets.Options) { o.Limit, o.Balance = 5, &datasets.Balance{Oversample: true} }, []string{"limit: it excludes mix_repeat and balance.oversample"}},
		{"mix and files", func(o *datasets.Options) { o.Mix = map[string]datasets.MixInput{"A": {Input: o.Input}} }, []string{"mix: it excludes files", `mix: "A" cannot name a source`}},
		{"mix", func(o *datasets.Options) {
			in := o.Input
			bad := in
			bad.Files = nil
			o.Input = datasets.Input{}
			o.Mix = map[string]datasets.MixInput{"a": {Input: in, Weight: 1}, "b": {Input: bad}, "c": {Input: in, Weight: math.NaN()}}
			o.MixRepeat = 3
		}, []string{"mix.b.files: want at least one file", "mix.c.weight: NaN", "mix: want a weight of each source, or of none", "mix_repeat: it takes a mix_size"}},
		{"mix_size alone", func(o *datasets.Options) { o.MixSize = 3 }, []string{"mix_size: there is no mix"}},
	} {
		o := options("a.parquet")
		c.edit(&o)
		err := o.Validate()
		if c.want == nil {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		wantError(t, c.name, err, c.want...)
		if err != nil && strings.Count(err.Error(), "\n")+1 < len(c.want) {
			t.Errorf("%s: not every fault has its line: %v", c.name, err)
		}
	}
}
