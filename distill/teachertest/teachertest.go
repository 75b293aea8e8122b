// Package teachertest tests that a distill.Teacher is one: every
// implementation runs Run in its own tests.
package teachertest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/model"
)

// Suite says what is tested.
type Suite struct {
	New     func(t *testing.T) distill.Teacher // equal teachers, made anew
	Prompts []string                           // at least three different ones, with answers longer than one token
	TopK    int                                // alternatives that the teacher can return; 0 means it returns none
	Scores  bool                               // the teacher scores given responses
	Samples bool                               // the teacher's sampling follows from the seed
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s Suite)
	}{
		{"Identity", testIdentity}, {"Nothing", testNothing}, {"EveryRequestOnce", testEveryRequestOnce},
		{"Repeatable", testRepeatable}, {"Company", testCompany}, {"Length", testLength},
		{"Alternatives", testAlternatives}, {"Sampling", testSampling}, {"Given", testGiven},
		{"Canceled", testCanceled}, {"CanceledMidway", testCanceledMidway}, {"DoneFails", testDoneFails},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

const maxTokens = 6

func (s Suite) requests() []distill.Request {
	var list []distill.Request
	for _, p := range s.Prompts {
		list = append(list, distill.Request{Prompt: p, MaxTokens: maxTokens, TopK: s.TopK})
	}
	return list
}

// ask collects the answers, and fails if one comes twice, late, or not at all.
func ask(t *testing.T, teacher distill.Teacher, requests []distill.Request) []distill.Answer {
	t.Helper()
	answers, got := make([]distill.Answer, len(requests)), make([]int, len(requests))
	var inside, over atomic.Bool
	err := teacher.Answer(t.Context(), slices.All(requests), func(i int, a distill.Answer) error {
		if inside.Swap(true) {
			t.Error("done is called twice at the same time")
		}
		if over.Load() {
			t.Error("done is called after Answer returned")
		}
		if i < 0 || i >= len(requests) {
			return fmt.Errorf("done gets answer %d of %d", i, len(requests))
		}
		got[i]++
		answers[i] = a
		inside.Store(false)
		return nil
	})
	over.Store(true)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range got {
		if n != 1 {
			t.Errorf("request %d was answered %d times", i, n)
		}
	}
	for i := range answers {
		if a := &answers[i]; a.Latency < 0 {
			t.Errorf("request %d took %v", i, a.Latency)
		} else {
			a.Latency = 0 // not comparable
		}
	}
	return answers
}

func same(t *testing.T, what string, got, want distill.Answer) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: answer %+v, want %+v", what, got, want)
	}
}

func testIdentity(t *testing.T, s Suite) {
	a, b := s.New(t), s.New(t)
	if a.Identity() == "" || a.Identity() != a.Identity() || a.Identity() != b.Identity() {
		t.Errorf("identities %q and %q of equal teachers", a.Identity(), b.Identity())
	}
}

func testNothing(t *testing.T, s Suite) { ask(t, s.New(t), nil) }

func testEveryRequestOnce(t *testing.T, s Suite) {
	for i, a := range ask(t, s.New(t), s.requests()) {
		if a.Finish != distill.FinishStop && a.Finish != distill.FinishLength && a.Finish != distill.FinishEmpty {
			t.Errorf("request %d: finish %q", i, a.Finish)
		}
		if a.PromptTokens < 1 {
			t.Errorf("request %d: %d prompt tokens", i, a.PromptTokens)
		}
	}
}

func testRepeatable(t *testing.T, s Suite) {
	teacher := s.New(t)
	first, again, other := ask(t, teacher, s.requests()), ask(t, teacher, s.requests()), ask(t, s.New(t), s.requests())
	for i := range first {
		same(t, "asked again", again[i], first[i])
		same(t, "another teacher", other[i], first[i])
	}
}

// testCompany asks the same in other company: alone, in reverse, with
// repetitions and requests of other lengths between.
func testCompany(t *testing.T, s Suite) {
	teacher, requests := s.New(t), s.requests()
	want := ask(t, teacher, requests)
	var mixed []distill.Request
	for i := range requests {
		r := requests[len(requests)-1-i]
		longer := r
		longer.MaxTokens++
		mixed = append(mixed, r, longer, r)
	}
	got := ask(t, teacher, mixed)
	for i := range requests {
		from := 3 * (len(requests) - 1 - i)
		same(t, "in reverse", got[from], want[i])
		same(t, "repeated", got[from+2], want[i])
		same(t, "alone", ask(t, teacher, requests[i:i+1])[0], want[i])
	}
}

func testLength(t *testing.T, s Suite) {
	requests := s.requests()
	for i := range requests {
		requests[i].MaxTokens = 1
	}
	for i, a := range ask(t, s.New(t), requests) {
		if a.Finish != distill.FinishLength || len(a.Tokens) > 1 {
			t.Errorf("request %d: %d tokens, finish %q: want 1 and length", i, len(a.Tokens), a.Finish)
		}
	}
}

