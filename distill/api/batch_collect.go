package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/retort-ml/retort/distill"
)

// collect looks at every batch under way, once, and takes the results of those
// that are over. took tells whether there were any.
func (k *batchCall) collect(ctx context.Context) (took bool, err error) {
	for _, s := range slices.Clone(k.open) {
		state, err := k.api.look(ctx, s.Batch)
		if err != nil {
			return took, fmt.Errorf("batch %s: %w", s.Batch, err)
		}
		if !state.over {
			continue
		}
		took = true
		if err := k.take(ctx, &s, state); err != nil {
			return took, fmt.Errorf("batch %s: %w", s.Batch, err)
		}
	}
	return took, nil
}

// take delivers a batch's results and closes it. Requests without a result are
// handed in again later.
func (k *batchCall) take(ctx context.Context, s *Submission, state batchState) error {
	mine := map[string]bool{}
	for _, key := range s.Keys {
		mine[key] = false
	}
	var cost distill.Money
	err := k.api.results(ctx, state, func(r result) error {
		if ctx.Err() != nil {
			return ctx.Err() // the server keeps the results for the next call
		}
		taken, ok := mine[r.key]
		if !ok || taken {
			return nil // of nobody, or again
		}
		mine[r.key] = true
		price, err := k.result(s, r)
		cost += price
		return err
	})
	if err != nil {
		return err
	}
	if err := k.close(ctx, s, cost); err != nil {
		return err
	}
	k.open = slices.DeleteFunc(k.open, func(o Submission) bool { return o.Marker == s.Marker })
	for _, key := range s.Keys {
		delete(k.covered, key)
		if w := k.wanted[key]; w != nil && w.rounds >= maxRounds {
			if err := k.fail(key, fmt.Errorf("%d batches brought no answer", w.rounds)); err != nil {
				return err
			}
		}
	}
	switch {
	case state.err != nil:
		return state.err
	case state.canceled:
		return errors.New("it was cancelled; its answers are kept: run again to hand in the rest")
	}
	return nil
}

// result delivers one result, if it is wanted, and says what it cost.
func (k *batchCall) result(s *Submission, r result) (distill.Money, error) {
	w := k.wanted[r.key]
	if r.failed != nil {
		if w != nil && r.failed.verdict != again {
			return 0, k.fail(r.key, r.failed.err)
		}
		return 0, nil
	}
	request := distill.Request{}
	if w != nil {
		request = w.r
	}
	a, f := (&call{Client: k.c}).read(r.body, &request)
	a.Batch, a.Attempts, a.Latency = true, 1, time.Since(s.Created)
	a.Cost = k.c.o.batchCost(a.Usage)
	if a.PromptTokens == 0 {
		a.Cost = s.Most / distill.Money(len(s.Keys)) // it does not say
	}
	if w == nil {
		return a.Cost, nil
	}
	a.Attempts = max(1, w.rounds)
	k.c.tally.attempt(&a, f)
	switch {
	case f == nil:
		return a.Cost, k.deliver(r.key, a)
	case f.verdict == again:
		return a.Cost, nil
	}
	return a.Cost, k.fail(r.key, f.err)
}

func (k *batchCall) fail(key string, err error) error {
	k.c.tally.fail()
	return k.deliver(key, distill.Answer{Finish: distill.FinishFailed, Error: err.Error(), Batch: true})
}

// deliver hands an answer to all who asked for it; it is paid once.
func (k *batchCall) deliver(key string, a distill.Answer) error {
	w := k.wanted[key]
	delete(k.wanted, key)
	for n, i := range w.places {
		if n > 0 {
			a = clone(a)
			a.Cost = 0
		}
		if err := k.done(i, a); err != nil {
			return err
		}
	}
	return nil
}

// clone gives an answer slices of its own.
func clone(a distill.Answer) distill.Answer {
	a.Raw = slices.Clone(a.Raw)
	a.Pieces = slices.Clone(a.Pieces)
	for i, p := range a.Pieces {
		a.Pieces[i].Bytes, a.Pieces[i].Top = slices.Clone(p.Bytes), slices.Clone(p.Top)
	}
	return a
}
