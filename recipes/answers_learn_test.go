package recipes

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
	"github.com/retort-ml/retort/pipeline"
	"github.com/retort-ml/retort/train"
)

// vocabularyOf is a model of vocabulary 307 with a tokenizer trained on text.
func vocabularyOf(t *testing.T, text string, size int) string {
	t.Helper()
	dir := goldenModel(t, 300)
	tok, err := tokenizer.Train(slices.Values([]string{strings.Repeat(text+" ", 20)}), tokenizer.TrainOptions{VocabSize: size})
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func loadedAt(t *testing.T, dir string) *loaded {
	t.Helper()
	l, err := loadPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// scored are a local teacher's scores of given answers, as rows: with ids, and as a
// server would tell them.
func scored(t *testing.T, teacher *loaded) (ids, bytes []distill.Row) {
	t.Helper()
	const k = 8
	end := teacher.stop[:1]
	local, err := distill.NewLocalTeacher(teacher.model, "weights", teacher.tokenizer, distill.LocalFormat{BOS: teacher.bos, Stop: end})
	if err != nil {
		t.Fatal(err)
	}
	var requests []distill.Request
	for _, answer := range []string{"the lazy dog", "seven wizards mix", "boxing gloves", " naïve fox 🦊"} {
		requests = append(requests, distill.Request{Prompt: "quick? " + answer, Given: new(answer), TopK: k})
	}
	answers := make([]distill.Answer, len(requests))
	err = local.Answer(t.Context(), slices.All(requests), func(i int, a distill.Answer) error {
		answers[i] = a
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if teacher.tokenizer.VocabSize() != 307 {
		t.Fatal("the model has more tokens than the tokenizer")
	}
	for i, a := range answers {
		ids = append(ids, distill.NewRow(fmt.Sprint("e", i), "t", requests[i], a))
		a.Pieces = distill.PiecesOf(teacher.tokenizer, end, &a)
		a.Tokens, a.Top = nil, nil
		bytes = append(bytes, distill.NewRow(fmt.Sprint("e", i), "t", requests[i], a))
	}
	return ids, bytes
}

func answersOf(t *testing.T, info distill.Info, rows []distill.Row) *distill.Answers {
	t.Helper()
	dir := t.TempDir()
	info.TopK = 8
	out, err := distill.CreateAnswers(dir, info)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for _, row := range rows {
		if err := out.Add(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Finish(); err != nil {
		t.Fatal(err)
	}
	a, err := distill.OpenAnswers(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// working runs f with the work of a stage.
func working(t *testing.T, f func(w *pipeline.Work) error) error {
	t.Helper()
	store, err := pipeline.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	stage := pipeline.Stage{Name: "s", Kind: "test", Version: "1", Fingerprint: "f", Run: func(_ context.Context, w *pipeline.Work) error {
		return f(w)
	}}
	_, err = pipeline.Run(t.Context(), store, []pipeline.Stage{stage}, pipeline.Options{})
	return err
}

// followed is what student learns of answers, with the loss of made-up logits.
func followed(t *testing.T, student *loaded, a *distill.Answers, o *distill.Options) (list []datasets.Sequence, loss float64, grad []float32, err error) {
	t.Helper()
	err = working(t, func(w *pipeline.Work) error {
		l := &learner{stage: &trainStage{Distill: o}, work: w, student: student}
		var objective train.Objective
		var err error
		if list, objective, err = l.follow("said", a); err != nil {
			return err
		}
		loss, grad, err = lossOf(list, objective)
		return err
	})
	return list, loss, grad, err
}

// lossOf is the loss, and its gradient, of logits that a row's inputs alone decide.
func lossOf(list []datasets.Sequence, o train.Objective) (float64, []float32, error) {
	batches, err := datasets.NewBatches(list, datasets.BatchOptions{Rows: len(list), InOrder: true, NoPacking: true, ResponseWeight: 1})
	if err != nil {
		return 0, nil, err
	}
	b, err := batches.At(0, 0)
	if err != nil {
		return 0, nil, err
	}
	const v = 307
	var rows []int32
	dev := cpu.New(1)
	for i := range b.Targets {
		if b.Weights[i] > 0 {
			rows = append(rows, int32(i))
		}
	}
	logits := compute.Of(dev.New(len(rows), v))
	for i, r := range rows {
		rng := rand.New(rand.NewPCG(uint64(b.Tokens[r]), uint64(b.Positions[r])))
		for j := range v {
			dev.Host(logits)[i*v+j] = float32(rng.NormFloat64())
		}
	}
	loss, err := o.RowLoss(b, rows)
	if err != nil {
		return 0, nil, err
	}
	sum, err := loss(dev, logits, 0, len(rows))
	return sum, slices.Clone(dev.Host(logits)), err
}

// A server that runs the student's own tokenizer teaches what a local teacher does.
func TestServersTeachAsLocalTeachersDo(t *testing.T) {
	l := loadedAt(t, goldenModel(t, 307))
	ids, bytes := scored(t, l)
	local := answersOf(t, distill.Info{Teacher: "t", Tokenizer: l.tokenizer.Hash(), Prompting: l.writer.ID()}, ids)
	server := answersOf(t, distill.Info{Teacher: "t"}, bytes)
	for _, divergence := range []string{distill.ForwardKL, distill.ReverseKL, distill.ULD} {
		o := &distill.Options{Divergence: divergence, Alpha: new(0.7), MinCoverage: new(1.0)}
		want, wantLoss, wantGrad, err := followed(t, l, local, o)
		if err != nil {
			t.Fatal(err)
		}
		got, loss, grad, err := followed(t, l, server, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 4 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s: sequences %v, want %v", divergence, got, want)
		}
		if !(math.Abs(loss-wantLoss) <= 1e-5*wantLoss) || wantLoss == 0 {
			t.Errorf("%s: loss %v, of the local teacher %v", divergence, loss, wantLoss)
		}
		for i := range grad {
			if !(math.Abs(float64(grad[i]-wantGrad[i])) <= 1e-5) {
				t.Fatalf("%s: gradient %d is %v, of the local teacher %v", divergence, i, grad[i], wantGrad[i])
			}
		}
	}
}

// A student with another tokenizer follows where the tokens are the same, or with
// uld where they begin at the same place, and is refused where that is little.
func TestOtherTokenizersAreAligned(t *testing.T) {
	teacher := loadedAt(t, goldenModel(t, 307))
	student := loadedAt(t, vocabularyOf(t, "lazy wizards, foxy dogs: mixing seventy vodkas", 300))
	_, bytes := scored(t, teacher)
	a := answersOf(t, distill.Info{Teacher: "t", Tokenizer: teacher.tokenizer.Hash()}, bytes)
	losses := map[string]float64{}
	for _, c := range []struct {
		divergence string
		least      float64
		want       string
	}{
		{"", 0.1, ""}, {distill.ULD, 0.5, ""}, {distill.ULD, 0.1, ""},
		{"", 0.99, "divergence: uld"}, {distill.ULD, 0.99, "less than min_coverage 0.99"},
	} {
		_, loss, _, err := followed(t, student, a, &distill.Options{Divergence: c.divergence, MinCoverage: &c.least})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("divergence %q, least %v: %v, want %q", c.divergence, c.least, err, c.want)
		}
		losses[c.divergence] = max(losses[c.divergence], loss)
	}
	if losses[""] == losses[distill.ULD] || losses[""] == 0 {
		t.Errorf("losses %v", losses)
	}
	for i := range bytes {
		bytes[i].Pieces = nil
	}
	bare := answersOf(t, distill.Info{Teacher: "t", Tokenizer: teacher.tokenizer.Hash()}, bytes)
	_, _, _, err := followed(t, student, bare, &distill.Options{})
	if err == nil || !strings.Contains(err.Error(), "distill: said: the teacher has another tokenizer") || !strings.Contains(err.Error(), "divergence: uld") {
		t.Errorf("no bytes: %v", err)
	}
}

// An answer of weight 2 counts as if it were there twice, whether it has ids or
// is encoded from its text.
func TestWeightsOfAnswers(t *testing.T) {
	l := loadedAt(t, goldenModel(t, 307))
	ids, bytes := scored(t, l)
	mixed := []distill.Row{ids[0], ids[1], bytes[2]}
	info := distill.Info{Teacher: "t", Tokenizer: l.tokenizer.Hash(), Prompting: l.writer.ID()}
	for _, o := range []*distill.Options{nil, {Alpha: new(0.5), MinCoverage: new(0.3)}} {
		for heavy := range mixed {
			weighted := slices.Clone(mixed)
			weighted[heavy].Weight = 2
			_, loss, grad, err := followed(t, l, answersOf(t, info, weighted), o)
			if err != nil {
				t.Fatal(err)
			}
			twice := slices.Insert(slices.Clone(mixed), heavy, mixed[heavy])
			list, want, wantGrad, err := followed(t, l, answersOf(t, info, twice), o)
			if err != nil {
				t.Fatal(err)
			}
			if !(math.Abs(loss-want) <= 1e-6*want) {
				t.Errorf("answer %d: loss %v of weight 2, %v of two", heavy, loss, want)
			}
			// Join the gradients of the two.
			var joined []float32
			at := 0
			for i, s := range list {
				n := (len(s.Tokens) - s.PromptLen) * 307
				if i == heavy+1 {
					for j, g := range wantGrad[at : at+n] {
						joined[len(joined)-n+j] += g
					}
				} else {
					joined = append(joined, wantGrad[at:at+n]...)
				}
				at += n
			}
			if len(joined) != len(grad) {
				t.Fatalf("%d gradients, want %d", len(grad), len(joined))
			}
			for j := range grad {
				if !(math.Abs(float64(grad[j]-joined[j])) <= 1e-6) {
					t.Fatalf("answer %d: gradient %d is %v of weight 2, %v of two", heavy, j, grad[j], joined[j])
				}
			}
		}
	}
}

// Answers whose text was changed have no ids: with too many of them, nothing of
// the teacher's probabilities is left to follow.
func TestChangedAnswersHaveNoProbabilities(t *testing.T) {
	l := loadedAt(t, goldenModel(t, 307))
	ids, _ := scored(t, l)
	for i := range ids[1:] {
		ids[i+1].Tokens, ids[i+1].Top = nil, nil
	}
	a := answersOf(t, distill.Info{Teacher: "t", Tokenizer: l.tokenizer.Hash(), Prompting: l.writer.ID()}, ids)
	if _, _, _, err := followed(t, l, a, &distill.Options{}); err == nil || !strings.Contains(err.Error(), "less than min_coverage 0.5") {
		t.Errorf("one of four: %v", err)
	}
	if list, _, _, err := followed(t, l, a, &distill.Options{MinCoverage: new(0.0)}); err != nil || len(list) != 4 {
		t.Errorf("%d sequences, %v", len(list), err)
	}
}

// An answer that was cut does not teach to end there.
func TestCutAnswersDoNotEnd(t *testing.T) {
	l := loadedAt(t, goldenModel(t, 307))
	_, bytes := scored(t, l)
	bytes[1].Finish = distill.FinishLength
	list, _, _, err := followed(t, l, answersOf(t, distill.Info{Teacher: "t"}, bytes), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range list {
		if ends := s.Tokens[len(s.Tokens)-1] == l.stop[0]; ends == (i == 1) {
			t.Errorf("answer %d ends: %v", i, ends)
		}
	}
}

// Conversations, tools, calls and reasoning reach the student's template.
func TestAnswersAreWholeTurns(t *testing.T) {
	const template = "{{ bos_token }}{% if tools %}{{ tools | tojson }}{% endif %}" +
		`{% for m in messages %}{{ '<' + m.role + '>' }}{% if m.reasoning_content %}{{ '(' + m.reasoning_content + ')' }}{% endif %}` +
		`{{ m.content }}{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}{{ eos_token + '\n' }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}`
	l := reading(t, chatModel(t, template), &chatOptions{})
	row := distill.Row{ID: "e", Weight: 1, Prompt: "boxing?", Messages: talk, Tools: `[{"type":"function","function":{"name":"fox_speed"}}]`,
		Answer: "gloves", Reasoning: "hm", ToolCalls: `[{"type":"function","function":{"name":"dog_speed","arguments":{}}}]`, Finish: distill.FinishTools}
	withIDs := row
	withIDs.Reasoning, withIDs.ToolCalls, withIDs.Tokens, withIDs.AnswerTokens = "", "", l.tokenizer.Encode("gloves", false), 6
	withIDs.AnswerTokens = int32(len(withIDs.Tokens))
	for _, r := range []distill.Row{row, withIDs} {
		r.Top = make([]model.TopTokens, len(r.Tokens))
		a := answersOf(t, distill.Info{Teacher: "t", Tokenizer: l.tokenizer.Hash(), Prompting: l.writer.ID()},
			[]distill.Row{r})
		var list []datasets.Sequence
		err := working(t, func(w *pipeline.Work) (err error) {
			l := &learner{stage: &trainStage{Batch: batch{Length: 1000}}, work: w, student: l}
			list, _, err = l.follow("said", a)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		prompt, answer := l.tokenizer.Decode(list[0].Tokens[:list[0].PromptLen], false), l.tokenizer.Decode(list[0].Tokens[list[0].PromptLen:], false)
		if !strings.Contains(prompt, "fox_speed") || !strings.Contains(prompt, "seven wizards") {
			t.Errorf("prompt %q", prompt)
		}
		if r.Reasoning != "" && (!strings.Contains(answer, "(hm)gloves") || !strings.Contains(answer, "dog_speed")) {
			t.Errorf("answer %q", answer)
		}
	}
	// A student that is asked with plain text learns the answer, but no calls.
	plain := textOf(&distill.Row{Answer: "gloves", Reasoning: "hm"}, datasets.Plain{})
	if plain.Turn != "" {
		t.Errorf("a plain student's turn %q", plain.Turn)
	}
	if calls := textOf(&row, datasets.Plain{}); calls.Turn == "" {
		t.Error("calls of tools are lost")
	}
}

// crossed is a recipe whose students have another tokenizer than the teacher.
const crossed = `version: 1
name: crossed
seed: 4
stages:
  data: {kind: dataset, files: ROWS, columns: {prompt: text, response: label}, split: {test: 0.2}}
  tok: {kind: tokenizer, on: data.train, vocab_size: 300}
  other: {kind: tokenizer, on: data.train, vocab_size: 270}
  big: {kind: train, new: SIZE, tokenizer: tok, on: data.train, batch: {rows: 4, length: 64}, steps: 30, learning_rate: 0.01}
  said: {kind: answers, teacher: big, from: data.train, top_k: 4, max_tokens: 4, pieces: true}
  bare: {kind: answers, teacher: big, from: data.train, top_k: 4, max_tokens: 4}
  uld: {kind: train, new: SIZE, tokenizer: other, on: said, distill: {divergence: uld}, batch: {rows: 4, length: 64}, steps: 4}
  plain: {kind: train, new: SIZE, tokenizer: other, on: said, batch: {rows: 4, length: 64}, steps: 4}
  exact: {kind: train, new: SIZE, tokenizer: other, on: said, distill: {min_coverage: 0.999}, batch: {rows: 4, length: 64}, steps: 4}
  blind: {kind: train, new: SIZE, tokenizer: other, on: bare, distill: {}, batch: {rows: 4, length: 64}, steps: 4}
`

func TestTrainingAcrossTokenizers(t *testing.T) {
	text := strings.NewReplacer("ROWS", rowsFile(t, 30, 30), "SIZE", tinySize).Replace(crossed)
	r, err := Parse("crossed.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	record, store := runStages(t, r, "uld", "plain")
	weights := map[string][]byte{}
	for _, s := range record.Stages {
		if s.Name != "uld" && s.Name != "plain" {
			continue
		}
		a, err := store.Artifact(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if weights[s.Name], err = os.ReadFile(filepath.Join(a.Dir, modelDir, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
	}
	if len(weights["uld"]) == 0 || slices.Equal(weights["uld"], weights["plain"]) {
		t.Error("the teacher's probabilities change nothing")
	}
	for stage, want := range map[string]string{"exact": "less than min_coverage 0.999", "blind": "set pieces: true of the answers stage"} {
		_, err := pipeline.Run(t.Context(), store, r.Pipeline(store.Dir()), pipeline.Options{Targets: []string{stage}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "divergence: uld") {
			t.Errorf("%s: %v, want %q", stage, err, want)
		}
	}
	for set, want := range map[string]string{
		"bare.top_k=0":                   "keeps no probabilities",
		"said.top_k=0":                   "stages.said.pieces: there is nothing to keep",
		"uld.distill.beta=0.5":           "stages.uld.distill.beta: only divergence jsd",
		"uld.distill.min_coverage=2":     "stages.uld.distill.min_coverage: 2",
		"uld.distill.divergence=wavelet": "jsd or uld",
	} {
		if _, err := Parse("crossed.yaml", []byte(text), set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
}
