package recipes_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-ml/retort/pipeline"
	"github.com/retort-ml/retort/recipes"
)

func TestBuiltinRecipesLoadAndPlan(t *testing.T) {
	names := recipes.Builtins()
	if len(names) < 2 {
		t.Fatalf("built in are %v", names)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			r, err := recipes.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			if r.Name != name {
				t.Errorf("recipe %s calls itself %s", name, r.Name)
			}
			data := filepath.Join(t.TempDir(), "rows.parquet")
			if err := os.WriteFile(data, []byte("any"), 0o666); err != nil {
				t.Fatal(err)
			}
			if sets := map[string][]string{
				"banking77": {"data.files={train: [" + data + "], test: [" + data + "]}"},
				"gsm8k":     {"data.files=" + data, "models.gpt3.recorded.files=" + data},
			}[name]; sets != nil {
				if r, err = recipes.Load(name, sets...); err != nil {
					t.Fatal(err)
				}
			}
			store, err := pipeline.Open(filepath.Join(t.TempDir(), "store"))
			if err != nil {
				t.Fatal(err)
			}
			plan, err := pipeline.NewPlan(t.Context(), store, r.Pipeline(store.Dir()))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range plan.Stages {
				if s.Action != pipeline.ActionRun {
					t.Errorf("stage %s: %s in an empty store", s.Name, s.Action)
				}
			}
		})
	}
}

// small is a recipe with one stage of each kind, to be changed by the tests.
const small = `version: 1
name: small
stages:
  data:
    kind: dataset
    files: rows.jsonl
    columns: {prompt: text, response: label}
    split: {test: 0.5}
  tok: {kind: tokenizer, on: data.train}
  big: {kind: train, new: {hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 1}, tokenizer: tok, on: data.train}
  said: {kind: answers, teacher: big, from: data.train, top_k: 4}
  little: {kind: train, student: big, on: said, lora: {r: 2}, distill: {}, merge: true}
  q8: {kind: quantize, model: little}
  report: {kind: eval, on: data.test, models: [big, little, little.merged, q8], teacher: big}
`

func TestFaultsNameLineAndPath(t *testing.T) {
	if _, err := recipes.Parse("small.yaml", []byte(small)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"version", "version: 1", "version: 9", "small.yaml:1: version: 9: this program reads version 1"},
		{"option out of range", "lora: {r: 2}", "lora: {r: -2}", "small.yaml:12: stages.little.lora.r: -2: want 1 to 4096"},
		{"unknown nested key", "lora: {r: 2}", "lora: {rank: 2}", `small.yaml:12: stages.little.lora.rank: unknown key "rank"`},
		{"pattern of a rank", "lora: {r: 2}", "lora: {r: 2, rank_pattern: {q_proj: 0}}", "small.yaml:12: stages.little.lora.rank_pattern: q_proj: 0: want 1 to 4096"},
		{"lookahead", "lora: {r: 2}", "lora: {target_pattern: '(?!q).*'}", "small.yaml:12: stages.little.lora.target_pattern: regular expression"},
		{"two kinds of targets", "lora: {r: 2}", "lora: {target_pattern: q, targets: [q]}", "small.yaml:12: stages.little.lora.targets: there is target_pattern too"},
		{"LoRA+ without lora", "lora: {r: 2}, distill: {}, merge: true", "loraplus_lr_ratio: 16", "small.yaml:12: stages.little.loraplus_lr_ratio: it is of lora's updates"},
		{"min p", "top_k: 4", "top_k: 4, temperature: 1, min_p: 1.5", "small.yaml:11: stages.said.min_p: 1.5: want 0 to 1"},
		{"repetition penalty", "top_k: 4", "top_k: 4, repetition_penalty: -1", "small.yaml:11: stages.said.repetition_penalty: -1: want 0 (none) or 0.01 to 100"},
		{"a key like it", "top_k: 4", "top_k: 4, repetition_penality: 1.1", `small.yaml:11: stages.said.repetition_penality: unknown key "repetition_penality" (did you mean repetition_penalty?)`},
		{"learning rate", "merge: true", "merge: true, learning_rate: 7", "small.yaml:12: stages.little.learning_rate: 7: want a number from 0 to 1"},
		{"merge without lora", "lora: {r: 2}, ", "", "small.yaml:12: stages.little.merge: there is nothing to merge without lora"},
		{"base without lora", "lora: {r: 2}, distill: {}, merge: true", "base: nf4", "small.yaml:12: stages.little.base: it is what lora's updates are trained over"},
		{"unknown base", "merge: true", "base: nf5", `small.yaml:12: stages.little.base: unknown format of a frozen base "nf5" (did you mean nf4?)`},
		{"base of a quantized student", "student: big, on: said, lora: {r: 2}, distill: {}, merge: true}\n  q8: {kind: quantize, model: little}", "student: q8, on: said, lora: {r: 2}, distill: {}, base: nf4}\n  q8: {kind: quantize, model: big}",
			"small.yaml:12: stages.little.base: q8 is Q8_0 already: begin with the model that it was made from, big"},
		{"memory", "merge: true", "memory: lots", `small.yaml:12: stages.little.memory: size "lots": want a number of bytes such as 900MB`},
		{"no memory", "merge: true", "memory: 0", `small.yaml:12: stages.little.memory: size "0"`},
		{"no student", "student: big, ", "", "stages.little: want a student to tune, or new"},
		{"student and new", "student: big", "student: big, new: {hidden_size: 1}", "stages.little.new: a stage has a student or new, not both"},
		{"distill without probabilities", ", top_k: 4", "", "stages.little.distill: answers stage said keeps no probabilities"},
		{"distill on a split", "on: said", "on: data.train", "stages.little.distill: data.train has no teacher's probabilities"},
		{"unknown model", "model: little", "model: litle", `small.yaml:13: stages.q8.model: unknown model "litle" (did you mean little?)`},
		{"unknown type", "model: little", "model: little, type: Q8_1", "small.yaml:13: stages.q8.type:"},
		{"unknown format", "model: little", "model: little, format: ggml", `stages.q8.format: unknown format "ggml" (did you mean gguf?)`},
		{"part of a model", "little.merged", "little.melted", "stages.report.models[2]:"},
		{"model twice", "little.merged", "little", "stages.report.models[2]: little comes twice"},
		{"teacher not listed", "teacher: big}", "teacher: bg}", `stages.report.teacher: unknown model of this report "bg" (did you mean big?)`},
		{"metric", "teacher: big}", "teacher: big, metrics: [acuracy]}", "stages.report.metrics[0]:"},
		{"baseline without train", "teacher: big}", "teacher: big, baseline: true}", "stages.report.train: want a split of a dataset, such as data.test"},
		{"tokenizer", "tokenizer: tok", "tokenizer: tk", `stages.big.tokenizer: unknown tokenizer stage "tk" (did you mean tok?)`},
		{"shape", "num_attention_heads: 1", "num_attention_heads: 3", "small.yaml:10: stages.big.new.hidden_size: 8 is not a multiple of num_attention_heads 3"},
		{"split", "on: data.train}\n  said", "on: data.valid}\n  said", `stages.big.on: unknown split of data "valid": there are test, train`},
		{"share", "{test: 0.5}", "{test: 1.5}", "small.yaml:8: stages.data.split: test: 1.5: want a share between 0 and 1"},
		{"best without validation", "merge: true", "merge: true, keep: best", "small.yaml:12: stages.little.keep: best is measured on validation data"},
		{"bool", "merge: true", "merge: yes", `stages.little.merge: want true or false, have "yes"`},
		{"quoted number", "lora: {r: 2}", `lora: {r: "2"}`, `stages.little.lora.r: want a whole number, have "2"`},
		{"fraction", "lora: {r: 2}", "lora: {r: 2.5}", `stages.little.lora.r: want a whole number, have "2.5"`},
		{"null", "lora: {r: 2}", "lora: {r: }", "stages.little.lora.r: want a whole number, have nothing"},
		{"nan", "merge: true", "merge: true, learning_rate: .nan", `stages.little.learning_rate: want a number, have ".nan"`},
		{"stage name", "  said:", "  a said:", "stages.a said: a stage's name is letters"},
		{"no kind", "kind: quantize, ", "", "stages.q8: want a kind: "},
		{"no stages", small[strings.Index(small, "stages:"):], "", "small.yaml:1: stages: want at least one stage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(small, c.old, c.new, 1)
			if text == small {
				t.Fatalf("%q is not in the recipe", c.old)
			}
			_, err := recipes.Parse("small.yaml", []byte(text))
			if !recipes.IsFault(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v\nwant one with %s", err, c.want)
			}
		})
	}
}

