package distill_test

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/distill/teachertest"
	"github.com/retort-ml/retort/internal/model"
)

// echo is a teacher that repeats the prompt, and counts what it is asked.
type echo struct {
	name   string
	asked  map[string]int
	before func(prompt string) error
}

func newEcho(name string) *echo { return &echo{name: name, asked: map[string]int{}} }

func (e *echo) Identity() string { return e.name }

func (e *echo) Answer(ctx context.Context, asked iter.Seq2[int, distill.Request], done func(int, distill.Answer) error) error {
	var requests []distill.Request
	for _, r := range asked {
		requests = append(requests, r)
	}
	for j := range requests {
		i := len(requests) - 1 - j // any order will do
		if err := ctx.Err(); err != nil {
			return err
		}
		r := requests[i]
		if e.before != nil {
			if err := e.before(r.Prompt); err != nil {
				return err
			}
		}
		e.asked[r.Prompt]++
		a := distill.Answer{Text: r.Prompt, Usage: distill.Usage{PromptTokens: len(r.Prompt)}, Finish: distill.FinishStop}
		for n := range min(len(r.Prompt), r.MaxTokens) {
			a.Tokens = append(a.Tokens, int32(r.Prompt[n]))
		}
		a.AnswerTokens = len(a.Tokens)
		if len(a.Tokens) < len(r.Prompt) {
			a.Finish = distill.FinishLength
		}
		if err := done(i, a); err != nil {
			return err
		}
	}
	return nil
}

func TestEchoIsATeacher(t *testing.T) {
	teachertest.Run(t, teachertest.Suite{
		New: func(*testing.T) distill.Teacher { return newEcho("echo") }, Prompts: prompts,
	})
}

func asRequests(prompts ...string) []distill.Request {
	var list []distill.Request
	for _, p := range prompts {
		list = append(list, distill.Request{Prompt: p, MaxTokens: 100})
	}
	return list
}

func texts(answers []distill.Answer) string {
	var list []string
	for _, a := range answers {
		list = append(list, a.Text)
	}
	return strings.Join(list, " ")
}

