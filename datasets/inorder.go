package datasets

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// chunkExamples is how many examples a core encodes at a time.
const chunkExamples = 256

// chunk is examples that one goroutine encodes.
type chunk struct {
	first    int // index of the first example
	examples []Example
	encoded  []Encoded
	err      error
	done     chan struct{} // closed when encoded or err is set
}

// eachInOrder encodes the examples from index skip on, on all cores, and calls
// each with the results in order. A few chunks for every core are in memory.
func eachInOrder(ctx context.Context, examples iter.Seq2[Example, error], skip int,
	encode func(int, *Example) (Encoded, error), each func(*Encoded) error) error {
	workers := runtime.GOMAXPROCS(0)
	jobs, order := make(chan *chunk), make(chan *chunk, 2*workers)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(order)
		defer close(jobs)
		readChunks(ctx, examples, skip, jobs, order)
	})
	for range workers {
		wg.Go(func() {
			for c := range jobs {
				c.run(encode)
			}
		})
	}
	for c := range order {
		select {
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		for i := range c.encoded {
			if err := each(&c.encoded[i]); err != nil {
				return err
			}
		}
		if c.err != nil {
			return c.err
		}
	}
	return ctx.Err()
}

// run encodes the chunk up to the first error.
func (c *chunk) run(encode func(int, *Example) (Encoded, error)) {
	defer close(c.done)
	c.encoded = make([]Encoded, 0, len(c.examples))
	for i := range c.examples {
		e, err := encode(c.first+i, &c.examples[i])
		if err != nil {
			c.err = err
			return
		}
		c.encoded = append(c.encoded, e)
	}
	c.examples = nil
}

// readChunks cuts the examples into chunks. An error of theirs is a chunk's.
func readChunks(ctx context.Context, examples iter.Seq2[Example, error], skip int, jobs, order chan<- *chunk) {
	next, index := &chunk{first: skip}, 0
	send := func() bool {
		c := next
		c.done = make(chan struct{})
		next = &chunk{first: c.first + len(c.examples)}
		select {
		case order <- c:
		case <-ctx.Done():
			return false
		}
		select {
		case jobs <- c:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for e, err := range examples {
		if err != nil {
			if send() { // what came before it
				failed := &chunk{err: err, done: make(chan struct{})}
				close(failed.done)
				select {
				case order <- failed:
				case <-ctx.Done():
				}
			}
			return
		}
		if index++; index <= skip {
			continue
		}
		next.examples = append(next.examples, e)
		if len(next.examples) == chunkExamples && !send() {
			return
		}
	}
	if len(next.examples) > 0 {
		send()
	}
}