func TestSetChangesTheRecipe(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{"name=other", ""},
		{"stages.little.lora.r=5", ""},
		{"little.lora.r=5", ""},
		{"data.files={train: a.parquet, test: [b.parquet, c.parquet]}", ""},
		{"little.lora.r=five", `want a whole number, have "five"`},
		{"little.lora.r.s=5", "s is not under keys and values"},
		{"kind", "want key=value"},
		{"=x", "want key=value"},
		{"name={", "--set name={"},
	} {
		_, err := recipes.Parse("small.yaml", []byte(small), c.set)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("--set %s: %v, want %q", c.set, err, c.want)
		}
	}
}

func TestMissingRecipeIsAFault(t *testing.T) {
	for _, path := range []string{"nothing.yaml", "quikstart", t.TempDir()} {
		if _, err := recipes.Load(path); !recipes.IsFault(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("version: 1\nstages: {x: &y {kind: train, lora: *y}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := recipes.Parse("fuzz.yaml", data)
		var faults recipes.Faults
		if err == nil && r == nil || err != nil && !errors.As(err, &faults) {
			t.Errorf("recipe %v, error %v", r, err)
		}
	})
}

// The recipe that the README explains is one.
func TestReadmeRecipe(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const data = "  data: {kind: dataset, files: [x.jsonl], columns: {prompt: text, response: label}, split: {test: 0.1}}\n"
	around := [][2]string{
		{"", ""}, // the whole recipe; then parts of one
		{"version: 1\nname: teachers\n", data},
		{"version: 1\nname: chats\n", "stages:\n" + data + "  tuned: {kind: train, student: student, on: data.train}\n"},
		{"version: 1\nname: classifiers\nmodels: {encoder: {path: encoder}, tuned: {path: tuned}}\n", data},
	}
	rest := string(readme)
	for i, parts := range around {
		_, text, _ := strings.Cut(rest, "```yaml\n")
		text, after, ok := strings.Cut(text, "```")
		if !ok {
			t.Fatalf("README.md has %d examples of recipes, want %d", i, len(around))
		}
		if _, err := recipes.Parse("README.md", []byte(parts[0]+text+parts[1])); err != nil {
			t.Errorf("example %d: %v", i+1, err)
		}
		rest = after
	}
	if strings.Contains(rest, "```yaml") {
		t.Error("README.md has more examples than are tried")
	}
}
