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
