package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/distill/teachertest"
)

func TestTeacher(t *testing.T) {
	m := newMock(t, nil)
	teachertest.Run(t, teachertest.Suite{
		New:     func(t *testing.T) distill.Teacher { return newClient(t, m, nil) },
		Prompts: []string{"one two three", "four five six seven", "eight nine ten eleven twelve"},
		Samples: true,
	})
}

// hang answers nothing until the client goes away.
func hang(r *http.Request) { <-r.Context().Done() }

func cutAfter(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Length", "1000")
	io.WriteString(w, text)
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func status(w http.ResponseWriter, code int, text string) bool {
	w.WriteHeader(code)
	io.WriteString(w, text)
	return true
}

// TestFaultsThatPass: every request's first attempt meets a fault, the second is answered.
func TestFaultsThatPass(t *testing.T) {
	for _, test := range []struct {
		name, cause string
		unpaid      bool
		fault       func(w http.ResponseWriter, r *http.Request)
	}{
		{"429", "429", true, func(w http.ResponseWriter, r *http.Request) { status(w, 429, `{"error":{"message":"slow down"}}`) }},
		{"429 after seconds", "429", true, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "0.02")
			status(w, 429, ``)
		}},
		{"429 after ms", "429", true, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After-Ms", "20")
			status(w, 429, ``)
		}},
		{"500", "500", false, func(w http.ResponseWriter, r *http.Request) { status(w, 500, `<html>oops`) }},
		{"502", "502", false, func(w http.ResponseWriter, r *http.Request) { status(w, 502, ``) }},
		{"503", "503", true, func(w http.ResponseWriter, r *http.Request) { status(w, 503, ``) }},
		{"529", "529", true, func(w http.ResponseWriter, r *http.Request) {
			status(w, 529, `{"type":"error","error":{"type":"overloaded_error"}}`)
		}},
		{"408", "408", false, func(w http.ResponseWriter, r *http.Request) { status(w, 408, ``) }},
		{"409", "409", true, func(w http.ResponseWriter, r *http.Request) { status(w, 409, ``) }},
		{"cut before", "connection", false, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }},
		{"cut within", "cut", false, func(w http.ResponseWriter, r *http.Request) { cutAfter(w, `{"choices":[`) }},
		{"truncated", "damaged", false, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"choices":[{"fin`) }},
		{"empty body", "damaged", false, func(w http.ResponseWriter, r *http.Request) {}},
		{"html", "damaged", false, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>Bad gateway</html>") }},
		{"error in 200", "error in 200", false, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"error":{"code":502,"message":"upstream"}}`)
		}},
		{"silence", "time-out", false, func(w http.ResponseWriter, r *http.Request) { hang(r) }},
		{"slow body", "time-out", false, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"choices":`)
			w.(http.Flusher).Flush()
			hang(r)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			seen := map[string]bool{}
			var m *mock
			m = newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
				m.mu.Lock()
				first := !seen[prompt]
				seen[prompt] = true
				m.mu.Unlock()
				if first {
					test.fault(w, r)
				}
				return first
			})
			p := newPurse(distill.Dollar)
			c := newClient(t, m, func(o *Options, a *Access) {
				o.Timeout = 100 * time.Millisecond
				o.Price = &distill.Price{Input: 1, Output: 2}
				a.Purse = p
			})
			got, err := ask(t.Context(), c, prompts(6))
			if err != nil || len(got) != 6 {
				t.Fatalf("%d answers, error %v", len(got), err)
			}
			var cost, wasted distill.Money
			for i, a := range got {
				if a.Finish != distill.FinishStop || a.Attempts != 2 || a.Text != "tell me about" {
					t.Errorf("answer %d: %+v", i, a)
				}
				if (a.RetryCost == 0) != test.unpaid {
					t.Errorf("the failed attempt cost %v", a.RetryCost)
				}
				cost, wasted = cost+a.Cost, wasted+a.RetryCost
			}
			s := c.Stats()
			if s.Retries[test.cause] != 6 || s.Attempts != 12 || s.Requests != 6 || s.Answers != 6 || s.Cost != cost || s.RetryCost != wasted {
				t.Errorf("statistics %+v", s)
			}
			if p.spent != cost+wasted || len(p.reserved) != 0 || p.settled != 12 {
				t.Errorf("purse: %v spent, %d open, %d settled; the answers say %v and %v", p.spent, len(p.reserved), p.settled, cost, wasted)
			}
		})
	}
}