func testAlternatives(t *testing.T, s Suite) {
	requests := s.requests()
	if s.TopK == 0 {
		t.Skip("the teacher returns no alternatives")
	}
	for i, a := range ask(t, s.New(t), requests) {
		checkTop(t, i, a, s.TopK)
		for j, top := range a.Top {
			if top.IDs[0] != a.Tokens[j] || top.LogProbs[0] != a.LogProbs[j] {
				t.Errorf("request %d: greedy token %d is %d (%v), the likeliest %d (%v)", i, j, a.Tokens[j], a.LogProbs[j], top.IDs[0], top.LogProbs[0])
			}
		}
	}
	for i := range requests {
		requests[i].TopK = 0
	}
	for i, a := range ask(t, s.New(t), requests) {
		if len(a.Top) != 0 {
			t.Errorf("request %d: %d alternatives that nobody asked for", i, len(a.Top))
		}
	}
}

func checkTop(t *testing.T, i int, a distill.Answer, k int) {
	t.Helper()
	if len(a.Tokens) == 0 || len(a.Top) != len(a.Tokens) || len(a.LogProbs) != len(a.Tokens) {
		t.Fatalf("request %d: %d tokens, %d log-probabilities, alternatives for %d", i, len(a.Tokens), len(a.LogProbs), len(a.Top))
	}
	if err := distill.NewTopTable(k).Append(a.Top); err != nil {
		t.Errorf("request %d: %v", i, err)
	}
	for j, top := range a.Top {
		if len(top.IDs) != k {
			t.Fatalf("request %d: %d alternatives of token %d, want %d", i, len(top.IDs), j, k)
		}
		for n := range top.LogProbs[1:] {
			if !(top.LogProbs[n] >= top.LogProbs[n+1]) {
				t.Errorf("request %d: alternatives of token %d are not in order: %v", i, j, top.LogProbs)
			}
		}
	}
}

func testSampling(t *testing.T, s Suite) {
	if !s.Samples {
		t.Skip("the teacher's sampling does not follow from the seed")
	}
	var requests []distill.Request
	for seed := range uint64(8) {
		requests = append(requests, distill.Request{Prompt: s.Prompts[0], MaxTokens: maxTokens, Seed: seed,
			Sampling: model.Sampling{Temperature: 2}})
	}
	requests = append(requests, requests[3])
	first, again := ask(t, s.New(t), requests), ask(t, s.New(t), requests[2:])
	differ := false
	for i := range first {
		if i >= 2 {
			same(t, "same seed", again[i-2], first[i])
		}
		differ = differ || first[i].Text != first[0].Text
	}
	same(t, "repeated", first[8], first[3])
	if !differ {
		t.Error("eight seeds gave one answer")
	}
}

// testGiven scores what the teacher itself answered, with and without greed.
func testGiven(t *testing.T, s Suite) {
	if !s.Scores {
		t.Skip("the teacher does not score")
	}
	teacher, requests := s.New(t), s.requests()
	for i := range requests {
		requests[i].Given = new(s.Prompts[len(s.Prompts)-1-i])
		requests[i].TopK = i % 2 * s.TopK
	}
	for i, a := range ask(t, teacher, requests) {
		if a.Finish != distill.FinishGiven || a.Text != *requests[i].Given {
			t.Errorf("request %d: %q, finish %q", i, a.Text, a.Finish)
		}
		if k := requests[i].TopK; k > 0 {
			checkTop(t, i, a, k)
		} else if len(a.Top) > 0 || len(a.LogProbs) != len(a.Tokens) {
			t.Errorf("request %d: %d alternatives, %d log-probabilities of %d tokens", i, len(a.Top), len(a.LogProbs), len(a.Tokens))
		}
		same(t, "alone", ask(t, teacher, requests[i:i+1])[0], a)
	}
}

func testCanceled(t *testing.T, s Suite) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.New(t).Answer(ctx, slices.All(s.requests()), func(int, distill.Answer) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("canceled before the start: error %v", err)
	}
}

func testCanceledMidway(t *testing.T, s Suite) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	requests := s.requests()
	for range 6 {
		requests = append(requests, requests...) // more than are under way at a time
	}
	n := 0
	err := s.New(t).Answer(ctx, slices.All(requests), func(int, distill.Answer) error {
		n++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || n == len(requests) {
		t.Errorf("canceled after the first answer: %d of %d answers, error %v", n, len(requests), err)
	}
}

func testDoneFails(t *testing.T, s Suite) {
	full := errors.New("disk full")
	n := 0
	err := s.New(t).Answer(t.Context(), slices.All(s.requests()), func(int, distill.Answer) error {
		n++
		return full
	})
	if !errors.Is(err, full) || n != 1 {
		t.Errorf("done failed: called %d times, error %v", n, err)
	}
}
