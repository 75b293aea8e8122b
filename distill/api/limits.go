package api

import (
	"context"
	"math"
	"net/http"
	"sync"
	"time"
)

// limits says when the next attempt may be sent: how many are under way, how
// many and how large were sent in the last while, and what the server said. Its
// methods may be called from many goroutines at once.
//
// The number under way follows AIMD: halved when the server says it is too much
// (once per round of attempts, as all of a round hear it), one more after as
// many successes as are under way.
type limits struct {
	mu       sync.Mutex
	flying   int
	window   float64 // most under way
	most     float64
	shrunk   time.Time // when the window was last halved
	requests bucket
	tokens   bucket
	until    time.Time     // nothing is sent before
	changed  chan struct{} // closed when somebody who waits should look again
}

func newLimits(o *Options) *limits {
	return &limits{window: float64(o.Concurrency), most: float64(o.Concurrency),
		requests: newBucket(o.RequestsPerMinute), tokens: newBucket(o.TokensPerMinute), changed: make(chan struct{})}
}

// enter waits until an attempt of so many tokens may be sent. leave must follow.
func (l *limits) enter(ctx context.Context, tokens int) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		wait, changed := l.try(time.Now(), tokens)
		if changed == nil {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// try enters, or says for how long it cannot and what tells of a change.
func (l *limits) try(now time.Time, tokens int) (time.Duration, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if float64(l.flying) >= math.Floor(max(1, l.window)) {
		return time.Hour, l.changed
	}
	wait := max(l.until.Sub(now), l.requests.wait(now, 1), l.tokens.wait(now, float64(tokens)))
	if wait > 0 {
		return wait, l.changed
	}
	l.requests.take(1)
	l.tokens.take(float64(tokens))
	l.flying++
	return 0, nil
}

// leave ends an attempt that began at start. unused of the tokens that it
// entered with were not needed.
func (l *limits) leave(start time.Time, unused int, ok, busy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying--
	l.tokens.give(float64(unused))
	switch {
	case busy && start.After(l.shrunk):
		l.window, l.shrunk = max(1, l.window/2), time.Now()
	case ok:
		l.window = min(l.most, l.window+1/l.window)
	}
	l.tell()
}

// hear takes what a response says of the server's limits.
func (l *limits) hear(h http.Header, wait time.Duration, now time.Time) {
	requests, tokens := quotas(h, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests.atMost(requests.limit)
	l.tokens.atMost(tokens.limit)
	for _, q := range []quota{requests, tokens} {
		if q.exhausted {
			wait = max(wait, q.reset)
		}
	}
	if until := now.Add(wait); wait > 0 && until.After(l.until) {
		l.until = until
	}
	l.tell()
}

// paused is how long nothing will be sent.
func (l *limits) paused() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.until)
}

func (l *limits) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// bucket is a token bucket that holds what ten seconds bring. The zero value has no limit.
type bucket struct {
	perSecond, level, size float64
	last                   time.Time
}

func newBucket(perMinute int) bucket {
	b := bucket{perSecond: float64(perMinute) / 60}
	b.size = max(1, b.perSecond*10)
	b.level = b.size
	return b
}

// wait is how long it takes until n can be taken. More than the bucket holds
// can be taken from a full one, and is paid back.
func (b *bucket) wait(now time.Time, n float64) time.Duration {
	if b.perSecond == 0 {
		return 0
	}
	if passed := now.Sub(b.last).Seconds(); !b.last.IsZero() && passed > 0 {
		b.level = min(b.size, b.level+passed*b.perSecond)
	}
	b.last = now
	missing := min(n, b.size) - b.level
	if missing <= 1e-9 {
		return 0
	}
	return max(time.Millisecond, time.Duration(missing/b.perSecond*float64(time.Second)))
}

func (b *bucket) take(n float64) { b.level -= n }

func (b *bucket) give(n float64) { b.level = min(b.size, b.level+n) }

// atMost takes a limit that the server told: it can make the bucket slower, not faster.
func (b *bucket) atMost(perMinute int) {
	if rate := float64(perMinute) / 60; perMinute > 0 && (b.perSecond == 0 || rate < b.perSecond) {
		*b = newBucket(perMinute)
	}
}
