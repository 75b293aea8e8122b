package api

import (
	"maps"
	"math"
	"sync"
	"time"

	"github.com/retort-ml/retort/distill"
)

// Stats counts what a client did, for the record of a run.
type Stats struct {
	Requests int            `json:"requests"`
	Answers  int            `json:"answers"`
	Failed   int            `json:"failed"`   // requests that have no answer
	Attempts int            `json:"attempts"` // sent to the server
	Retries  map[string]int `json:"retries"`  // by what went wrong before: a status, time-out, connection, cut, damaged
	TooEarly int            `json:"too_early"`
	// Latencies of attempts that brought an answer, exact to 5 %.
	P50 time.Duration `json:"p50_ns"`
	P95 time.Duration `json:"p95_ns"`
	P99 time.Duration `json:"p99_ns"`

	distill.Usage               // of answers
	Cost          distill.Money `json:"cost"`       // of answers
	RetryCost     distill.Money `json:"retry_cost"` // of attempts that brought none
}

// tally keeps Stats, in constant memory. Its methods may be called from many
// goroutines at once.
type tally struct {
	mu        sync.Mutex
	s         Stats
	latencies [400]int // by the logarithm: see place
}

func newTally() *tally { return &tally{s: Stats{Retries: map[string]int{}}} }

func (t *tally) request() { t.mu.Lock(); t.s.Requests++; t.mu.Unlock() }

func (t *tally) fail() { t.mu.Lock(); t.s.Failed++; t.mu.Unlock() }

func (t *tally) retry(cause string) { t.mu.Lock(); t.s.Retries[cause]++; t.mu.Unlock() }

func (t *tally) attempt(a *distill.Answer, f *failure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.Attempts++
	if f != nil {
		t.s.RetryCost += a.Cost
		if f.cause == "429" {
			t.s.TooEarly++
		}
		return
	}
	t.s.Answers++
	t.s.Cost += a.Cost
	t.s.PromptTokens += a.PromptTokens
	t.s.CachedTokens += a.CachedTokens
	t.s.AnswerTokens += a.AnswerTokens
	t.s.ReasoningTokens += a.ReasoningTokens
	t.latencies[place(a.Latency)]++
}

// step is how much longer each place of the latencies is than the one before.
const step = 1.05

// place is where a latency is counted: the first is up to a millisecond, the last
// more than two days.
func place(d time.Duration) int {
	n := math.Ceil(math.Log(max(1, float64(d)/float64(time.Millisecond))) / math.Log(step))
	return int(min(n, 399))
}

func (t *tally) stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.s
	s.Retries = maps.Clone(s.Retries)
	s.P50, s.P95, s.P99 = t.quantile(0.5), t.quantile(0.95), t.quantile(0.99)
	return s
}

// quantile is the upper end of the place that holds it.
func (t *tally) quantile(q float64) time.Duration {
	rank, seen := int(math.Ceil(q*float64(t.s.Answers))), 0
	for i, n := range t.latencies {
		if seen += n; n > 0 && seen >= rank {
			return time.Duration(math.Pow(step, float64(i)) * float64(time.Millisecond))
		}
	}
	return 0
}
