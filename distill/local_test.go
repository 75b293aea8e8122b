package distill_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/distill/teachertest"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
)

// letters is a tokenizer of a to z as 3 to 28, a space as 29; 1 begins, 2 ends.
type letters struct{}

func (letters) Encode(text string, _ bool) []int32 {
	var ids []int32
	for _, c := range text {
		if c == ' ' {
			ids = append(ids, 29)
		} else {
			ids = append(ids, c-'a'+3)
		}
	}
	return ids
}

func (letters) Decode(ids []int32, skipSpecial bool) string {
	var b strings.Builder
	for _, id := range ids {
		switch {
		case id == 29:
			b.WriteByte(' ')
		case id >= 3:
			b.WriteByte(byte(id - 3 + 'a'))
		case !skipSpecial:
			fmt.Fprintf(&b, "<%d>", id)
		}
	}
	return b.String()
}

func (letters) Hash() string { return "letters" }

const vocabulary = 30

func tinyModel(t *testing.T, seed uint64) *model.Model {
	t.Helper()
	m, err := model.New(cpu.New(1), model.Config{
		ModelType: "llama", HiddenSize: 16, IntermediateSize: 24, NumHiddenLayers: 2, NumAttentionHeads: 2, NumKeyValueHeads: 1,
		HeadDim: 8, MaxPositionEmbeddings: 48, RopeTheta: 10000, InitializerRange: 0.6, RMSNormEps: 1e-5, HiddenAct: "silu",
		BOS: 1, EOS: []int32{2}, PAD: -1, VocabSize: vocabulary,
	}, rand.New(rand.NewPCG(seed, 0)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func localTeacher(t *testing.T, f distill.LocalFormat) *distill.LocalTeacher {
	t.Helper()
	teacher, err := distill.NewLocalTeacher(tinyModel(t, 5), "weights", letters{}, f)
	if err != nil {
		t.Fatal(err)
	}
	return teacher
}

var (
	plain   = distill.LocalFormat{BOS: 1, Stop: []int32{2}, Batch: 4}
	prompts = []string{"hello there", "what", "a much longer prompt", "cat", "dog", "horse"}
)

// after begins every answer with a text.
type after struct {
	datasets.Plain
	text string
}

func (a after) Response(text string) (string, error) { return a.text + text, nil }
func (a after) Answer(response string) string        { return strings.TrimPrefix(response, a.text) }
func (a after) ID() string                           { return "after " + a.text }

func TestLocalTeacherIsATeacher(t *testing.T) {
	for name, f := range map[string]distill.LocalFormat{
		"plain":      plain,
		"one by one": {BOS: -1, Writer: after{text: " "}, Stop: []int32{2, 0}, Batch: 1},
	} {
		t.Run(name, func(t *testing.T) {
			teachertest.Run(t, teachertest.Suite{
				New:     func(t *testing.T) distill.Teacher { return localTeacher(t, f) },
				Prompts: prompts, TopK: 5, Scores: true, Samples: true,
			})
		})
	}
}

// ask returns the answers, in order.
func ask(t *testing.T, teacher distill.Teacher, requests ...distill.Request) []distill.Answer {
	t.Helper()
	answers := make([]distill.Answer, len(requests))
	err := teacher.Answer(t.Context(), slices.All(requests), func(i int, a distill.Answer) error {
		answers[i] = a
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

func TestLocalTeacherSaysWhatTheModelSays(t *testing.T) {
	m := tinyModel(t, 5)
	for _, p := range prompts {
		prompt := append([]int32{1}, letters{}.Encode(p, false)...)
		var want model.Answer
		o := model.GenerateOptions{MaxTokens: 9, Stop: []int32{2}, TopK: 4}
		err := model.NewDecoder(m).Generate(t.Context(), [][]int32{prompt}, o, func(_ int, a model.Answer) error {
			want = a
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got := ask(t, localTeacher(t, plain), distill.Request{Prompt: p, MaxTokens: 9, TopK: 4})[0]
		if !slices.Equal(got.Tokens, want.Tokens) || got.PromptTokens != len(prompt) || got.Text != (letters{}).Decode(want.Tokens, true) {
			t.Errorf("%q: %d prompt tokens, answer %v %q, want %d, %v", p, got.PromptTokens, got.Tokens, got.Text, len(prompt), want.Tokens)
		}
	}
}

// What a teacher generated, given back to it, has the same probabilities.
func TestScoresAreThoseOfGeneration(t *testing.T) {
	m := tinyModel(t, 5)
	for _, separator := range []string{"", " ", "zz"} {
		teacher, err := distill.NewLocalTeacher(m, "w", letters{}, distill.LocalFormat{BOS: 1, Writer: after{text: separator}, Stop: []int32{2}})
		if err != nil {
			t.Fatal(err)
		}
		a := ask(t, teacher, distill.Request{Prompt: "hello", Given: new("abc"), TopK: vocabulary})[0]
		want := append(letters{}.Encode(separator+"abc", false), 2)
		if !slices.Equal(a.Tokens, want) || a.PromptTokens != 6 {
			t.Fatalf("separator %q: tokens %v after %d, want %v after 6", separator, a.Tokens, a.PromptTokens, want)
		}
		for j, top := range a.Top {
			prompt := "hello" + letters{}.Decode(want[:j], true)
			step := ask(t, teacher, distill.Request{Prompt: prompt, MaxTokens: 1, TopK: vocabulary})[0].Top[0]
			for n, id := range step.IDs {
				at := slices.Index(top.IDs, id)
				if d := top.LogProbs[at] - step.LogProbs[n]; !(d < 1e-4 && d > -1e-4) {
					t.Fatalf("separator %q: token %d: log-probability of %d is %v, generating it was %v", separator, j, id, top.LogProbs[at], step.LogProbs[n])
				}
			}
			if at := slices.Index(top.IDs, want[j]); a.LogProbs[j] != top.LogProbs[at] {
				t.Errorf("token %d has %v, among the alternatives %v", j, a.LogProbs[j], top.LogProbs[at])
			}
		}
	}
}

// forced is a teacher whose every token ends an answer.
func TestAnswersThatAreEmptyOrBeginWithTheSeparator(t *testing.T) {
	m := tinyModel(t, 5)
	first := ask(t, localTeacher(t, plain), distill.Request{Prompt: "cat", MaxTokens: 4})[0]
	if len(first.Tokens) != 4 {
		t.Fatalf("the tiny model ends its answer: %v", first.Tokens)
	}
	text := letters{}.Decode(first.Tokens, true)
	teacher := func(f distill.LocalFormat) distill.Answer {
		l, err := distill.NewLocalTeacher(m, "w", letters{}, f)
		if err != nil {
			t.Fatal(err)
		}
		return ask(t, l, distill.Request{Prompt: "cat", MaxTokens: 4})[0]
	}
	if a := teacher(distill.LocalFormat{BOS: 1, Stop: []int32{2, first.Tokens[0]}}); a.Finish != distill.FinishEmpty || a.Text != "" || len(a.Tokens) != 1 {
		t.Errorf("an answer that ends at once: %+v", a)
	}
	if a := teacher(distill.LocalFormat{BOS: 1, Stop: []int32{2}, Writer: after{text: text[:1]}}); a.Text != text[1:] || a.Finish != distill.FinishLength {
		t.Errorf("an answer after the separator %q: %+v", text[:1], a)
	}
}

func TestLocalTeacherIdentity(t *testing.T) {
	m := tinyModel(t, 5)
	seen := map[string]string{}
	for name, make := range map[string]func() (*distill.LocalTeacher, error){
		"plain":     func() (*distill.LocalTeacher, error) { return distill.NewLocalTeacher(m, "a", letters{}, plain) },
		"weights":   func() (*distill.LocalTeacher, error) { return distill.NewLocalTeacher(m, "b", letters{}, plain) },
		"tokenizer": func() (*distill.LocalTeacher, error) { return distill.NewLocalTeacher(m, "a", capitals{}, plain) },
		"no begin": func() (*distill.LocalTeacher, error) {
			return distill.NewLocalTeacher(m, "a", letters{}, distill.LocalFormat{BOS: -1, Stop: []int32{2}})
		},
		"two ends": func() (*distill.LocalTeacher, error) {
			return distill.NewLocalTeacher(m, "a", letters{}, distill.LocalFormat{BOS: 1, Stop: []int32{2, 3}})
		},
		"separator": func() (*distill.LocalTeacher, error) {
			return distill.NewLocalTeacher(m, "a", letters{}, distill.LocalFormat{BOS: 1, Stop: []int32{2}, Writer: after{text: " "}})
		},
	} {
		teacher, err := make()
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[teacher.Identity()]; ok {
			t.Errorf("%s and %s have one identity", name, other)
		}
		seen[teacher.Identity()] = name
	}
	// How many are under way at a time changes no answer.
	one, err := distill.NewLocalTeacher(m, "a", letters{}, distill.LocalFormat{BOS: 1, Stop: []int32{2}, Batch: 1})
	if err != nil || seen[one.Identity()] != "plain" {
		t.Errorf("the batch is part of the identity, or error %v", err)
	}
}

type capitals struct{ letters }

func (capitals) Hash() string { return "capitals" }

func TestLocalTeacherRefuses(t *testing.T) {
	m := tinyModel(t, 5)
	for _, c := range []struct {
		name, id string
		format   distill.LocalFormat
		want     string
	}{
		{"no id", "", plain, "no id"},
		{"no stop", "w", distill.LocalFormat{BOS: 1}, "no token ends"},
		{"stop outside", "w", distill.LocalFormat{BOS: 1, Stop: []int32{30}}, "stop: token id 30"},
		{"begin outside", "w", distill.LocalFormat{BOS: -2, Stop: []int32{2}}, "begin: token id -2"},
		{"batch", "w", distill.LocalFormat{BOS: 1, Stop: []int32{2}, Batch: -1}, "batch: -1"},
	} {
		if _, err := distill.NewLocalTeacher(m, c.id, letters{}, c.format); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	bare := distill.LocalFormat{BOS: -1, Stop: []int32{2}}
	long := strings.Repeat("abcdefgh", 8)
	for _, c := range []struct {
		name    string
		format  distill.LocalFormat
		request distill.Request
		want    string
	}{
		{"empty prompt", bare, distill.Request{}, `prompt "": 0 tokens: want 1 to 47`},
		{"long prompt", plain, distill.Request{Prompt: long}, `65 tokens: want 1 to 47`},
		{"long given", plain, distill.Request{Prompt: "a", Given: &long}, `67 tokens with the given response`},
		{"alternatives", plain, distill.Request{Prompt: "a", TopK: vocabulary + 1}, "top_k: 31: the teacher's vocabulary has 30 tokens"},
		{"sampling", plain, distill.Request{Prompt: "a", Sampling: model.Sampling{Temperature: -1}}, "temperature: -1"},
	} {
		calls := 0
		requests := []distill.Request{{Prompt: "cat"}, c.request}
		err := localTeacher(t, c.format).Answer(t.Context(), slices.All(requests), func(int, distill.Answer) error {
			calls++
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), c.want) || calls != 0 {
			t.Errorf("%s: error %v after %d answers, want %q before the first", c.name, err, calls, c.want)
		}
	}
}
