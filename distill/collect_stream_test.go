package distill_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/retort-ml/retort/distill"
)

// quick is a teacher that answers from many goroutines, without looking ahead.
type quick struct {
	width  int
	mu     sync.Mutex
	asked  map[string]int
	answer func(r distill.Request) distill.Answer
}

func newQuick(answer func(distill.Request) distill.Answer) *quick {
	return &quick{width: 16, asked: map[string]int{}, answer: answer}
}

func (*quick) Identity() string { return "quick" }

func (q *quick) Answer(ctx context.Context, requests iter.Seq2[int, distill.Request], done func(int, distill.Answer) error) error {
	next, stop := iter.Pull2(requests)
	defer stop()
	var failed error
	var give sync.Mutex
	var all sync.WaitGroup
	for range q.width {
		all.Go(func() {
			for {
				q.mu.Lock()
				i, r, ok := next()
				if ok && q.asked != nil {
					q.asked[r.Prompt]++
				}
				q.mu.Unlock()
				if !ok {
					return
				}
				a := q.answer(r)
				give.Lock()
				if failed == nil {
					failed = ctx.Err()
				}
				if failed == nil {
					failed = done(i, a)
				}
				ended := failed != nil
				give.Unlock()
				if ended {
					return
				}
			}
		})
	}
	all.Wait()
	return failed
}

func fine(r distill.Request) distill.Answer {
	return distill.Answer{Text: r.Prompt, Finish: distill.FinishStop}
}

// counted are n requests with prompts from 0 to different-1, again and again.
func counted(n, different int) iter.Seq2[distill.Request, error] {
	return func(yield func(distill.Request, error) bool) {
		for i := range n {
			if !yield(distill.Request{Prompt: fmt.Sprint(i % different)}, nil) {
				return
			}
		}
	}
}

// Equal requests are asked once, however near they are to each other.
func TestCollectAsksOnce(t *testing.T) {
	for _, different := range []int{1, 3, 16, 17, 255, 256, 300, 999} {
		s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
		q := newQuick(fine)
		stats, err := distill.Collect(t.Context(), s, q, counted(1000, different), nil)
		// An equal request finds the first under way, or its answer in the store.
		if err != nil || stats.Requests != 1000 || stats.Fresh.Answers != different || stats.Repeated+stats.Cached.Answers != 1000-different {
			t.Errorf("%d different: %+v, %v", different, stats, err)
		}
		for prompt, n := range q.asked {
			if n != 1 {
				t.Errorf("%d different: %q is asked %d times", different, prompt, n)
			}
		}
	}
}

func TestCollectCountsMoneyAndFailures(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	q := newQuick(func(r distill.Request) distill.Answer {
		a := distill.Answer{Text: "x", Finish: distill.FinishStop, Usage: distill.Usage{PromptTokens: 10, CachedTokens: 4, AnswerTokens: 5, ReasoningTokens: 2}, Cost: 100, Attempts: 1}
		switch r.Prompt {
		case "1":
			a.Batch, a.Cost = true, 50
		case "2":
			a.Attempts, a.RetryCost = 3, 7
		case "3":
			a = distill.Answer{Finish: distill.FinishFailed, Error: "the prompt is too long", Attempts: 2, Cost: 1, RetryCost: 2}
		}
		return a
	})
	q.width = 1
	run := func() distill.Stats {
		t.Helper()
		stats, err := distill.Collect(t.Context(), s, q, counted(6, 5), nil)
		if err != nil {
			t.Fatal(err)
		}
		return stats
	}
	usage := func(n int) distill.Usage {
		return distill.Usage{PromptTokens: 10 * n, CachedTokens: 4 * n, AnswerTokens: 5 * n, ReasoningTokens: 2 * n}
	}
	want := distill.Stats{Requests: 6, Repeated: 1, Failed: 1, Failures: []distill.Failure{{Index: 3, Error: "the prompt is too long"}},
		Fresh: distill.Tally{Answers: 3, Usage: usage(3), Cost: 300}, Batch: distill.Tally{Answers: 1, Usage: usage(1), Cost: 50}}
	want.Retried.Answers, want.Retried.Calls, want.Retried.Cost = 1, 4, 10
	stats := run()
	if !reflect.DeepEqual(stats, want) || stats.Spent() != 360 {
		t.Errorf("%+v, want %+v", stats, want)
	}
	failed := new(distill.FailedError)
	if err := stats.Err(); !errors.As(err, &failed) || !strings.Contains(err.Error(), "1 of 5 requests failed\n  request 3: the prompt is too long") {
		t.Errorf("error %v", err)
	}
	// A failure is asked again; the rest was paid for.
	if stats = run(); stats.Cached.Answers != 4 || stats.Cached.Cost != 350 || stats.Failed != 1 || stats.Spent() != 3 {
		t.Errorf("again: %+v", stats)
	}
	if (&distill.Stats{}).Err() != nil {
		t.Error("an error of nothing")
	}
}

