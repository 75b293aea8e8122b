package distill

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
)

// Stats says what Collect did. Money is what the calls cost, as far as it is known.
type Stats struct {
	Requests int // asked for
	Cached   int // of those, answered from the store
	Fresh    int // answered by the teacher now, Batch among them
	Batch    int // through a batch API
	Repeated int // equal to an earlier request of the call
	Failed   int // without an answer, however often they are asked
	Retries  int // calls beyond the first of each fresh answer

	PromptTokens int // of the fresh answers
	AnswerTokens int // of the fresh answers

	Saved     Money // cost of the cached answers when they were asked for
	Cost      Money // of the fresh answers, without batch and retries
	BatchCost Money
	RetryCost Money

	Failures []Failure // the first of the failed requests
}

// Failure is a request that has no answer.
type Failure struct {
	Index  int
	Prompt string
	Error  string
}

// maxFailures is how many failures are listed one by one; all are counted.
const maxFailures = 20

// CollectOptions control Collect.
type CollectOptions struct {
	// Progress, if not nil, hears how many requests have their answer, in calls
	// that do not overlap.
	Progress func(done int)
}

// Collect sees to it that the store has the answers of requests, which come with
// their indices, in any number: they are looked at in turn, and only those under
// way are in memory. The teacher is asked for what the store does not hold, once
// for equal requests, and each of its answers is stored before it counts: after
// any error or kill, calling again goes on from there. Requests without an answer
// are counted as failed and are no error. With an error, Stats says what was done
// until then.
func Collect(ctx context.Context, store *Store, teacher Teacher, requests iter.Seq2[int, Request], o CollectOptions) (Stats, error) {
	c := &collection{ctx: ctx, store: store, identity: teacher.Identity(), o: o, underway: map[Key]Request{}, keys: map[int]Key{}}
	err := teacher.Answer(ctx, c.missing(requests), c.done)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.stats, c.err
	}
	if err == nil && (len(c.underway) > 0 || !c.exhausted) {
		err = fmt.Errorf("it answered %d of %d requests that it was asked, and there may be more", c.asked-len(c.underway), c.asked)
	}
	if err != nil {
		return c.stats, fmt.Errorf("ask teacher %s: %w", c.identity, err)
	}
	return c.stats, nil
}

// collection is a call of Collect. The teacher may pull requests while it hands
// over answers.
type collection struct {
	ctx      context.Context
	store    *Store
	identity string
	o        CollectOptions

	mu        sync.Mutex // of what follows
	stats     Stats
	asked     int
	underway  map[Key]Request
	keys      map[int]Key // of those under way, by index
	exhausted bool        // there are no more requests
	err       error       // of reading requests or the store
}

// lookedUp is how many requests are looked up in the store at a time.
const lookedUp = keysPerQuery

// indexed is a request with its index and key.
type indexed struct {
	index   int
	request Request
	key     Key
}

// missing yields the requests that the teacher is to answer. The store is asked
// about a chunk of them just before they are needed, so that what was answered
// meanwhile is found.
func (c *collection) missing(requests iter.Seq2[int, Request]) iter.Seq2[int, Request] {
	return func(yield func(int, Request) bool) {
		chunk := make([]indexed, 0, lookedUp)
		for i, r := range requests {
			if err := r.Validate(); err != nil {
				c.fail(fmt.Errorf("request %d: %w", i, err))
				return
			}
			chunk = append(chunk, indexed{i, r, r.Key(c.identity)})
			if len(chunk) == lookedUp {
				if !c.yield(chunk, yield) {
					return
				}
				chunk = chunk[:0]
			}
		}
		if c.yield(chunk, yield) {
			c.mu.Lock()
			c.exhausted = true
			c.mu.Unlock()
		}
	}
}

func (c *collection) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// yield hands on those of the chunk that the store does not have.
func (c *collection) yield(chunk []indexed, yield func(int, Request) bool) bool {
	keys := make([]Key, len(chunk))
	for i := range chunk {
		keys[i] = chunk[i].key
	}
	costs, err := c.store.costs(c.ctx, keys)
	if err != nil {
		c.fail(err)
		return false
	}
	seen := map[Key]bool{}
	for _, r := range chunk {
		cost, stored := costs[r.key]
		if c.isNew(r, seen[r.key], stored, cost) && !yield(r.index, r.request) {
			return false
		}
		seen[r.key] = true
	}
	return true
}

// isNew counts a request, and says whether the teacher is to answer it.
func (c *collection) isNew(r indexed, seen, stored bool, cost Money) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Requests++
	_, waits := c.underway[r.key]
	switch {
	case seen || waits:
		c.stats.Repeated++
	case stored:
		c.stats.Cached++
		c.stats.Saved += cost
	default:
		c.underway[r.key], c.keys[r.index] = r.request, r.key
		c.asked++
		return true
	}
	c.progress()
	return false
}

func (c *collection) progress() {
	if c.o.Progress != nil {
		c.o.Progress(c.stats.Cached + c.stats.Repeated + c.stats.Fresh + c.stats.Failed)
	}
}

// done stores an answer.
func (c *collection) done(i int, a Answer) error {
	c.mu.Lock()
	key, ok := c.keys[i]
	r := c.underway[key]
	c.mu.Unlock()
	if !ok {
		return fmt.Errorf("it answered request %d, which it was not asked, or twice", i)
	}
	if a.Finish != FinishFailed {
		// What has arrived is kept, also when the call is to end.
		if _, err := c.store.Put(context.WithoutCancel(c.ctx), c.identity, r, a); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.Finish == FinishFailed {
		c.stats.Failed++
		c.stats.RetryCost += a.Cost + a.RetryCost
		if len(c.stats.Failures) < maxFailures {
			c.stats.Failures = append(c.stats.Failures, Failure{i, r.Prompt, a.Error})
		}
	} else {
		c.count(a)
	}
	delete(c.underway, key)
	delete(c.keys, i)
	c.progress()
	return nil
}

func (c *collection) count(a Answer) {
	s := &c.stats
	s.Fresh++
	s.PromptTokens += a.PromptTokens
	s.AnswerTokens += a.AnswerTokens
	s.Retries += max(0, a.Attempts-1)
	s.RetryCost += a.RetryCost
	if a.Batch {
		s.Batch++
		s.BatchCost += a.Cost
	} else {
		s.Cost += a.Cost
	}
}

// ErrNotAnswered says that the store has no answer to a request.
var ErrNotAnswered = errors.New("the answer store has no answer to the request")

// Answers yields the store's answers to requests to the teacher of that
// identity, in their order; a few are in memory at a time. The answer to a
// request that has none is of FinishFailed, its Error ErrNotAnswered's text. An
// error ends the sequence.
func (s *Store) Answers(ctx context.Context, teacher string, requests iter.Seq2[int, Request]) iter.Seq2[Answer, error] {
	return func(yield func(Answer, error) bool) {
		var keys []Key
		flush := func() bool {
			found, err := s.Get(ctx, keys)
			if err != nil {
				yield(Answer{}, err)
				return false
			}
			for _, k := range keys {
				a, ok := found[k]
				if !ok {
					a = Answer{Finish: FinishFailed, Error: ErrNotAnswered.Error()}
				}
				if !yield(a, nil) {
					return false
				}
			}
			keys = keys[:0]
			return true
		}
		for _, r := range requests {
			if keys = append(keys, r.Key(teacher)); len(keys) == lookedUp && !flush() {
				return
			}
		}
		flush()
	}
}
