package recipes

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/pipeline"
)

// rowsFile writes rows whose prompts have about so many bytes.
func rowsFile(t *testing.T, rows, bytes int) string {
	t.Helper()
	var b strings.Builder
	for i := range rows {
		words := strings.Repeat(fmt.Sprintf("printer %d is out of paper ", i), (bytes+25)/26)
		fmt.Fprintf(&b, "{\"text\": %q, \"label\": %q}\n", words, []string{"low", "high"}[i%2])
	}
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// whole is a recipe with every kind of model that a stage can make. SIZE is
// the shape of its models.
const whole = `version: 1
name: whole
stages:
  data: {kind: dataset, files: ROWS, columns: {prompt: text, response: label}, split: {test: 0.5}}
  tok: {kind: tokenizer, on: data.train, vocab_size: 300}
  big: {kind: train, new: SIZE, tokenizer: tok, on: data.train, batch: BATCH, steps: 1, valid: data.test, keep: best}
  said: {kind: answers, teacher: big, from: data.train, top_k: 4, max_tokens: 4}
  little: {kind: train, student: big, on: data.train, lora: {r: 4}, merge: true, batch: BATCH, steps: 1}
  nf4: {kind: train, student: little.merged, base: nf4, on: data.train, lora: {r: 4}, merge: true, batch: BATCH, steps: 1}
  again: {kind: train, student: little, base: bf16, on: data.train, lora: {r: 4, targets: [q_proj, embed_tokens], modules_to_save: [lm_head, o_proj]}, loraplus_lr_ratio: 16, batch: BATCH, steps: 1}
  q8: {kind: quantize, model: little}
  q4: {kind: quantize, model: nf4.merged, type: Q4_0}
  fromq8: {kind: train, student: q8, base: Q8_0, on: data.train, lora: {r: 4, dora: true, targets: [down_proj], rank_pattern: {layers.1.mlp.down_proj: 2}}, merge: true, batch: BATCH, steps: 1}
  report: {kind: eval, on: data.test, models: [big, little, nf4, q8, q4, fromq8, fromq8.merged], metrics: [accuracy, exact_match], max_new_tokens: 4}
`

func wholeRecipe(t *testing.T, size, batch string, rows, bytes int) *Recipe {
	t.Helper()
	text := strings.NewReplacer("ROWS", rowsFile(t, rows, bytes), "SIZE", size, "BATCH", batch).Replace(whole)
	r, err := Parse("whole.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const tinySize = "{hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_attention_heads: 2}"

// runStages runs the recipe's stages and returns the record and the store.
func runStages(t *testing.T, r *Recipe, targets ...string) (*pipeline.Record, *pipeline.Store) {
	t.Helper()
	store, err := pipeline.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	record, err := pipeline.Run(t.Context(), store, r.Pipeline(store.Dir()), pipeline.Options{Targets: targets})
	if err != nil {
		t.Fatal(err)
	}
	return record, store
}

// The outline of a model that is yet to be made is that of the model when it is there.
func TestOutlinesForeseeWhatIsMade(t *testing.T) {
	r := wholeRecipe(t, tinySize, "{rows: 2, length: 64}", 30, 26)
	record, store := runStages(t, r)
	dirs := map[string]string{}
	for _, s := range record.Stages {
		a, err := store.Artifact(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		dirs[s.Name] = a.Dir
	}
	before := func(stage string) string {
		if stage == "tok" {
			return dirs["tok"] // its vocabulary follows from the texts
		}
		return ""
	}
	after := func(stage string) string { return dirs[stage] }
	for _, ref := range []string{"big", "little", "little.merged", "nf4", "nf4.merged", "again", "q8", "q4", "fromq8", "fromq8.merged"} {
		foreseen, err := r.outline(before, ref)
		if err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		made, err := r.outline(after, ref)
		if err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		if foreseen.bytes() != made.bytes() || foreseen.copies != made.copies || foreseen.model.Config.VocabSize != made.model.Config.VocabSize {
			t.Errorf("%s: %d bytes foreseen, %d made", ref, foreseen.bytes(), made.bytes())
		}
	}
}

// Of stages whose arrays outweigh the program, the stated peak is what is
// measured: within 15 % where the planner knows every array, and within 25 %
// where it has to guess at tokens and garbage.
func TestStatedMemoryIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("makes models of 80 MB")
	}
	r := wholeRecipe(t, "{hidden_size: 512, intermediate_size: 1536, num_hidden_layers: 6, num_attention_heads: 8}", "{rows: 2, length: 128}", 40, 52)
	record, _ := runStages(t, r)
	for _, s := range record.Stages {
		ratio := float64(s.PlannedBytes) / float64(max(1, s.PeakBytes))
		t.Logf("%s: %d MB stated, %d MB measured", s.Name, s.PlannedBytes>>20, s.PeakBytes>>20)
		if s.PeakBytes == 0 || s.PlannedBytes == 0 {
			continue // what this system, or the stage, cannot tell
		}
		tolerance := 0.15
		if s.Kind == "answers" || s.Kind == "eval" {
			tolerance = 0.25
		}
		if !(ratio > 1-tolerance && ratio < 1+tolerance) {
			t.Errorf("%s: %d MB stated, %d MB measured", s.Name, s.PlannedBytes>>20, s.PeakBytes>>20)
		}
	}
}

// plan is the plan of the recipe in an empty store.
func plan(t *testing.T, r *Recipe) *pipeline.Plan {
	t.Helper()
	store, err := pipeline.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.NewPlan(t.Context(), store, r.Pipeline(store.Dir()))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func plannedStage(t *testing.T, p *pipeline.Plan, stage string) pipeline.PlannedStage {
	t.Helper()
	for _, s := range p.Stages {
		if s.Name == stage {
			return s
		}
	}
	t.Fatalf("no stage %s", stage)
	return pipeline.PlannedStage{}
}

// What a refusal proposes fits.
func TestARefusalSaysWhatWouldFit(t *testing.T) {
	r := wholeRecipe(t, tinySize, "{rows: 64, length: 256}", 30, 26)
	big := r.find("big").(*trainStage)
	free := plannedStage(t, plan(t, r), "big")
	if free.MemoryFault != "" || free.PeakBytes < 50<<20 {
		t.Fatalf("without a budget: %+v", free)
	}
	big.Memory = 60_000_000
	tight := plannedStage(t, plan(t, r), "big")
	var rows, accumulate int
	_, advice, _ := strings.Cut(tight.MemoryFault, "; ")
	if _, err := fmt.Sscanf(advice, "batch.rows: %d would fit (accumulate: %d", &rows, &accumulate); err != nil {
		t.Fatalf("%q: %v", tight.MemoryFault, err)
	}
	if rows < 1 || rows > 63 || accumulate != (64+rows-1)/rows {
		t.Errorf("%d rows, accumulate %d", rows, accumulate)
	}
	big.Batch.Rows = rows
	if got := plannedStage(t, plan(t, r), "big"); got.MemoryFault != "" || got.PeakBytes > 60_000_000 {
		t.Errorf("%d rows: %+v", rows, got)
	}
	big.Batch.Rows = rows + 1
	if got := plannedStage(t, plan(t, r), "big"); got.MemoryFault == "" {
		t.Errorf("one row more than proposed: %+v", got)
	}
	big.Memory = 1_000_000
	if got := plannedStage(t, plan(t, r), "big"); !strings.Contains(got.MemoryFault, "not even one row fits: try lora") {
		t.Errorf("1 MB: %q", got.MemoryFault)
	}
}

func TestLengthsOfTexts(t *testing.T) {
	r := wholeRecipe(t, tinySize, "{rows: 2, length: 64}", 40, 26)
	none := func(string) string { return "" }
	got, err := r.texts(t.Context(), none, "data.train")
	if err != nil {
		t.Fatal(err)
	}
	if got.examples < 5 || got.examples > 35 || got.promptBytes < 20*int64(got.examples) || got.responseBytes < 3*int64(got.examples) {
		t.Errorf("%+v", got)
	}
	said, err := r.texts(t.Context(), none, "said")
	if err != nil || said.examples != got.examples {
		t.Errorf("the answers' prompts are %+v (%v)", said, err)
	}
	o, err := r.outline(none, "big")
	if err != nil {
		t.Fatal(err)
	}
	if n := got.promptTokens(o); n < 8 || n > 12 {
		t.Errorf("a prompt of some 28 bytes has %d tokens", n)
	}
	if n := (texts{}).promptTokens(o); n != unknownPrompt {
		t.Errorf("an unknown prompt has %d tokens", n)
	}
}

// adapterOn is the model at base with the adapter of a train stage merged into it.
func adapterOn(t *testing.T, base, stage string) *model.Model {
	t.Helper()
	m, err := model.Load(cpu.New(1), filepath.Join(base, modelDir))
	if err != nil {
		t.Fatal(err)
	}
	if stage == "" {
		return m
	}
	if err := m.LoadAdapter(filepath.Join(stage, adapterDir)); err != nil {
		t.Fatal(err)
	}
	m.Merge()
	return m
}

func sameWeights(t *testing.T, a, b *model.Model) bool {
	t.Helper()
	next, stop := iter.Pull2(b.Linears())
	defer stop()
	for _, part := range a.Linears() {
		_, other, ok := next()
		if !ok || !slices.Equal(part.Weight.Floats(), other.Weight.Floats()) {
			return false
		}
	}
	return true
}

// Training over a base in fewer bits is another training, and its adapter goes
// onto the student as it was.
func TestABaseIsOnlyTrainedOver(t *testing.T) {
	r := wholeRecipe(t, tinySize, "{rows: 2, length: 64}", 30, 26)
	plain := *r.find("nf4").(*trainStage)
	plain.Base = ""
	r.stages = append(r.stages, namedStage{"plain", &plain})
	record, store := runStages(t, r, "nf4", "plain")
	dirs := map[string]string{}
	for _, s := range record.Stages {
		a, err := store.Artifact(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		dirs[s.Name] = a.Dir
	}
	if !sameWeights(t, adapterOn(t, dirs["nf4"], ""), adapterOn(t, dirs["little"], dirs["nf4"])) {
		t.Error("the merged model is not the student with the adapter")
	}
	if sameWeights(t, adapterOn(t, dirs["nf4"], ""), adapterOn(t, dirs["plain"], "")) {
		t.Error("the base changed nothing")
	}
}

// What could not be merged in the end is refused before anything is trained.
func TestUpdatesThatCannotBeMergedAreForeseen(t *testing.T) {
	r := wholeRecipe(t, tinySize, "{rows: 2, length: 64}", 30, 26)
	s := *r.find("little").(*trainStage)
	s.LoRA = &model.LoRA{R: 4, LoRABias: true}
	nowhere := func(string) string { return "" }
	for _, s.Merge = range []bool{false, true} {
		_, err := s.outlineStudent(r, nowhere)
		if refused := err != nil && strings.Contains(err.Error(), "lora_bias"); refused != s.Merge {
			t.Errorf("merge %v: error %v", s.Merge, err)
		}
	}
}
