package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// askedWait is how long a response asks to wait: retry-after-ms, then
// Retry-After in seconds or as a date. 0 if it does not.
func askedWait(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return seconds(ms / 1000)
	}
	text := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(text, 64); err == nil && s > 0 {
		return seconds(s)
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// seconds is a duration of at most a year.
func seconds(s float64) time.Duration {
	return time.Duration(min(s, 365*24*3600) * float64(time.Second))
}

// quota is what a server says of one of its limits.
type quota struct {
	limit     int // per minute; 0 if it does not say
	exhausted bool
	reset     time.Duration // until it is full again
}

// quotas reads what a server says of requests and tokens: the x-ratelimit
// headers of OpenAI and many others, and Anthropic's. The tighter of
// Anthropic's tokens count.
func quotas(h http.Header, now time.Time) (requests, tokens quota) {
	requests = tighter(openQuota(h, "requests", now), anthropicQuota(h, "requests", now))
	tokens = openQuota(h, "tokens", now)
	for _, kind := range []string{"tokens", "input-tokens", "output-tokens"} {
		tokens = tighter(tokens, anthropicQuota(h, kind, now))
	}
	return requests, tokens
}

func openQuota(h http.Header, kind string, now time.Time) quota {
	return newQuota(h.Get("X-Ratelimit-Limit-"+kind), h.Get("X-Ratelimit-Remaining-"+kind), h.Get("X-Ratelimit-Reset-"+kind), now)
}

func anthropicQuota(h http.Header, kind string, now time.Time) quota {
	prefix := "Anthropic-Ratelimit-" + kind
	return newQuota(h.Get(prefix+"-Limit"), h.Get(prefix+"-Remaining"), h.Get(prefix+"-Reset"), now)
}

func newQuota(limit, remaining, reset string, now time.Time) quota {
	var q quota
	if n, err := strconv.Atoi(limit); err == nil && n > 0 {
		q.limit = n
	}
	if n, err := strconv.ParseFloat(remaining, 64); err == nil && n <= 0 {
		q.exhausted, q.reset = true, untilReset(reset, now)
	}
	return q
}

func tighter(a, b quota) quota {
	if a.limit == 0 || b.limit > 0 && b.limit < a.limit {
		a.limit = b.limit
	}
	a.exhausted = a.exhausted || b.exhausted
	a.reset = max(a.reset, b.reset)
	return a
}

// untilReset reads 6m0s, 20ms, 1.5 (seconds), a date, or seconds since 1970. 0
// if it is none of them.
func untilReset(text string, now time.Time) time.Duration {
	text = strings.TrimSpace(text)
	if d, err := time.ParseDuration(text); err == nil {
		return min(max(0, d), seconds(1e9))
	}
	if s, err := strconv.ParseFloat(text, 64); err == nil && s > 0 {
		if s > 1e9 { // a time, not a span
			s -= float64(now.UnixNano()) / 1e9
		}
		return max(0, seconds(s))
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return max(0, t.Sub(now))
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
