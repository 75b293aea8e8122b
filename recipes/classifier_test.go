package recipes

import (
	"encoding/json"
	"errors"
	"fmt"
	"github.com/retort-ml/retort/datasets"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/eval"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/tokenizer"
)

// encoderDir is the directory of a tiny new encoder with a tokenizer.
func encoderDir(t *testing.T) string {
	t.Helper()
	text := strings.Repeat("printer 0123456789 is out of paper server on fire please help now ", 20)
	tok, err := tokenizer.Train(slices.Values([]string{text}), tokenizer.TrainOptions{VocabSize: 300})
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.NewClassifier(cpu.New(1), model.ClassifierConfig{ModelType: "distilbert", VocabSize: tok.VocabSize(), EmbeddingSize: 32,
		HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2, NumHiddenGroups: 1, InnerGroupNum: 1, NumAttentionHeads: 2,
		MaxPositionEmbeddings: 32, HiddenAct: "gelu", LayerNormEps: 1e-12, InitializerRange: 0.1,
		Labels: []string{"LABEL_0", "LABEL_1"}}, random.Stream(3, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := errors.Join(c.Save(dir), tok.Write(dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// classifying is a recipe that tunes an encoder on labels, and others to follow it
// and a decoder.
const classifying = `version: 1
name: classifying
models:
  tiny: {path: ENCODER}
stages:
  data: {kind: dataset, files: ROWS, columns: {prompt: text, response: label}, split: {test: 0.3}}
  tok: {kind: tokenizer, on: data.train, vocab_size: 300}
  big: {kind: train, new: {hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_attention_heads: 2}, tokenizer: tok, on: data.train, batch: {rows: 2, length: 64}, steps: 1}
  first: {kind: classifier, student: tiny, on: data.train, valid: data.test, keep: best, batch: {length: 32}, epochs: 20, learning_rate: 0.01}
  second: {kind: classifier, student: tiny, on: data.train, teacher: first, distill: {temperature: 2}, lora: {r: 4}, batch: {length: 32}, epochs: 40, learning_rate: 0.02}
  third: {kind: classifier, student: second, on: data.train, teacher: big, distill: {alpha: 0.5}, batch: {length: 32}, steps: 1}
  report: {kind: eval, on: data.test, models: [big, first, second, third], teacher: first, metrics: [accuracy, ece, exact_match]}
`

func classifyingRecipe(t *testing.T, old, new string) (*Recipe, error) {
	t.Helper()
	var b strings.Builder
	for i := range 80 {
		text, label := fmt.Sprintf("printer %d is out of paper", i), "low"
		if i%3 == 0 {
			text, label = fmt.Sprintf("server %d is on fire", i), "high"
		}
		fmt.Fprintf(&b, "{\"text\": %q, \"label\": %q}\n", text, label)
	}
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(strings.NewReplacer("ROWS", path, "ENCODER", encoderDir(t)).Replace(classifying), old, new, 1)
	return Parse("classifying.yaml", []byte(text))
}

// An encoder learns from labels, and another from the first one's probabilities.
func TestClassifierStages(t *testing.T) {
	r, err := classifyingRecipe(t, "", "")
	if err != nil {
		t.Fatal(err)
	}
	record, store := runStages(t, r)
	dirs := map[string]string{}
	for _, s := range record.Stages {
		a, err := store.Artifact(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		dirs[s.Name] = a.Dir
	}
	data, err := os.ReadFile(filepath.Join(dirs["report"], "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report eval.Report
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	for _, m := range report.Models[1:] {
		if m.Name != "third" && !(m.Metrics[0].Value > 0.9) || len(m.Metrics) != 2 || len(m.Missing) != 1 || !strings.Contains(m.Missing[0].Reason, "generates no text") {
			t.Errorf("%s: %+v, missing %v", m.Name, m.Metrics, m.Missing)
		}
	}
	for _, name := range []string{"first", "second", "third"} {
		c, err := loadClassifier(filepath.Join(dirs[name], modelDir))
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if !slices.Equal(c.model.Config.Labels, []string{"high", "low"}) {
			t.Errorf("%s has the labels %v", name, c.model.Config.Labels)
		}
		nats, counts, err := c.ScoreChoices(t.Context(), asked("printer 7 is out of paper", "server 5 is on fire"), []string{"low", "high"})
		if err != nil || !slices.Equal(counts, []int{1, 1}) {
			t.Fatal(counts, err)
		}
		if !(nats[0][0] > nats[0][1] && nats[1][0] < nats[1][1]) {
			t.Errorf("%s scores %v", name, nats)
		}
		for _, row := range nats {
			if sum := math.Exp(row[0]) + math.Exp(row[1]); !(math.Abs(sum-1) < 1e-6) {
				t.Errorf("%s: probabilities sum to %v", name, sum)
			}
		}
		_, err = os.Stat(filepath.Join(dirs[name], adapterDir, "adapter_model.safetensors"))
		if (err == nil) != (name == "second") {
			t.Errorf("%s: adapter: %v", name, err)
		}
	}
}

func TestClassifierFaults(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"distill without a teacher", "teacher: first, distill", "distill", "stages.second.distill: there is no teacher to follow"},
		{"student", "student: tiny", "student: tny", `stages.first.student: unknown model "tny" (did you mean tiny?)`},
		{"split", "valid: data.test", "valid: data.tst", "stages.first.valid"},
		{"best", "valid: data.test, ", "", "stages.first.keep: best is measured on validation data"},
		{"lora", "lora: {r: 4}", "lora: {r: -4}", "stages.second.lora.r"},
		{"batch", "batch: {length: 32}", "batch: {length: -1}", "stages.first.batch"},
		{"itself", "student: tiny", "student: third", "depends on itself"},
		{"as a decoder", "  report:", "  q8: {kind: quantize, model: first}\n  report:", `stages.q8.model: unknown model "first"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := classifyingRecipe(t, c.old, c.new)
			if !IsFault(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v\nwant one with %s", err, c.want)
			}
		})
	}
}

// A text that is too long keeps the special tokens around it.
func TestClassifierCutsTexts(t *testing.T) {
	l, err := loadClassifier(encoderDir(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	all, whole := l.encode("printer is out of paper", 100)
	special := l.tokenizer.Encode("", true)
	if !whole || len(all) <= len(special)+4 {
		t.Fatalf("%v, special %v", all, special)
	}
	short, whole := l.encode("printer is out of paper", len(special)+3)
	if whole || len(short) != len(special)+3 || short[0] != all[0] {
		t.Errorf("%v of %v, whole %v", short, all, whole)
	}
	if _, _, err := l.ScoreChoices(t.Context(), asked("a"), []string{"LABEL_7"}); err == nil || !strings.Contains(err.Error(), "LABEL_7") {
		t.Errorf("a choice that is no label: %v", err)
	}
	if _, err := l.Generate(t.Context(), nil, 1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("generating: %v", err)
	}
}

// The memory of every stage is foreseen before any has run, and one that does not
// fit is told.
func TestClassifierMemory(t *testing.T) {
	made := func(string) string { return "" }
	of := func(old, new, name string) (int64, string) {
		r, err := classifyingRecipe(t, old, new)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(r.stages, func(s namedStage) bool { return s.name == name })
		m, err := r.Pipeline(t.TempDir())[i].Memory(t.Context(), made)
		if err != nil {
			t.Fatal(err)
		}
		return m.PeakBytes, m.Fault
	}
	first, fault := of("", "", "first")
	if first < 28<<20 || fault != "" {
		t.Errorf("first takes %d bytes: %s", first, fault)
	}
	if large, _ := of("batch: {length: 32}", "batch: {length: 32, rows: 4000}", "first"); large < first+100<<20 {
		t.Errorf("4000 rows take %d bytes, 8 take %d", large, first)
	}
	if _, fault := of("batch: {length: 32}", "batch: {length: 32, rows: 4000}, memory: 40MB", "first"); !strings.Contains(fault, "try fewer batch.rows") {
		t.Errorf("in 40 MB: %q", fault)
	}
	if third, fault := of("", "", "third"); third < 28<<20 || fault != "" {
		t.Errorf("third takes %d bytes: %s", third, fault)
	}
	if report, fault := of("", "", "report"); report < 28<<20 || fault != "" {
		t.Errorf("the report takes %d bytes: %s", report, fault)
	}
}

// A student that is no encoder is told before the stages that it needs have run.
func TestClassifierOfDecoder(t *testing.T) {
	r, err := classifyingRecipe(t, "third: {kind: classifier, student: second", "third: {kind: classifier, student: big")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(r.stages, func(s namedStage) bool { return s.name == "third" })
	_, err = r.Pipeline(t.TempDir())[i].Memory(t.Context(), func(string) string { return "" })
	if err == nil || !strings.Contains(err.Error(), "student big is no encoder") {
		t.Errorf("error %v", err)
	}
}

// asked are the questions of plain texts.
func asked(texts ...string) []datasets.Question {
	var list []datasets.Question
	for _, t := range texts {
		list = append(list, datasets.Ask(t))
	}
	return list
}
