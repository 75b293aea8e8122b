package api

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retort-ml/retort/distill"
)

func TestAskedWait(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "3", 3 * time.Second}, {"Retry-After", "0.5", 500 * time.Millisecond}, {"Retry-After", "-3", 0}, {"Retry-After", "soon", 0},
		{"Retry-After", "Fri, 02 Jan 2026 03:04:15 GMT", 10 * time.Second}, {"Retry-After", "Fri, 02 Jan 2026 03:04:00 GMT", 0},
		{"Retry-After-Ms", "250", 250 * time.Millisecond}, {"Retry-After", "1e300", 365 * 24 * time.Hour}, {"Retry-After", "NaN", 0},
	} {
		if got := askedWait(http.Header{test.name: {test.value}}, now); got != test.want {
			t.Errorf("%s: %s: %v, want %v", test.name, test.value, got, test.want)
		}
	}
}

func TestQuotas(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	for _, test := range []struct {
		h                http.Header
		requests, tokens quota
	}{
		{header(), quota{}, quota{}},
		{header("x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "6m0s"), quota{60, true, 6 * time.Minute}, quota{}},
		{header("x-ratelimit-limit-tokens", "1000", "x-ratelimit-remaining-tokens", "5", "x-ratelimit-reset-tokens", "20ms"), quota{}, quota{limit: 1000}},
		{header("x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "1.5"), quota{}, quota{0, true, 1500 * time.Millisecond}},
		{header("x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset-tokens", "1767323050"), quota{}, quota{0, true, 5 * time.Second}},
		{header("anthropic-ratelimit-requests-limit", "50", "anthropic-ratelimit-requests-remaining", "0", "anthropic-ratelimit-requests-reset", "2026-01-02T03:05:05Z"), quota{50, true, time.Minute}, quota{}},
		{header("anthropic-ratelimit-input-tokens-limit", "500", "anthropic-ratelimit-output-tokens-limit", "100", "anthropic-ratelimit-output-tokens-remaining", "0", "anthropic-ratelimit-output-tokens-reset", "2026-01-02T03:04:06Z"),
			quota{}, quota{100, true, time.Second}},
		{header("x-ratelimit-limit-requests", "many", "x-ratelimit-remaining-requests", "x"), quota{}, quota{}},
	} {
		requests, tokens := quotas(test.h, now)
		if requests != test.requests || tokens != test.tokens {
			t.Errorf("%v: %+v and %+v, want %+v and %+v", test.h, requests, tokens, test.requests, test.tokens)
		}
	}
}

func TestBucket(t *testing.T) {
	b := newBucket(600) // 10 a second, of which 100 are there
	now := time.Unix(1000, 0)
	sent := 0
	for end := now.Add(20 * time.Second); now.Before(end); {
		if w := b.wait(now, 1); w > 0 {
			now = now.Add(w)
			continue
		}
		b.take(1)
		sent++
	}
	if sent < 298 || sent > 302 {
		t.Errorf("%d in 20 s, want 100 and 200", sent)
	}
	if b.wait(now, 1e6) > 11*time.Second {
		t.Error("more than it holds never gets in")
	}
	b.atMost(60)
	if b.perSecond != 1 {
		t.Errorf("%v a second after the server said 60 a minute", b.perSecond)
	}
	if b.atMost(6000); b.perSecond != 1 {
		t.Errorf("a server's limit made it faster: %v", b.perSecond)
	}
}

// TestWindow: the number under way is halved once for a round of refusals, and
// grows back by one for a round of successes.
func TestWindow(t *testing.T) {
	l := newLimits(&Options{Concurrency: 16})
	enter := func(n int) {
		for range n {
			if wait, changed := l.try(time.Now(), 1); changed != nil {
				t.Fatalf("has to wait %v", wait)
			}
		}
	}
	enter(16)
	if _, changed := l.try(time.Now(), 1); changed == nil {
		t.Error("17 under way")
	}
	start := time.Now()
	time.Sleep(time.Millisecond)
	for range 16 {
		l.leave(start, 0, false, true)
	}
	if l.window != 8 {
		t.Errorf("window %v after one round of refusals", l.window)
	}
	for range 9 {
		enter(1)
		l.leave(time.Now(), 0, true, false)
	}
	if l.window < 9 || l.window > 9.2 {
		t.Errorf("window %v after a round of successes", l.window)
	}
	for range 100 {
		l.leave(time.Now().Add(time.Second), 0, false, true)
		l.shrunk = time.Time{}
	}
	if l.window < 1 {
		t.Errorf("window %v", l.window)
	}
}

// TestOverloadedServer: a server that bears only four at a time is asked for
// all, and few are refused.
func TestOverloadedServer(t *testing.T) {
	var flying, refused atomic.Int64
	m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
		defer flying.Add(-1)
		if flying.Add(1) > 4 {
			refused.Add(1)
			return status(w, 429, `{"error":{"message":"slow down","type":"rate_limit_error"}}`)
		}
		time.Sleep(2 * time.Millisecond)
		return false
	})
	got, err := ask(t.Context(), newClient(t, m, func(o *Options, _ *Access) { o.Concurrency = 64; o.Retries = new(0) }), prompts(400))
	if err != nil || len(got) != 400 {
		t.Fatalf("%d answers, error %v", len(got), err)
	}
	for i, a := range got {
		if a.Finish != distill.FinishStop {
			t.Fatalf("answer %d: %+v", i, a)
		}
	}
	if refused.Load() > 400 {
		t.Errorf("%d refused", refused.Load())
	}
}

// TestRemainingZero: nothing is sent before the server's limit is full again.
func TestRemainingZero(t *testing.T) {
	var last atomic.Int64
	m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
		now := time.Now().UnixMilli()
		if n == 2 && now-last.Load() < 90 {
			t.Errorf("the next request came after %d ms", now-last.Load())
		}
		last.Store(now)
		w.Header().Set("X-Ratelimit-Remaining-Requests", "0")
		w.Header().Set("X-Ratelimit-Reset-Requests", "100ms")
		return false
	})
	if _, err := ask(t.Context(), newClient(t, m, func(o *Options, _ *Access) { o.Concurrency = 1 }), prompts(2)); err != nil {
		t.Fatal(err)
	}
}

