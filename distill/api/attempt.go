package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/outbound"
)

// attempt asks once, when the limits let it and the purse can pay for it. The
// answer's cost is good after a failure too.
func (k *call) attempt(body []byte, r *distill.Request, most worst) (distill.Answer, *failure) {
	expected := most.expected()
	if err := k.limits.enter(k.sending, expected); err != nil {
		return distill.Answer{}, &failure{verdict: stop, err: err}
	}
	start := time.Now()
	id, err := k.wallet.reserve(k.sending, most.cost)
	if err != nil {
		k.limits.leave(start, expected, false, false)
		return distill.Answer{}, &failure{verdict: stop, err: err}
	}
	a, f := k.send(body, r, most)
	a.Latency = time.Since(start)
	switch {
	case f != nil && f.unpaid:
		a.Usage, a.Cost = distill.Usage{}, 0
	case a.PromptTokens == 0: // the server does not say
		a.Cost = most.cost
	default:
		a.Cost = k.o.cost(a.Usage)
	}
	if err := k.wallet.settle(context.WithoutCancel(k.sending), id, most.cost, a.Cost); err != nil {
		k.stop(fmt.Errorf("pay: %w", err))
	}
	used := a.PromptTokens + a.AnswerTokens
	if used == 0 && a.Cost > 0 {
		used = expected
	}
	k.limits.leave(start, expected-used, f == nil, f != nil && f.busy)
	k.tally.attempt(&a, f)
	if f != nil && f.verdict == again && k.limits.paused() > k.o.RetryFor {
		f.verdict = stop
		f.err = fmt.Errorf("%w: the server asks to wait %v, which is longer than retry_for: run again then", f.err, k.limits.paused().Round(time.Second))
	}
	return a, f
}

// send makes one HTTP request and reads what comes back.
func (k *call) send(body []byte, r *distill.Request, most worst) (distill.Answer, *failure) {
	ctx, cancel := context.WithTimeout(k.flight, k.o.Timeout)
	defer cancel()
	var reached atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { reached.Store(true) }})
	req, err := http.NewRequestWithContext(traced, http.MethodPost, k.address, bytes.NewReader(body))
	if err != nil {
		return distill.Answer{}, &failure{verdict: stop, unpaid: true, err: err}
	}
	k.header(req.Header)
	resp, err := k.http.Do(req)
	if err != nil {
		return distill.Answer{}, k.broke(ctx, err, "connection", !reached.Load())
	}
	defer resp.Body.Close()
	ok := resp.StatusCode == http.StatusOK
	limit := int64(64 << 10)
	if ok {
		limit = most.bytes(r)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	now := time.Now()
	data = k.hide(data)
	if !ok { // whatever was read of the message
		f := statusFailure(resp.StatusCode, resp.Header, data[:min(int64(len(data)), limit)], now)
		k.limits.hear(resp.Header, f.heard(), now)
		return distill.Answer{}, f
	}
	k.limits.hear(resp.Header, 0, now)
	if err != nil {
		return distill.Answer{}, k.broke(ctx, err, "cut", false)
	}
	if int64(len(data)) > limit {
		return distill.Answer{}, &failure{verdict: refuse, cause: "shape", err: fmt.Errorf("the response has more than %d bytes", limit)}
	}
	return k.read(data, r)
}

// heard is how long all requests wait for the sake of one that came too early.
func (f *failure) heard() time.Duration {
	if f.busy {
		return f.wait
	}
	return 0
}

// read reads a response of status 200.
func (k *call) read(data []byte, r *distill.Request) (distill.Answer, *failure) {
	a, err := k.wire.read(data, r)
	if err == nil && !utf8.Valid(data) {
		err = errors.New("the response is not UTF-8")
	}
	a.Raw = data
	if k.o.Reasoning == DropReasoning {
		a.Reasoning = ""
	}
	var inside errorInside
	switch {
	case err == nil:
		return a, nil
	case errors.As(err, &inside):
		f := insideFailure(inside)
		return a, f
	case errors.Is(err, errTruncated):
		return a, &failure{verdict: again, cause: "damaged", err: fmt.Errorf("%w; it begins: %s", err, plain(data[:min(len(data), 200)]))}
	}
	return a, &failure{verdict: refuse, cause: "shape", err: fmt.Errorf("response: %w", err)}
}

// broke judges an attempt whose connection failed.
func (k *call) broke(ctx context.Context, err error, cause string, unpaid bool) *failure {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	f := &failure{verdict: again, cause: cause, unpaid: unpaid, err: fmt.Errorf("%s: %w", k.host(), err)}
	switch {
	case errors.Is(err, outbound.ErrOffline):
		f.verdict = stop
	case k.flight.Err() != nil:
		f.err = fmt.Errorf("%s: cut: %w", k.host(), context.Cause(k.flight))
	case ctx.Err() != nil:
		f.cause, f.err = "time-out", fmt.Errorf("%s: no answer within %v", k.host(), k.o.Timeout)
	}
	return f
}

func (k *call) host() string {
	u, err := url.Parse(k.address)
	if err != nil {
		return k.o.API
	}
	return u.Host
}