// given are requests as Collect takes them.
func given(requests []distill.Request) iter.Seq2[distill.Request, error] {
	return func(yield func(distill.Request, error) bool) {
		for _, r := range requests {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// each are the answers that the store has, in the order of the requests.
func each(t *testing.T, s *distill.Store, teacher string, requests []distill.Request) []distill.Answer {
	t.Helper()
	var list []distill.Answer
	for a, err := range s.Each(t.Context(), teacher, given(requests)) {
		if err != nil || a.Index != len(list) || a.Request.Prompt != requests[a.Index].Prompt {
			t.Fatalf("answer %d is %+v, error %v", len(list), a, err)
		}
		list = append(list, a.Answer)
	}
	return list
}

func tally(answers, prompt, answer int) distill.Tally {
	return distill.Tally{Answers: answers, Usage: distill.Usage{PromptTokens: prompt, AnswerTokens: answer}}
}

func TestCollect(t *testing.T) {
	store := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	teacher := newEcho("echo")
	steps := []struct {
		prompts []string
		want    distill.Stats
	}{
		{nil, distill.Stats{}},
		{[]string{"a", "bb", "a", "ccc", "a"}, distill.Stats{Requests: 5, Fresh: tally(3, 6, 6), Repeated: 2}},
		{[]string{"ccc", "dd", "bb", "ccc"}, distill.Stats{Requests: 4, Cached: tally(2, 5, 5), Fresh: tally(1, 2, 2), Repeated: 1}},
		{[]string{"bb", "a"}, distill.Stats{Requests: 2, Cached: tally(2, 3, 3)}},
	}
	for _, s := range steps {
		last := 0
		stats, err := distill.Collect(t.Context(), store, teacher, given(asRequests(s.prompts...)), func(done int) {
			if done <= last {
				t.Errorf("progress %d after %d", done, last)
			}
			last = done
		})
		answers := texts(each(t, store, "echo", asRequests(s.prompts...)))
		if err != nil || !reflect.DeepEqual(stats, s.want) || answers != strings.Join(s.prompts, " ") || last != len(s.prompts) {
			t.Errorf("%v: answers %q, %+v, error %v, progress %d", s.prompts, answers, stats, err, last)
		}
	}
	for p, n := range teacher.asked {
		if n != 1 {
			t.Errorf("%q was asked %d times", p, n)
		}
	}
	// Another teacher's answers are others.
	if stats, err := distill.Collect(t.Context(), store, newEcho("other"), given(asRequests("a")), nil); err != nil || stats.Fresh.Answers != 1 {
		t.Errorf("another teacher: %+v, %v", stats, err)
	}
}

func TestCollectGoesOnAfterAnError(t *testing.T) {
	store := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	teacher := newEcho("echo")
	broken := errors.New("the line is cut")
	teacher.before = func(p string) error {
		if p == "b" {
			return broken
		}
		return nil
	}
	requests := asRequests("a", "b", "c", "d")
	stats, err := distill.Collect(t.Context(), store, teacher, given(requests), nil)
	if !errors.Is(err, broken) || stats.Fresh.Answers != 2 || !strings.Contains(err.Error(), "echo") {
		t.Fatalf("%+v, error %v", stats, err)
	}
	if list := each(t, store, "echo", requests); list[0].Finish != distill.FinishFailed || list[2].Text != "c" {
		t.Errorf("answers %+v", list)
	}
	teacher.before = nil
	if stats, err = distill.Collect(t.Context(), store, teacher, given(requests), nil); err != nil || stats.Cached.Answers != 2 || stats.Fresh.Answers != 2 {
		t.Errorf("after the error: %+v, %v", stats, err)
	}
	if got := texts(each(t, store, "echo", requests)); got != "a b c d" {
		t.Errorf("answers %q", got)
	}
}

func TestCollectRefuses(t *testing.T) {
	store := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	requests := append(asRequests("a"), distill.Request{TopK: -1})
	stats, err := distill.Collect(t.Context(), store, newEcho("e"), given(requests), nil)
	if err == nil || !strings.Contains(err.Error(), "request 1: top_k: -1") || stats.Fresh.Answers != 1 {
		t.Errorf("%+v, error %v: want the answer before the fault", stats, err)
	}
	unreadable := errors.New("row 1: damaged")
	_, err = distill.Collect(t.Context(), store, newEcho("e"), func(yield func(distill.Request, error) bool) {
		_ = yield(asRequests("b")[0], nil) && yield(distill.Request{}, unreadable)
	}, nil)
	if !errors.Is(err, unreadable) || each(t, store, "e", asRequests("b"))[0].Text != "b" {
		t.Errorf("unreadable requests: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := distill.Collect(ctx, store, newEcho("e"), given(asRequests("z")), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := distill.Collect(t.Context(), store, newEcho("e"), given(asRequests("a")), nil); err == nil || !strings.Contains(err.Error(), store.Path()) {
		t.Errorf("a closed store: %v", err)
	}
	open := openStore(t, store.Path())
	if _, err := distill.Collect(t.Context(), open, lazy{}, given(asRequests("a")), nil); err == nil || !strings.Contains(err.Error(), "left 1 of 1") {
		t.Errorf("a teacher that answers nothing: %v", err)
	}
}

type lazy struct{}

func (lazy) Identity() string { return "lazy" }

func (lazy) Answer(_ context.Context, requests iter.Seq2[int, distill.Request], _ func(int, distill.Answer) error) error {
	for range requests {
	}
	return nil
}

func TestCollectFromALocalTeacher(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	var requests []distill.Request
	for i, p := range prompts {
		requests = append(requests, distill.Request{Prompt: p, MaxTokens: 5, TopK: 3},
			distill.Request{Prompt: p, MaxTokens: 5, Seed: uint64(i), Sampling: model.Sampling{Temperature: 1}})
	}
	teacher := localTeacher(t, plain)
	var runs [][]distill.Answer
	for n := range 2 {
		store := openStore(t, path)
		stats, err := distill.Collect(t.Context(), store, teacher, given(requests), nil)
		if err != nil || stats.Fresh.Answers != (1-n)*len(requests) || stats.Cached.Answers != n*len(requests) {
			t.Fatalf("run %d: %+v, %v", n, stats, err)
		}
		runs = append(runs, each(t, store, teacher.Identity(), requests))
	}
	if !reflect.DeepEqual(runs[0], runs[1]) || runs[0][0].Finish == distill.FinishFailed {
		t.Error("the answers differ")
	}
}