func TestOptions(t *testing.T) {
	bad := Options{API: "grok", BaseURL: "https://user:" + secret + "@host/v1", MaxTokensField: "x", SeedField: "y", Reasoning: "z", Stream: true, Concurrency: -1,
		RequestsPerMinute: -1, TokensPerMinute: -1, Retries: new(-1), Timeout: -1, RetryFor: -1, Grace: -1, ThinkingTokens: -1, APIVersion: "1",
		ExtraBody: map[string]any{"n": 4, "stream": true}, Price: &distill.Price{Input: -1}}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, key := range []string{"api: ", "base_url: ", "max_tokens_field: ", "seed_field: ", "reasoning: ", "stream: ", "model: ", "concurrency: ", "requests_per_minute: ",
		"tokens_per_minute: ", "retries: ", "timeout: ", "retry_for: ", "grace: ", "thinking_tokens: ", "api_version: ", "extra_body.n: ", "extra_body.stream: ", "price.input: "} {
		found := false
		for _, line := range lines {
			found = found || strings.HasPrefix(line, key)
		}
		if !found {
			t.Errorf("no fault of %s", key)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the faults have the password: %v", err)
	}
	for _, o := range []Options{{API: Azure, Model: "m", APIVersion: "v"}, {API: Completions, Model: "m"}, {API: OpenAI, Model: "m", BaseURL: "host"}, {API: OpenAI, Model: "m", BaseURL: "http://h/?key=1"}, {}} {
		if o.Validate() == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if _, err := New(Options{API: OpenAI, Model: "m"}, Access{Key: secret + "\n"}); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a key with the end of its line: %v", err)
	}
}

// TestIdentity: what can change an answer is in it, the rest is not.
func TestIdentity(t *testing.T) {
	base := Options{API: OpenAI, Model: "m", BaseURL: "http://localhost:1/v1/"}
	id := func(change func(*Options)) string {
		o := base
		change(&o)
		c, err := New(o, Access{Key: secret})
		if err != nil {
			t.Fatal(err)
		}
		return c.Identity()
	}
	plain := id(func(*Options) {})
	if plain != "openai http://localhost:1/v1 m" {
		t.Errorf("identity %q", plain)
	}
	for name, change := range map[string]func(*Options){
		"concurrency": func(o *Options) { o.Concurrency = 3 }, "price": func(o *Options) { o.Price = &distill.Price{Input: 1} }, "timeout": func(o *Options) { o.Timeout = 1 },
		"slash": func(o *Options) { o.BaseURL = "http://localhost:1/v1" }, "key_env": func(o *Options) { o.KeyEnv = "K" }, "stream": func(o *Options) { o.Stream = true },
		"default": func(o *Options) { o.Reasoning = KeepReasoning },
	} {
		if got := id(change); got != plain {
			t.Errorf("%s changes the identity: %q", name, got)
		}
	}
	seen := map[string]string{plain: "nothing"}
	for name, change := range map[string]func(*Options){
		"model": func(o *Options) { o.Model = "n" }, "host": func(o *Options) { o.BaseURL = "http://localhost:2/v1" }, "system": func(o *Options) { o.System = "s" },
		"stop": func(o *Options) { o.Stop = []string{"s"} }, "extra": func(o *Options) { o.ExtraBody = map[string]any{"reasoning_effort": "low"} },
		"drop": func(o *Options) { o.Reasoning = DropReasoning }, "thinking": func(o *Options) { o.ThinkingTokens = 5 }, "fixed": func(o *Options) { o.FixedSampling = true },
	} {
		got := id(change)
		if other, twice := seen[got]; twice {
			t.Errorf("%s and %s have the identity %q", name, other, got)
		}
		seen[got] = name
	}
}

// TestDropReasoning: the answer has none, its raw response does.
func TestDropReasoning(t *testing.T) {
	m := newMock(t, func(n int64, w http.ResponseWriter, r *http.Request, prompt string) bool {
		io.WriteString(w, chat("<think>hm</think>yes", "stop", 1, 1))
		return true
	})
	for _, how := range []string{KeepReasoning, DropReasoning} {
		got, err := ask(t.Context(), newClient(t, m, func(o *Options, _ *Access) { o.Reasoning = how }), prompts(1))
		if a := got[0]; err != nil || a.Text != "yes" || (a.Reasoning == "hm") != (how == KeepReasoning) || !strings.Contains(string(a.Raw), "hm") {
			t.Errorf("%s: %+v, error %v", how, a, err)
		}
	}
}

// TestQuantiles against latencies that are known.
func TestQuantiles(t *testing.T) {
	y := newTally()
	for i := 1; i <= 1000; i++ {
		y.attempt(&distill.Answer{Latency: time.Duration(i) * time.Millisecond}, nil)
	}
	s := y.stats()
	for _, q := range []struct{ got, want time.Duration }{{s.P50, 500 * time.Millisecond}, {s.P95, 950 * time.Millisecond}, {s.P99, 990 * time.Millisecond}} {
		if q.got < q.want || q.got > q.want*106/100 {
			t.Errorf("quantile %v, want %v", q.got, q.want)
		}
	}
	if newTally().stats().P99 != 0 {
		t.Error("a latency of nothing")
	}
}