// A failed request that comes again is not asked again.
func TestCollectRemembersFailures(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	q := newQuick(func(distill.Request) distill.Answer { return distill.Answer{Finish: distill.FinishFailed, Error: "no"} })
	stats, err := distill.Collect(t.Context(), s, q, counted(3000, 20), nil)
	if err != nil || stats.Failed != 20 || stats.Repeated != 2980 || len(stats.Failures) != 10 || !strings.Contains(stats.Err().Error(), "and 10 more") {
		t.Errorf("%+v, %v", stats, err)
	}
}

// deviant breaks the contract of Teacher.
type deviant struct{ index, times int }

func (deviant) Identity() string { return "deviant" }

func (d deviant) Answer(_ context.Context, requests iter.Seq2[int, distill.Request], done func(int, distill.Answer) error) error {
	for _, r := range requests {
		for range d.times {
			if err := done(d.index, fine(r)); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestCollectRefusesDeviantTeachers(t *testing.T) {
	for _, d := range []deviant{{index: 7, times: 1}, {index: -1, times: 1}, {index: 0, times: 2}} {
		s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
		if _, err := distill.Collect(t.Context(), s, d, counted(1, 1), nil); err == nil || !strings.Contains(err.Error(), "was not asked, or twice") {
			t.Errorf("%+v: error %v", d, err)
		}
	}
	// Nor is a finish missing.
	s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	q := newQuick(func(distill.Request) distill.Answer { return distill.Answer{Text: "x"} })
	if _, err := distill.Collect(t.Context(), s, q, counted(3, 3), nil); err == nil || !strings.Contains(err.Error(), `its finish is ""`) {
		t.Errorf("error %v", err)
	}
}

// What arrived before a cancel is kept, and counted.
func TestCollectKeepsWhatArrivedBeforeACancel(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	q := newQuick(fine)
	q.width = 1
	q.answer = func(r distill.Request) distill.Answer {
		if n++; n == 500 {
			cancel()
		}
		return fine(r)
	}
	stats, err := distill.Collect(ctx, s, q, counted(5000, 5000), nil)
	if !errors.Is(err, context.Canceled) || stats.Fresh.Answers != 499 {
		t.Errorf("%+v, error %v", stats, err)
	}
	got := 0
	for a, err := range s.Each(t.Context(), "quick", counted(5000, 5000)) {
		if err != nil {
			t.Fatal(err)
		}
		if a.Answer.Finish == distill.FinishStop {
			got++
		}
	}
	if got != 499 {
		t.Errorf("%d answers are kept", got)
	}
}

// The memory of a collection does not grow with its requests.
func TestCollectInConstantMemory(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 5000
	}
	s := openStore(t, filepath.Join(t.TempDir(), "a.db"))
	q := newQuick(func(r distill.Request) distill.Answer {
		return distill.Answer{Text: strings.Repeat(r.Prompt, 200), Finish: distill.FinishStop} // 1 KB
	})
	q.asked = nil
	var most uint64
	heap := func(done int) {
		if done%1000 < 50 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	if stats, err := distill.Collect(t.Context(), s, q, counted(n, n), heap); err != nil || stats.Fresh.Answers != n {
		t.Fatalf("%+v, %v", stats, err)
	}
	for range s.Each(t.Context(), "quick", counted(n, n)) {
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d bytes more on the heap for %d answers", grown, n)
	} else {
		t.Logf("%d bytes more on the heap for %d answers", grown, n)
	}
}

func BenchmarkPut(b *testing.B) {
	s, err := distill.OpenStore(b.Context(), filepath.Join(b.TempDir(), "a.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for _, width := range []int{1, 64} {
		b.Run(fmt.Sprint(width, " at a time"), func(b *testing.B) {
			next := make(chan int)
			var all sync.WaitGroup
			for range width {
				all.Go(func() {
					for i := range next {
						if _, err := s.Put(b.Context(), fmt.Sprint(b.Name(), b.N), distill.Request{Prompt: fmt.Sprint(i)}, fullAnswer(i)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for i := 0; b.Loop(); i++ {
				next <- i
			}
			close(next)
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
		})
	}
}

func BenchmarkCollect(b *testing.B) {
	for b.Loop() {
		s, err := distill.OpenStore(b.Context(), filepath.Join(b.TempDir(), "a.db"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := distill.Collect(b.Context(), s, newQuick(fine), counted(20_000, 20_000), nil); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
	b.ReportMetric(20_000*float64(b.N)/b.Elapsed().Seconds(), "answers/s")
}
