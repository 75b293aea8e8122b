package distill

import (
	"context"
	"fmt"
	"iter"
	"sync"
)

// Collect asks a teacher for the answers to requests that the store does not
// hold, once for equal requests, and keeps each as it arrives; Store.Each then
// reads them in order. Requests are pulled as the teacher takes them: of any
// number, only those under way are held. After any error, cancel or kill,
// calling again goes on from there, and whatever arrived is kept. progress, if
// not nil, hears how many requests are done with, in calls that do not overlap.
//
// Requests that fail for good are counted, and no error: see Stats.Err.
func Collect(ctx context.Context, store *Store, teacher Teacher, requests iter.Seq2[Request, error], progress func(done int)) (Stats, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &collection{store: store, teacher: teacher.Identity(), progress: progress, stop: cancel,
		under: map[int]asked{}, keys: map[Key]bool{}, failed: map[Key]bool{}, arrived: make(chan taken, waitingAnswers)}
	var writer sync.WaitGroup
	writer.Go(func() { c.write(context.WithoutCancel(ctx)) })
	err := teacher.Answer(ctx, c.missing(ctx, requests), c.take)
	close(c.arrived)
	writer.Wait()
	switch {
	case c.writeErr != nil:
		return c.stats, c.writeErr
	case c.inputErr != nil:
		return c.stats, c.inputErr
	case err == nil && len(c.under) > 0:
		err = fmt.Errorf("it left %d of %d requests without an answer", len(c.under), c.number)
	}
	if err != nil {
		return c.stats, fmt.Errorf("ask teacher %s: %w", c.teacher, err)
	}
	return c.stats, nil
}

const (
	// waitingAnswers is how many answers may wait for the disk before the teacher
	// does, and about how many are written at a time.
	waitingAnswers = 128
	failedKept     = 100_000 // failed requests that are known again
)

// collection is one call of Collect. Requests under way are known by their
// keys, from before the store is looked into until their answers are on the
// disk: so an equal request finds either one of them.
type collection struct {
	store    *Store
	teacher  string
	progress func(done int)
	stop     func()
	arrived  chan taken
	inputErr error // of the requests; the teacher's goroutine writes it

	mu       sync.Mutex    // guards the rest
	under    map[int]asked // by index in the order of asking
	keys     map[Key]bool  // of under
	failed   map[Key]bool
	number   int // asked so far
	done     int
	stats    Stats
	writeErr error
}

type asked struct {
	index   int // of the request, in the order of the requests
	key     Key
	request Request
	taken   bool
}

// taken is an answer on its way to the disk.
type taken struct {
	index int
	arrival
}

// missing are the requests that need the teacher.
func (c *collection) missing(ctx context.Context, requests iter.Seq2[Request, error]) iter.Seq2[int, Request] {
	return func(yield func(int, Request) bool) {
		first := 0
		for chunk, err := range chunks(requests, keysPerQuery) {
			from, fault := c.ask(ctx, first, chunk)
			for i := range from.n {
				c.mu.Lock()
				r := c.under[from.first+i].request
				c.mu.Unlock()
				if !yield(from.first+i, r) {
					return
				}
			}
			if fault == nil {
				fault = err
			}
			if fault != nil {
				c.inputErr = fault
				return
			}
			first += len(chunk)
		}
	}
}

// span is n requests from the first.
type span struct{ first, n int }

// ask counts the requests of a chunk, and puts those that need the teacher
// under way. An invalid request is an error, and ends the chunk before it.
func (c *collection) ask(ctx context.Context, first int, chunk []Request) (span, error) {
	var fresh []asked
	var keys []Key
	var fault error
	c.mu.Lock()
	repeated, seen := 0, map[Key]bool{}
	for i, r := range chunk {
		if err := r.Validate(); err != nil {
			fault = fmt.Errorf("request %d: %w", first+i, err)
			break
		}
		key := r.Key(c.teacher)
		if seen[key] || c.keys[key] || c.failed[key] {
			repeated++
			continue
		}
		seen[key] = true
		fresh, keys = append(fresh, asked{index: first + i, key: key, request: r}), append(keys, key)
	}
	c.mu.Unlock()
	found, err := c.store.bills(ctx, keys)
	if err != nil {
		return span{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := span{first: c.number}
	for _, a := range fresh {
		if b, ok := found[a.key]; ok {
			c.stats.Cached.add(b.Usage, b.cost)
			continue
		}
		c.under[c.number], c.keys[a.key] = a, true
		c.number++
		at.n++
	}
	c.stats.Requests += repeated + len(fresh)
	c.stats.Repeated += repeated
	c.advance(repeated + len(found))
	return at, fault
}

// take is what the teacher calls with an answer.
func (c *collection) take(i int, a Answer) error {
	c.mu.Lock()
	request, ok := c.under[i]
	ok = ok && !request.taken
	request.taken = true
	if ok {
		c.under[i] = request
	}
	err := c.writeErr
	if ok && a.Finish == FinishFailed {
		c.fail(i, request, a)
	}
	c.mu.Unlock()
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("it answered request %d, which it was not asked, or twice", i)
	case a.Finish != FinishFailed:
		c.arrived <- taken{index: i, arrival: arrival{key: request.key, request: request.request, answer: a}}
	}
	return nil
}

func (c *collection) fail(i int, r asked, a Answer) {
	c.stats.fail(r.index, a)
	if len(c.failed) < failedKept {
		c.failed[r.key] = true
	}
	delete(c.under, i)
	delete(c.keys, r.key)
	c.advance(1)
}

// write keeps answers, as many at a time as have arrived. After an error it
// only empties the channel.
func (c *collection) write(ctx context.Context) {
	for first := range c.arrived {
		list := []taken{first}
		for len(list) < waitingAnswers && len(c.arrived) > 0 {
			list = append(list, <-c.arrived)
		}
		if c.writeErr == nil { // nobody else writes it
			c.keep(ctx, list)
		}
	}
}

func (c *collection) keep(ctx context.Context, list []taken) {
	arrivals := make([]arrival, len(list))
	for i, t := range list {
		arrivals[i] = t.arrival
	}
	_, err := c.store.put(ctx, c.teacher, arrivals)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.writeErr = err
		c.stop() // what cannot be kept need not be paid for
		return
	}
	for _, t := range list {
		c.stats.count(t.answer)
		delete(c.under, t.index)
		delete(c.keys, t.key)
	}
	c.advance(len(list))
}

// advance reports progress.
func (c *collection) advance(n int) {
	c.done += n
	if n > 0 && c.progress != nil {
		c.progress(c.done)
	}
}
