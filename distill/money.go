package distill

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// Money is an amount in billionths of a US dollar.
type Money int64

// Dollar is one US dollar.
const Dollar Money = 1e9

// USD is an amount of dollars, rounded up to a billionth.
func USD(amount float64) Money { return Money(math.Ceil(amount * float64(Dollar))) }

// Dollars is the amount in dollars.
func (m Money) Dollars() float64 { return float64(m) / float64(Dollar) }

// String is the amount with as many decimals as it takes to see it: $0.0123.
func (m Money) String() string {
	switch d := math.Abs(m.Dollars()); {
	case d >= 1 || d == 0:
		return fmt.Sprintf("$%.2f", m.Dollars())
	case d >= 0.0001:
		return fmt.Sprintf("$%.4f", m.Dollars())
	}
	return fmt.Sprintf("$%.9f", m.Dollars())
}

// Price is what a server asks for its tokens, in dollars per million of them.
type Price struct {
	Input  float64 `yaml:"input" json:"input"`
	Output float64 `yaml:"output" json:"output"`
	// CachedInput is the price of input tokens read from the server's cache; nil
	// means that of Input.
	CachedInput *float64 `yaml:"cached_input" json:"cached_input,omitempty"`
	// Batch is the share of the prices that batch APIs ask; nil means 0.5.
	Batch *float64 `yaml:"batch" json:"batch,omitempty"`
}

// Validate reports every fault of the price at once.
func (p Price) Validate() error {
	var faults []error
	for _, n := range []struct {
		key   string
		value *float64
		most  float64
	}{{"input", &p.Input, 1e6}, {"output", &p.Output, 1e6}, {"cached_input", p.CachedInput, 1e6}, {"batch", p.Batch, 1}} {
		if n.value != nil && !(*n.value >= 0 && *n.value <= n.most) {
			faults = append(faults, fmt.Errorf("%s: %v: want a number from 0 to %v", n.key, *n.value, n.most))
		}
	}
	return errors.Join(faults...)
}

// Cost is the price of an answer that took so many tokens, rounded up.
func (p Price) Cost(u Usage, batch bool) Money {
	cached := p.Input
	if p.CachedInput != nil {
		cached = *p.CachedInput
	}
	millions := float64(u.PromptTokens-u.CachedTokens)*p.Input + float64(u.CachedTokens)*cached + float64(u.AnswerTokens)*p.Output
	if batch {
		share := 0.5
		if p.Batch != nil {
			share = *p.Batch
		}
		millions *= share
	}
	return USD(millions / 1e6)
}

// ErrBudget says that one more call might cost more than may still be spent.
var ErrBudget = errors.New("the budget is used up")

// Purse pays for calls to a server, from one budget. Its methods may be called
// from many goroutines at once.
type Purse interface {
	// Reserve sets aside the most that a call can cost, durably, before it is
	// made. Its error is ErrBudget, wrapped, if that is more than is left.
	Reserve(ctx context.Context, most Money) (id int64, err error)
	// Settle ends a reservation: actual is what the call cost. A reservation that
	// was never settled, because the process died, stays spent as a whole.
	Settle(ctx context.Context, id int64, actual Money) error
}
