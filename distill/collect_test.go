package distill_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

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

func TestCollect(t *testing.T) {
	store := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	teacher := newEcho("echo")
	steps := []struct {
		prompts []string
		want    distill.Stats
	}{
		{nil, distill.Stats{}},
		{[]string{"a", "bb", "a", "ccc", "a"}, distill.Stats{Requests: 5, Fresh: 3, Repeated: 2, PromptTokens: 6, AnswerTokens: 6}},
		{[]string{"ccc", "dd", "bb", "ccc"}, distill.Stats{Requests: 4, Cached: 2, Fresh: 1, Repeated: 1, PromptTokens: 2, AnswerTokens: 2}},
		{[]string{"bb", "a"}, distill.Stats{Requests: 2, Cached: 2}},
	}
	for _, s := range steps {
		last := 0
		answers, stats, err := distill.Collect(t.Context(), store, teacher, asRequests(s.prompts...), func(done, total int) {
			if done <= last || total != len(s.prompts) {
				t.Errorf("progress %d of %d after %d", done, total, last)
			}
			last = done
		})
		if err != nil || stats != s.want || texts(answers) != strings.Join(s.prompts, " ") || last != len(s.prompts) {
			t.Errorf("%v: answers %q, %+v, error %v, progress %d", s.prompts, texts(answers), stats, err, last)
		}
	}
	for p, n := range teacher.asked {
		if n != 1 {
			t.Errorf("%q was asked %d times", p, n)
		}
	}
	// Another teacher's answers are others.
	if _, stats, err := distill.Collect(t.Context(), store, newEcho("other"), asRequests("a"), nil); err != nil || stats.Fresh != 1 {
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
	answers, stats, err := distill.Collect(t.Context(), store, teacher, requests, nil)
	if answers != nil || !errors.Is(err, broken) || stats.Fresh != 2 || !strings.Contains(err.Error(), "echo") {
		t.Fatalf("answers %v, %+v, error %v", answers, stats, err)
	}
	teacher.before = nil
	if answers, stats, err = distill.Collect(t.Context(), store, teacher, requests, nil); err != nil || stats.Cached != 2 || stats.Fresh != 2 || texts(answers) != "a b c d" {
		t.Errorf("after the error: %q, %+v, %v", texts(answers), stats, err)
	}
}

func TestCollectRefuses(t *testing.T) {
	store := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	requests := append(asRequests("a"), distill.Request{TopK: -1})
	if _, _, err := distill.Collect(t.Context(), store, newEcho("e"), requests, nil); err == nil || !strings.Contains(err.Error(), "request 1: top_k: -1") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := distill.Collect(ctx, store, newEcho("e"), asRequests("a"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := distill.Collect(t.Context(), store, newEcho("e"), asRequests("a"), nil); err == nil || !strings.Contains(err.Error(), store.Path()) {
		t.Errorf("a closed store: %v", err)
	}
	open := openStore(t, store.Path())
	if _, _, err := distill.Collect(t.Context(), open, lazy{}, asRequests("a"), nil); err == nil || !strings.Contains(err.Error(), "answered 0 of 1") {
		t.Errorf("a teacher that answers nothing: %v", err)
	}
}

type lazy struct{}

func (lazy) Identity() string { return "lazy" }

func (lazy) Answer(context.Context, iter.Seq2[int, distill.Request], func(int, distill.Answer) error) error {
	return nil
}

func TestCollectFromALocalTeacher(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	var requests []distill.Request
	for i, p := range prompts {
		requests = append(requests, distill.Request{Prompt: p, MaxTokens: 5, TopK: 3},
			distill.Request{Prompt: p, MaxTokens: 5, Seed: uint64(i), Sampling: model.Sampling{Temperature: 1}})
	}
	fresh, stats, err := distill.Collect(t.Context(), openStore(t, path), localTeacher(t, plain), requests, nil)
	if err != nil || stats.Fresh != len(requests) {
		t.Fatalf("%+v, %v", stats, err)
	}
	cached, stats, err := distill.Collect(t.Context(), openStore(t, path), localTeacher(t, plain), requests, nil)
	if err != nil || stats.Cached != len(requests) || !reflect.DeepEqual(cached, fresh) {
		t.Errorf("from the store: %+v, %v, or the answers differ", stats, err)
	}
}

const killed = 60 // requests of the collection that is killed

// TestKilledCollection kills a process that collects, again and again, at any
// moment. What it said was answered must be in the store, and must not be asked
// of the teacher again.
func TestKilledCollection(t *testing.T) {
	if store := os.Getenv("RETORT_TEST_COLLECT"); store != "" {
		collectUntilKilled(store)
		return
	}
	path := filepath.Join(t.TempDir(), "a.db")
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	acknowledged := map[string]bool{}
	finished := false
	kills := 0
	for ; !finished && kills < 200; kills++ {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledCollection$")
		cmd.Env = append(os.Environ(), "RETORT_TEST_COLLECT="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		timer := time.AfterFunc(time.Hour, func() { cmd.Process.Kill() })
		for lines.Scan() {
			switch verb, prompt, _ := strings.Cut(lines.Text(), " "); verb {
			case "begun":
				timer.Reset(time.Duration(rng.IntN(25_000)) * time.Microsecond)
			case "asked":
				if acknowledged[prompt] {
					t.Errorf("%q is asked again", prompt)
				}
			case "stored":
				acknowledged[prompt] = true
			case "error":
				t.Error(lines.Text())
			case "done":
				finished = true
			}
		}
		cmd.Wait() // killed, or done
		timer.Stop()
		store := openStore(t, path)
		for prompt := range acknowledged {
			key := asRequests(prompt)[0].Key("echo")
			found, err := store.Get(t.Context(), []distill.Key{key})
			if err != nil || found[key].Text != prompt {
				t.Fatalf("after %d kills: %q, which was stored, is %q: %v", kills+1, prompt, found[key].Text, err)
			}
		}
		store.Close()
	}
	var keys []distill.Key
	for i := range killed {
		keys = append(keys, asRequests(fmt.Sprint(i))[0].Key("echo"))
	}
	found, err := openStore(t, path).Get(t.Context(), keys)
	if err != nil || !finished || len(found) != killed {
		t.Errorf("%d of %d answers after %d processes, error %v", len(found), killed, kills, err)
	}
	t.Logf("%d processes", kills)
}

// collectUntilKilled is the process that is killed. It tells what happens as it happens.
func collectUntilKilled(path string) {
	ctx := context.Background()
	store, err := distill.OpenStore(ctx, path)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println("begun")
	teacher := newEcho("echo")
	asked := ""
	teacher.before = func(p string) error {
		asked = p
		fmt.Println("asked", p)
		time.Sleep(time.Millisecond)
		return nil
	}
	var requests []distill.Request
	for i := range killed {
		requests = append(requests, asRequests(fmt.Sprint(i))...)
	}
	_, _, err = distill.Collect(ctx, store, teacher, requests, func(int, int) {
		if asked != "" { // otherwise it was there before
			fmt.Println("stored", asked)
		}
	})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println("done")
}
