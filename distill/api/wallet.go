package api

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/retort-ml/retort/distill"
)

// worst is the most that an attempt can take.
type worst struct {
	prompt, answer int // tokens
	cost           distill.Money
}

const (
	// hidden is how many tokens servers add to a body for its form: roles, ends of
	// turns, and the texts by which models are told of tools and schemas
	// (Anthropic's take up to about 800).
	hidden      = 64
	hiddenTools = 1024
)

// worst bounds an attempt: see the package's comment. With a price, it refuses
// messages whose tokens their bytes do not bound.
func (o *Options) worst(body []byte, r *distill.Request) (worst, error) {
	w := worst{prompt: len(body) + hidden, answer: o.maxTokens(r)}
	if r.Tools != "" || r.Schema != "" {
		w.prompt += hiddenTools
	}
	if o.Price == nil || o.Price.Input == 0 && o.Price.Output == 0 {
		return w, nil
	}
	if r.Messages != "" {
		if err := onlyText(r.Messages); err != nil {
			return w, err
		}
	}
	w.cost = o.cost(distill.Usage{PromptTokens: w.prompt, AnswerTokens: w.answer})
	return w, nil
}

// onlyText refuses messages with parts whose tokens their bytes do not bound,
// such as the addresses of pictures.
func onlyText(messages string) error {
	var list []message
	if err := decode([]byte(messages), &list); err != nil {
		return fmt.Errorf("messages: %w", err)
	}
	for i := range list {
		if _, err := list[i].text(); err != nil {
			return fmt.Errorf("messages[%d].%w: what it costs cannot be bounded before it is asked", i, err)
		}
	}
	return nil
}

// cost is what so many tokens cost; without a price nothing.
func (o *Options) cost(u distill.Usage) distill.Money {
	if o.Price == nil {
		return 0
	}
	return o.Price.Cost(u, false)
}

// expected is about how many tokens the server will count against its limit.
func (w worst) expected() int { return w.prompt/3 + w.answer }

// bytes is how large a response may be: room for JSON around each token and
// each alternative.
func (w worst) bytes(r *distill.Request) int64 {
	tokens := int64(w.answer)
	if r.Given != nil {
		tokens += int64(w.prompt)
	}
	return min(256<<20, 1<<20+tokens*int64(1024+256*r.TopK))
}

// wallet reserves from a purse. When the budget is short only because of what
// is under way, it waits for that to be settled.
type wallet struct {
	purse   distill.Purse // nil pays nothing
	mu      sync.Mutex
	open    int // reservations, and tries to make one
	settled chan struct{}
}

func newWallet(p distill.Purse) *wallet { return &wallet{purse: p, settled: make(chan struct{})} }

func (w *wallet) reserve(ctx context.Context, most distill.Money) (int64, error) {
	if w.purse == nil || most == 0 {
		return 0, nil
	}
	for {
		w.mu.Lock()
		w.open++
		settled := w.settled
		w.mu.Unlock()
		id, err := w.purse.Reserve(ctx, most)
		if err == nil {
			return id, nil
		}
		w.mu.Lock()
		w.open--
		wait := w.open > 0 || settled != w.settled
		w.mu.Unlock()
		if !errors.Is(err, distill.ErrBudget) || !wait {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-settled:
		}
	}
}

// settle ends the reservation of most.
func (w *wallet) settle(ctx context.Context, id int64, most, actual distill.Money) error {
	if w.purse == nil || most == 0 {
		return nil
	}
	err := w.purse.Settle(ctx, id, actual)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
	close(w.settled)
	w.settled = make(chan struct{})
	return err
}
