package api

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/retort-ml/retort/distill"
)

// BatchOptions say how answers are asked for through a batch API.
type BatchOptions struct {
	Poll        time.Duration `yaml:"poll"`         // between looks at a batch; 0 means 1m
	MaxRequests int           `yaml:"max_requests"` // in one batch; 0 means as many as the provider lets
}

// Validate reports every fault of the options at once.
func (o BatchOptions) Validate() error {
	var faults []error
	if o.Poll < 0 {
		faults = append(faults, fmt.Errorf("poll: %v: want 0 or more", o.Poll))
	}
	if o.MaxRequests < 0 {
		faults = append(faults, fmt.Errorf("max_requests: %d: want 0 or more", o.MaxRequests))
	}
	return errors.Join(faults...)
}

// Submission is what has to be known of a batch after a crash.
type Submission struct {
	Marker      string        `json:"marker"`  // names it; the server is told of it where it can keep it
	Teacher     string        `json:"teacher"` // its identity
	Keys        []string      `json:"keys"`    // of its requests
	Created     time.Time     `json:"created"`
	Batch       string        `json:"batch"` // the server's name for it; "" before it is known to have it
	Reservation int64         `json:"reservation"`
	Most        distill.Money `json:"most"` // reserved for it
	Done        bool          `json:"done"` // its results were taken, or it never came to be
}

// Ledger keeps submissions, durably. Save replaces the one with its marker;
// Open returns those of a teacher that are not done.
type Ledger interface {
	Save(ctx context.Context, s Submission) error
	Open(ctx context.Context, teacher string) ([]Submission, error)
}

// Batcher is a teacher that hands requests in through a batch API. It holds the
// requests of a call in memory. A submission is in the ledger before it is made,
// so that a crash between making it and knowing of it pays nothing twice. When
// ctx ends, batches go on at the server, and the next call with the same
// requests takes them up, days later too.
type Batcher struct {
	c      *Client
	o      BatchOptions
	ledger Ledger
	api    batchAPI
}

var _ distill.Teacher = (*Batcher)(nil)

// batchAPI is one provider's.
type batchAPI interface {
	limits() (requests, bytes int)
	// line writes a request of a batch.
	line(key string, body []byte) ([]byte, error)
	// submit makes a batch of lines and returns its name.
	submit(ctx context.Context, s *Submission, lines [][]byte) (string, error)
	// find looks for a batch that may be the submission's; "" if there is none.
	// known tells of batches that are another's.
	find(ctx context.Context, s *Submission, known func(batch string) bool) (string, error)
	look(ctx context.Context, batch string) (batchState, error)
	// results calls each with every result. One may come twice.
	results(ctx context.Context, state batchState, each func(result) error) error
}

// batchState is what a server says of a batch.
type batchState struct {
	batch    string
	over     bool
	canceled bool // by the user
	err      error
	files    []string // of results, where a provider has files
}

// result is of one request: body is the response, or failed says why there is none.
type result struct {
	key    string
	body   []byte
	failed *failure
}

// NewBatcher makes a batcher that asks as c does.
func NewBatcher(c *Client, o BatchOptions, ledger Ledger) (*Batcher, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if c.o.Stream {
		return nil, errors.New("stream: batches are not streamed")
	}
	b := &Batcher{c: c, o: o, ledger: ledger}
	switch c.o.API {
	case OpenAI, Completions:
		b.api = openAIBatches{c}
	case Anthropic:
		b.api = anthropicBatches{c}
	default:
		return nil, fmt.Errorf("batch: api %s has none that retort knows", c.o.API)
	}
	if b.o.Poll == 0 {
		b.o.Poll = time.Minute
	}
	most, _ := b.api.limits()
	if b.o.MaxRequests == 0 || b.o.MaxRequests > most {
		b.o.MaxRequests = most
	}
	return b, nil
}

// Identity is that of the client: a batch gives the same answers.
func (b *Batcher) Identity() string { return b.c.Identity() }

// waiting is a request without an answer.
type waiting struct {
	r      distill.Request
	places []int // of the call's requests; equal ones are asked once
	rounds int   // batches that it was in
}

// maxRounds is how often a request is handed in before it has failed.
const maxRounds = 3

// batchCall is one call of Answer.
type batchCall struct {
	*Batcher
	done    func(int, distill.Answer) error
	wanted  map[string]*waiting // by key
	order   []string            // keys, as they came
	open    []Submission        // under way, and wanted
	covered map[string]bool     // keys of open
}

// Answer hands in what is not under way yet, and waits for all.
func (b *Batcher) Answer(ctx context.Context, requests iter.Seq2[int, distill.Request], done func(int, distill.Answer) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	k := &batchCall{Batcher: b, done: done, wanted: map[string]*waiting{}, covered: map[string]bool{}}
	for i, r := range requests {
		if err := b.c.wire.can(&r); err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
		if r.Given != nil {
			return fmt.Errorf("request %d: batches do not score given responses", i)
		}
		b.c.tally.request()
		key := r.Key(b.Identity()).String()
		if w := k.wanted[key]; w != nil {
			w.places = append(w.places, i)
			continue
		}
		k.wanted[key] = &waiting{r: r, places: []int{i}}
		k.order = append(k.order, key)
	}
	err := k.run(ctx)
	if ctx.Err() != nil && len(k.open) > 0 {
		return fmt.Errorf("%d batches go on at the server, and the next run takes them up: %w", len(k.open), ctx.Err())
	}
	return err
}

func (k *batchCall) run(ctx context.Context) error {
	if err := k.resume(ctx); err != nil {
		return fmt.Errorf("take up batches: %w", err)
	}
	var short error // of the budget: what is under way still comes in
	for {
		if short == nil {
			if err := k.submitMissing(ctx); errors.Is(err, distill.ErrBudget) {
				short = err
			} else if err != nil {
				return fmt.Errorf("submit a batch: %w", err)
			}
		}
		if len(k.open) == 0 {
			return short
		}
		took, err := k.collect(ctx)
		if err != nil {
			return err
		}
		if took {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(k.o.Poll):
		}
	}
}

// resume finds what earlier calls have handed in.
func (k *batchCall) resume(ctx context.Context) error {
	all, err := k.ledger.Open(ctx, k.Identity())
	if err != nil {
		return err
	}
	known := func(batch string) bool {
		return slices.ContainsFunc(all, func(s Submission) bool { return s.Batch == batch })
	}
	for i := range all {
		s := &all[i]
		if !slices.ContainsFunc(s.Keys, func(key string) bool { return k.wanted[key] != nil }) {
			continue // another call's
		}
		if s.Batch == "" {
			if s.Batch, err = k.api.find(ctx, s, known); err != nil {
				return err
			}
			if s.Batch == "" { // it never came to be
				if err := k.close(ctx, s, 0); err != nil {
					return err
				}
				continue
			}
			if err := k.ledger.Save(ctx, *s); err != nil {
				return err
			}
		}
		k.begin(*s)
	}
	return nil
}

// begin counts a submission as under way.
func (k *batchCall) begin(s Submission) {
	k.open = append(k.open, s)
	for _, key := range s.Keys {
		k.covered[key] = true
	}
}

// close ends a submission in purse and ledger.
func (k *batchCall) close(ctx context.Context, s *Submission, cost distill.Money) error {
	ctx = context.WithoutCancel(ctx)
	if k.c.purse != nil && s.Most > 0 {
		if err := k.c.purse.Settle(ctx, s.Reservation, cost); err != nil {
			return fmt.Errorf("pay for batch %s: %w", s.Marker, err)
		}
	}
	s.Done = true
	return k.ledger.Save(ctx, *s)
}
