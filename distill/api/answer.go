package api

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/retort-ml/retort/distill"
)

// call is one call of Answer.
type call struct {
	*Client
	done func(int, distill.Answer) error
	// sending ends when nothing more may be sent; flight, later, when what is under
	// way is cut.
	sending, flight context.Context
	stop            context.CancelCauseFunc // of sending
	cut             context.CancelCauseFunc // of flight
	wallet          *wallet

	mu     sync.Mutex // of calls to done, and what follows
	broken error      // of done
	row    int        // failed requests since the last answer
}

// manyFailures in a row, without one answer between, say that the server will
// answer none of the rest.
const manyFailures = 20

// Answer asks for all requests: see distill.Teacher, and the package's comment
// on what happens when ctx ends.
func (c *Client) Answer(ctx context.Context, requests iter.Seq2[int, distill.Request], done func(int, distill.Answer) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	k := &call{Client: c, done: done, wallet: newWallet(c.purse)}
	k.sending, k.stop = context.WithCancelCause(ctx)
	k.flight, k.cut = context.WithCancelCause(context.WithoutCancel(ctx))
	defer k.cut(nil)
	defer k.stop(nil)
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { k.grace(ctx, over) })
	k.ask(requests)
	close(over)
	wg.Wait()
	c.http.CloseIdleConnections()
	switch cause := context.Cause(k.sending); {
	case k.broken != nil:
		return k.broken
	case ctx.Err() != nil && errors.Is(cause, context.Cause(ctx)):
		return ctx.Err()
	default:
		return cause
	}
}

// grace cuts what is under way some time after ctx has ended.
func (k *call) grace(ctx context.Context, over <-chan struct{}) {
	select {
	case <-over:
		return
	case <-ctx.Done():
	}
	timer := time.NewTimer(k.o.Grace)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
		k.cut(ctx.Err())
	}
}

// ask pulls the requests, each when there is a place for it, and waits for all.
func (k *call) ask(requests iter.Seq2[int, distill.Request]) {
	var wg sync.WaitGroup
	defer wg.Wait()
	places := make(chan struct{}, k.o.Concurrency)
	place := func() bool {
		select {
		case <-k.sending.Done():
			return false
		case places <- struct{}{}:
			return k.sending.Err() == nil
		}
	}
	if !place() {
		return
	}
	for i, r := range requests {
		if k.sending.Err() != nil {
			return
		}
		k.tally.request()
		wg.Go(func() {
			defer func() { <-places }()
			k.one(i, r)
		})
		if !place() {
			return
		}
	}
}

// one sees a request through to its answer, its failure, or the end of the call.
func (k *call) one(i int, r distill.Request) {
	if err := k.wire.can(&r); err != nil {
		k.stop(fmt.Errorf("request %d: %w", i, err))
		return
	}
	body, err := k.o.encode(k.wire, &r)
	if err != nil {
		k.fail(i, err, 0, 0)
		return
	}
	most, err := k.o.worst(body, &r)
	if err != nil {
		k.fail(i, err, 0, 0)
		return
	}
	var spent distill.Money
	start, wrong := time.Now(), 0
	for n := 1; ; n++ {
		a, f := k.attempt(body, &r, most)
		if f == nil {
			a.Attempts, a.RetryCost = n, spent
			k.deliver(i, a)
			return
		}
		spent += a.Cost
		if !f.busy {
			wrong++
		}
		switch {
		case f.verdict == stop:
			k.stop(f.err)
			return
		case k.flight.Err() != nil:
			return
		case f.verdict == refuse:
			k.fail(i, f.err, n, spent)
			return
		case wrong > *k.o.Retries || time.Since(start)+f.wait > k.o.RetryFor:
			k.fail(i, fmt.Errorf("%w (attempt %d, after %v)", f.err, n, time.Since(start).Round(time.Millisecond)), n, spent)
			return
		}
		k.tally.retry(f.cause)
		if !k.rest(k.pause(n, f)) {
			return
		}
	}
}

// pause is how long to wait after attempt n, from 1: what the server asks for,
// else between half and all of a second that doubles each time, up to a minute.
func (k *call) pause(n int, f *failure) time.Duration {
	base := k.backoff << min(n-1, 6)
	wait := time.Duration((0.5 + rand.Float64()/2) * float64(min(base, time.Minute)))
	if f.wait > 0 { // spread out, as all who wait hear the same
		return f.wait + time.Duration(rand.Float64()*float64(min(f.wait/10, time.Second)))
	}
	return wait
}

// rest waits; false if the call ended.
func (k *call) rest(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-k.sending.Done():
		return false
	case <-timer.C:
		return true
	}
}

// fail delivers that there is no answer.
func (k *call) fail(i int, err error, attempts int, spent distill.Money) {
	k.tally.fail()
	k.deliver(i, distill.Answer{Finish: distill.FinishFailed, Error: err.Error(), Attempts: attempts, RetryCost: spent})
}

// deliver hands an answer to done, one at a time, until one fails.
func (k *call) deliver(i int, a distill.Answer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken != nil {
		return
	}
	if err := k.done(i, a); err != nil {
		k.broken = err
		k.stop(err)
		k.cut(err)
		return
	}
	if a.Finish != distill.FinishFailed {
		k.row = 0
		return
	}
	if k.row++; k.row >= manyFailures {
		k.stop(fmt.Errorf("%d requests failed in a row, the last one, %d: %s", k.row, i, a.Error))
	}
}