// TestFaultsThatStay: what one request gets, while the others are answered.
func TestFaultsThatStay(t *testing.T) {
	for _, test := range []struct{ name, body, want string }{
		{"no choices", `{"choices":[]}`, "choices: there are none"},
		{"no finish", `{"choices":[{"message":{"content":"x"}}]}`, "finish_reason: there is none"},
		{"odd finish", `{"choices":[{"finish_reason":"bored","message":{"content":"x"}}]}`, `"bored" is unknown`},
		{"tools without", `{"choices":[{"finish_reason":"tool_calls","message":{"content":"x"}}]}`, "without tool calls"},
		{"wrong type", `{"choices":[{"finish_reason":"stop","message":{"content":7}}]}`, "choices.message.content: a JSON number"},
		{"wrong list", `{"choices":{}}`, "choices: a JSON object"},
		{"not UTF-8", "{\"choices\":[{\"finish_reason\":\"stop\",\"message\":{\"content\":\"\xff\xfe\"}}]}", "not UTF-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
				if strings.Contains(prompt, "about 3") {
					io.WriteString(w, test.body)
					return true
				}
				return false
			})
			got, err := ask(t.Context(), newClient(t, m, nil), prompts(6))
			if err != nil || len(got) != 6 {
				t.Fatalf("%d answers, error %v", len(got), err)
			}
			if a := got[3]; a.Finish != distill.FinishFailed || !strings.Contains(a.Error, test.want) || a.Attempts != 1 {
				t.Errorf("finish %q after %d attempts, error %q, want %q", a.Finish, a.Attempts, a.Error, test.want)
			}
			if got[2].Finish != distill.FinishStop {
				t.Errorf("its neighbour: %+v", got[2])
			}
		})
	}
}

func TestStatusOfOneRequest(t *testing.T) {
	for _, code := range []int{400, 413, 422} {
		m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
			return strings.Contains(prompt, "about 1") && status(w, code, `{"error":{"message":"the prompt is too long","code":"context_length_exceeded"}}`)
		})
		got, err := ask(t.Context(), newClient(t, m, nil), prompts(3))
		if err != nil || got[1].Finish != distill.FinishFailed || !strings.Contains(got[1].Error, "too long") || got[0].Finish != distill.FinishStop {
			t.Errorf("%d: %+v, error %v", code, got, err)
		}
		if n := m.requests.Load(); n != 3 {
			t.Errorf("%d: %d requests for 3", code, n)
		}
	}
}

