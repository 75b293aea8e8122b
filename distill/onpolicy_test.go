package distill_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
)

// spacious are sequences whose answers have room for 6 tokens, of which only
// the first are learned.
func spacious(t *testing.T) datasets.Batch {
	t.Helper()
	var list []datasets.Sequence
	for i, text := range []string{"ab c", "hello", "x"} {
		prompt := append([]int32{1}, letters{}.Encode(text, false)...)
		list = append(list, datasets.Sequence{Tokens: append(slices.Clone(prompt), 7, 8, 2, 2, 2, 2), PromptLen: len(prompt), Example: i})
	}
	batches, err := datasets.NewBatches(list, datasets.BatchOptions{Rows: 2, Length: 24, PromptWeight: 0.25, ResponseWeight: 1, InOrder: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := batches.At(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for at, offset := range b.Offset {
		if offset > 2 {
			b.Weights[at] = 0 // 2 2 2 is room, not answer
		}
	}
	return b
}

func onPolicy(t *testing.T, student, teacher *model.Model, o distill.OnPolicyOptions) *distill.OnPolicy {
	t.Helper()
	p, err := distill.NewOnPolicy(student, teacher, []int32{2}, o, distill.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answersOf lists the prompt and the answer of every example of b.
func answersOf(b datasets.Batch) (prompts, answers [][]int32) {
	for at := range b.Tokens {
		if b.Segments[at] == 0 {
			continue
		}
		if b.Positions[at] == 0 {
			prompts, answers = append(prompts, nil), append(answers, nil)
		}
		last := len(prompts) - 1
		if b.Offset[at] >= 0 {
			answers[last] = append(answers[last], b.Targets[at])
		}
		if len(answers[last]) <= 1 {
			prompts[last] = append(prompts[last], b.Tokens[at])
		}
	}
	return prompts, answers
}

func TestOnPolicyAnswersAreTheStudents(t *testing.T) {
	b := spacious(t)
	student := tinyModel(t, 5)
	p := onPolicy(t, student, tinyModel(t, 6), distill.OnPolicyOptions{TopK: vocabulary})
	written, _, err := p.Write(t.Context(), b, 3)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(b, spacious(t)) {
		t.Error("the batch that was given is changed")
	}
	prompts, answers := answersOf(written)
	if len(prompts) != 3 {
		t.Fatalf("%d examples, want 3", len(prompts))
	}
	err = model.NewDecoder(student).Generate(t.Context(), prompts, model.GenerateOptions{MaxTokens: 6, Stop: []int32{2}}, func(i int, a model.Answer) error {
		if !slices.Equal(answers[i], a.Tokens) {
			t.Errorf("example %d: answer %v, the student's is %v", i, answers[i], a.Tokens)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Tokens repeat the targets, prompts keep their weights, the rest is padding.
	for at := range written.Tokens {
		if target := written.Targets[at]; target >= 0 && written.Offset[at] >= 0 && at+1 < len(written.Tokens) && written.Segments[at+1] == written.Segments[at] &&
			written.Tokens[at+1] != target {
			t.Errorf("place %d: target %d, and the next token is %d", at, target, written.Tokens[at+1])
		}
		if written.Segments[at] == 0 && (written.Weights[at] != 0 || written.Targets[at] != -1 || written.Example[at] != -1) {
			t.Errorf("place %d: padding with weight %v, target %d, example %d", at, written.Weights[at], written.Targets[at], written.Example[at])
		}
	}
}

// loss is the objective's, with the student's logits as the decoder gives them.
func onPolicyLoss(t *testing.T, student *model.Model, b datasets.Batch, o *distill.Objective) (float64, float64) {
	t.Helper()
	d := model.NewDecoder(student)
	var sum, steepest float64
	for at := 0; at < len(b.Tokens); {
		to := at + 1
		for to < len(b.Tokens) && to%b.T != 0 && b.Segments[to] == b.Segments[at] {
			to++
		}
		if b.Segments[at] != 0 {
			h, err := d.Step([]model.Run{{Cache: d.NewCache(to - at), Tokens: b.Tokens[at:to]}})
			if err != nil {
				t.Fatal(err)
			}
			var rows, local []int32
			for i := at; i < to; i++ {
				if b.Targets[i] >= 0 && b.Offset[i] >= 0 {
					rows, local = append(rows, int32(i)), append(local, int32(i-at))
				}
			}
			loss, err := o.RowLoss(b, rows)
			if err != nil {
				t.Fatal(err)
			}
			logits := d.Logits(h, local)
			s, err := loss(student.Device(), logits, 0, len(rows))
			if err != nil {
				t.Fatal(err)
			}
			sum += s
			for i := range rows {
				for _, g := range hostRow(student, logits, i) {
					steepest = max(steepest, math.Abs(float64(g)))
				}
			}
		}
		at = to
	}
	return sum, steepest
}

func hostRow(m *model.Model, x compute.Mat, i int) []float32 {
	return m.Device().Host(x.RowRange(i, i+1))
}

func TestOnPolicyOfTheTeacherItselfTeachesNothing(t *testing.T) {
	student := tinyModel(t, 5)
	for _, share := range []float64{0, 0.5, 1} {
		p := onPolicy(t, student, tinyModel(t, 5), distill.OnPolicyOptions{Share: new(share), TopK: vocabulary, Sampling: model.Sampling{Temperature: 1}})
		b, objective, err := p.Write(t.Context(), spacious(t), 9)
		if err != nil {
			t.Fatal(err)
		}
		if loss, slope := onPolicyLoss(t, student, b, objective); !(math.Abs(loss) < 1e-5 && slope < 1e-5) {
			t.Errorf("share %v: loss %v with a slope of %v, want none", share, loss, slope)
		}
		other := onPolicy(t, student, tinyModel(t, 6), distill.OnPolicyOptions{Share: new(share), TopK: vocabulary})
		if b, objective, err = other.Write(t.Context(), spacious(t), 9); err != nil {
			t.Fatal(err)
		}
		if loss, _ := onPolicyLoss(t, student, b, objective); !(loss > 0.1) {
			t.Errorf("share %v: another teacher's loss is %v", share, loss)
		}
	}
}

func TestOnPolicyDraws(t *testing.T) {
	student, teacher := tinyModel(t, 5), tinyModel(t, 6)
	write := func(share float64, key uint64) [][]int32 {
		p := onPolicy(t, student, teacher, distill.OnPolicyOptions{Share: new(share), Sampling: model.Sampling{Temperature: 2}, TopK: 3})
		b, _, err := p.Write(t.Context(), spacious(t), key)
		if err != nil {
			t.Fatal(err)
		}
		_, answers := answersOf(b)
		return answers
	}
	given := [][]int32{{7, 8, 2}, {7, 8, 2}, {7, 8, 2}}
	if got := write(0, 1); !reflect.DeepEqual(got, given) {
		t.Errorf("share 0: answers %v, want those given, %v", got, given)
	}
	if a, b := write(1, 1), write(1, 1); !reflect.DeepEqual(a, b) {
		t.Errorf("one key: answers %v, then %v", a, b)
	}
	if a, b := write(1, 1), write(1, 2); reflect.DeepEqual(a, b) {
		t.Errorf("two keys: both times %v", a)
	}
	kept := 0
	for key := range uint64(100) {
		for _, a := range write(0.5, key) {
			if slices.Equal(a, given[0]) {
				kept++
			}
		}
	}
	if kept < 110 || kept > 190 {
		t.Errorf("share 0.5: %d of 300 answers are those given", kept)
	}
}

func TestOnPolicyRefuses(t *testing.T) {
	student, teacher := tinyModel(t, 5), tinyModel(t, 6)
	for want, o := range map[string]distill.OnPolicyOptions{
		"share: 2":         {Share: new(2.0)},
		"top_k: -1":        {TopK: -1},
		"max_tokens: -3":   {MaxTokens: -3},
		"temperature: -1":  {Sampling: model.Sampling{Temperature: -1}},
		"top_k: 64: the s": {},
	} {
		if _, err := distill.NewOnPolicy(student, teacher, []int32{2}, o, distill.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