// TestStop: after the first such response nothing more is sent.
func TestStop(t *testing.T) {
	for _, test := range []struct {
		code       int
		body, want string
	}{
		{401, `{"error":{"message":"Incorrect API key provided: ` + secret + `"}}`, "key_env"},
		{403, `{"message":"no"}`, "key_env"},
		{404, `{"error":{"message":"The model does not exist","code":"model_not_found"}}`, "does not exist"},
		{404, `<html>nginx`, "base_url"},
		{402, `{"error":"pay"}`, "add credit"},
		{429, `{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}`, "add credit"},
		{400, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}`, "add credit"},
		{307, ``, "redirections are not followed"},
		{204, ``, "204"},
	} {
		m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
			if test.code == 307 {
				w.Header().Set("Location", "http://127.0.0.1:1/")
			}
			return status(w, test.code, test.body)
		})
		got, err := ask(t.Context(), newClient(t, m, nil), prompts(100))
		if err == nil || !strings.Contains(err.Error(), test.want) || len(got) != 0 {
			t.Errorf("%d: %d answers, error %v, want %q", test.code, len(got), err, test.want)
		}
		if n := m.requests.Load(); n > 8 {
			t.Errorf("%d: %d requests", test.code, n)
		}
		if strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("%d: the error has the key: %v", test.code, err)
		}
	}
}

// TestAllFail: a server that refuses every request is not asked for all of them.
func TestAllFail(t *testing.T) {
	m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
		return status(w, 400, `{"error":{"message":"Unsupported parameter: max_tokens"}}`)
	})
	got, err := ask(t.Context(), newClient(t, m, nil), prompts(1000))
	if err == nil || !strings.Contains(err.Error(), "Unsupported parameter") || len(got) > 30 {
		t.Errorf("%d answers, error %v", len(got), err)
	}
}

// TestManyFail: failures with answers between them do not end the call.
func TestManyFail(t *testing.T) {
	m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
		return n%2 == 0 && status(w, 400, "too long")
	})
	got, err := ask(t.Context(), newClient(t, m, func(o *Options, _ *Access) { o.Concurrency = 1 }), prompts(100))
	if err != nil || len(got) != 100 {
		t.Errorf("%d answers, error %v", len(got), err)
	}
}

func TestRetriesEnd(t *testing.T) {
	m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
		return strings.Contains(prompt, "about 0") && status(w, 500, `{"error":{"message":"CUDA"}}`)
	})
	got, err := ask(t.Context(), newClient(t, m, func(o *Options, _ *Access) { o.Retries = new(2) }), prompts(2))
	if a := got[0]; err != nil || a.Finish != distill.FinishFailed || a.Attempts != 3 || !strings.Contains(a.Error, "CUDA") {
		t.Errorf("%+v, error %v", a, err)
	}
}

// TestLongWait: a server's word of an hour ends the call, at once.
func TestLongWait(t *testing.T) {
	m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
		w.Header().Set("Retry-After", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		return status(w, 429, `{}`)
	})
	_, err := ask(t.Context(), newClient(t, m, nil), prompts(3))
	if err == nil || !strings.Contains(err.Error(), "run again then") {
		t.Errorf("error %v", err)
	}
}

// TestCancelKeepsWhatIsPaid: after a cancel nothing is sent, and what is under way arrives.
func TestCancelKeepsWhatIsPaid(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var started atomic.Int64
	m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
		if started.Add(1) == 4 {
			cancel()
		}
		time.Sleep(100 * time.Millisecond)
		return false
	})
	got, err := ask(ctx, newClient(t, m, nil), prompts(100))
	if !errors.Is(err, context.Canceled) || len(got) != 4 || started.Load() != 4 {
		t.Errorf("%d answers of %d requests, error %v", len(got), started.Load(), err)
	}
}

// TestCancelCutsAfterGrace: a server that does not answer is not waited for.
func TestCancelCutsAfterGrace(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
		cancel()
		hang(r)
		return true
	})
	p := newPurse(distill.Dollar)
	c := newClient(t, m, func(o *Options, a *Access) {
		o.Grace, o.Price, a.Purse = 50*time.Millisecond, &distill.Price{Input: 1, Output: 1}, p
	})
	start := time.Now()
	got, err := ask(ctx, c, prompts(100))
	if !errors.Is(err, context.Canceled) || len(got) != 0 || time.Since(start) > 3*time.Second {
		t.Errorf("%d answers after %v, error %v", len(got), time.Since(start), err)
	}
	if p.spent == 0 || len(p.reserved) != 0 {
		t.Errorf("%v spent, %d open: what was cut may be billed", p.spent, len(p.reserved))
	}
}

// TestCancelEndsWaits: at a wait for the server, for the rate, for a repetition.
func TestCancelEndsWaits(t *testing.T) {
	for name, change := range map[string]func(o *Options, m *mock){
		"rate": func(o *Options, _ *mock) { o.RequestsPerMinute = 1 },
		"retry after": func(_ *Options, m *mock) {
			m.fault = func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
				w.Header().Set("Retry-After", "100")
				return status(w, 429, "")
			}
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		m := newMock(t, nil)
		start := time.Now()
		_, err := ask(ctx, newClient(t, m, func(o *Options, _ *Access) { change(o, m) }), prompts(10))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 2*time.Second {
			t.Errorf("%s: error %v after %v", name, err, time.Since(start))
		}
		cancel()
	}
}

// TestBudget: never above the cap, under concurrency and with repetitions, and as
// much is answered as can be paid.
func TestBudget(t *testing.T) {
	m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
		time.Sleep(time.Millisecond)
		return n%3 == 0 && status(w, 500, "")
	})
	p := newPurse(distill.USD(0.02))
	c := newClient(t, m, func(o *Options, a *Access) {
		o.Concurrency, o.Price, a.Purse = 16, &distill.Price{Input: 1, Output: 4}, p
	})
	got, err := ask(t.Context(), c, prompts(2000))
	if !errors.Is(err, distill.ErrBudget) {
		t.Fatalf("error %v after %d answers", err, len(got))
	}
	if p.peak > p.cap || p.spent > p.cap || len(p.reserved) != 0 {
		t.Errorf("%v of %v spent, %v at most reserved, %d open", p.spent, p.cap, p.peak, len(p.reserved))
	}
	if left := p.cap - p.spent; left > distill.USD(0.0015) {
		t.Errorf("%v left: more than one request's worst case", left)
	}
	if len(got) == 0 {
		t.Error("no answers")
	}
}

// TestThroughput: many answers from a slow server, none lost, in constant memory.
func TestThroughput(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const n, latency, flying = 5000, 50 * time.Millisecond, 64
	m := newMock(t, func(int64, http.ResponseWriter, *http.Request, string) bool {
		time.Sleep(latency)
		return false
	})
	c := newClient(t, m, func(o *Options, _ *Access) { o.Concurrency = flying })
	pulled, done := 0, 0
	var early, late uint64
	start := time.Now()
	err := c.Answer(t.Context(), func(yield func(int, distill.Request) bool) {
		for i := range n {
			pulled++
			if !yield(i, distill.Request{Prompt: fmt.Sprint("question number ", i)}) {
				return
			}
		}
	}, func(i int, a distill.Answer) error {
		if a.Finish != distill.FinishStop {
			return fmt.Errorf("answer %d: %s", i, a.Error)
		}
		done++
		switch done {
		case n / 5:
			early = heap()
		case n - flying:
			late = heap()
		}
		return nil
	})
	took := time.Since(start)
	if err != nil || done != n || m.requests.Load() != n {
		t.Fatalf("%d answers to %d requests, error %v", done, m.requests.Load(), err)
	}
	if late > early+4<<20 {
		t.Errorf("the heap grew from %d to %d bytes", early, late)
	}
	t.Logf("%d answers in %v: %.0f/s, ideal %.0f/s; heap %d KiB then %d KiB; p50 %v p99 %v", n, took.Round(time.Millisecond),
		n/took.Seconds(), flying/latency.Seconds(), early>>10, late>>10, c.Stats().P50, c.Stats().P99)
}

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// TestPulledAsNeeded: no request is pulled before there is a place for it.
func TestPulledAsNeeded(t *testing.T) {
	var pulled, answered atomic.Int64
	m := newMock(t, nil)
	c := newClient(t, m, nil)
	err := c.Answer(t.Context(), func(yield func(int, distill.Request) bool) {
		for i, r := range prompts(200) {
			if ahead := pulled.Add(1) - answered.Load(); ahead > 4 {
				t.Errorf("%d requests ahead", ahead)
			}
			if !yield(i, r) {
				return
			}
		}
	}, func(int, distill.Answer) error { answered.Add(1); return nil })
	if err != nil {
		t.Fatal(err)
	}
}

// TestTooLarge: a body without end is cut, and not read into memory.
func TestTooLarge(t *testing.T) {
	m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
		chunk := strings.Repeat(" ", 1<<16)
		for range (1 << 30) / len(chunk) {
			if _, err := io.WriteString(w, chunk); err != nil {
				break
			}
		}
		return true
	})
	before := heap()
	got, err := ask(t.Context(), newClient(t, m, nil), prompts(2))
	if err != nil || got[0].Finish != distill.FinishFailed || !strings.Contains(got[0].Error, "more than") {
		t.Errorf("%+v, error %v", got[0], err)
	}
	if now := heap(); now > before+16<<20 {
		t.Errorf("the heap grew by %d MiB", (now-before)>>20)
	}
}

func TestOfflineStops(t *testing.T) {
	c, err := New(Options{API: OpenAI, Model: "m", BaseURL: "https://192.0.2.1/v1"}, Access{Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = ask(t.Context(), c, prompts(1))
	if err == nil || !strings.Contains(err.Error(), "192.0.2.1") || !strings.Contains(err.Error(), "offline: true") {
		t.Errorf("error %v", err)
	}
}

// TestKeyIsHidden: a server that repeats the key in everything it says.
func TestKeyIsHidden(t *testing.T) {
	m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
		if r.Header.Get("Authorization") != "Bearer "+secret {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		switch {
		case strings.Contains(prompt, "about 1"):
			return status(w, 400, secret)
		case strings.Contains(prompt, "about 2"):
			io.WriteString(w, "{"+secret)
		case strings.Contains(prompt, "about 3"):
			io.WriteString(w, `{"choices":[{"finish_reason":"`+secret+`","message":{"content":"x"}}]}`)
		default:
			io.WriteString(w, strings.ReplaceAll(chat("your key is "+secret, "stop", 1, 1), "mock-1", secret))
		}
		return true
	})
	c := newClient(t, m, func(o *Options, _ *Access) { o.Retries = new(1) })
	got, err := ask(t.Context(), c, prompts(4))
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range got {
		if all := fmt.Sprintf("%+v %s", a, a.Raw); strings.Contains(all, secret) {
			t.Errorf("answer %d has the key: %s", i, all)
		}
	}
	if strings.Contains(c.Identity()+fmt.Sprintf("%+v", c.Stats()), secret) {
		t.Error("the identity or the statistics have the key")
	}
	if !slices.Contains([]string{distill.FinishStop}, got[0].Finish) {
		t.Errorf("%+v", got[0])
	}
}
