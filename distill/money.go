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
	// Long are the prices of calls with long prompts; nil means the same.
	Long *LongPrice `yaml:"long" json:"long,omitempty"`
}

// LongPrice is what a server asks for all tokens of a call whose prompt has
// more than Above tokens, in dollars per million of them.
type LongPrice struct {
	Above       int      `yaml:"above" json:"above"`
	Input       float64  `yaml:"input" json:"input"`
	Output      float64  `yaml:"output" json:"output"`
	CachedInput *float64 `yaml:"cached_input" json:"cached_input,omitempty"` // nil means that of Input
}

// Validate reports every fault of the price at once.
func (p Price) Validate() error {
	faults := checkPrices("", &p.Input, &p.Output, p.CachedInput)
	if p.Batch != nil && !(*p.Batch >= 0 && *p.Batch <= 1) {
		faults = append(faults, fmt.Errorf("batch: %v: want a number from 0 to 1", *p.Batch))
	}
	if l := p.Long; l != nil {
		faults = append(faults, checkPrices("long.", &l.Input, &l.Output, l.CachedInput)...)
		if l.Above < 1 {
			faults = append(faults, fmt.Errorf("long.above: %d: want 1 or more", l.Above))
		}
	}
	return errors.Join(faults...)
}

// highestPrice is above any; it catches prices per token that were meant otherwise.
const highestPrice = 1e6

func checkPrices(prefix string, input, output, cached *float64) (faults []error) {
	for _, n := range []struct {
		key   string
		value *float64
	}{{"input", input}, {"output", output}, {"cached_input", cached}} {
		if n.value != nil && !(*n.value >= 0 && *n.value <= highestPrice) {
			faults = append(faults, fmt.Errorf("%s%s: %v: want a number from 0 to %v", prefix, n.key, *n.value, highestPrice))
		}
	}
	return faults
}

// Cost is the price of an answer that took so many tokens, rounded up.
func (p Price) Cost(u Usage, batch bool) Money {
	input, output, cached := p.Input, p.Output, p.CachedInput
	if p.Long != nil && u.PromptTokens > p.Long.Above {
		input, output, cached = p.Long.Input, p.Long.Output, p.Long.CachedInput
	}
	if cached == nil {
		cached = &input
	}
	millions := float64(u.PromptTokens-u.CachedTokens)*input + float64(u.CachedTokens)**cached + float64(u.AnswerTokens)*output
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
	// made. Its error is ErrBudget, wrapped, if that is more than is left. It may
	// wait for other calls to be settled: whoever makes many calls at once, as a
	// batch, reserves their sum.
	Reserve(ctx context.Context, most Money) (id int64, err error)
	// Settle ends a reservation: actual is what the call cost. A reservation that
	// was never settled, because the process died, stays spent as a whole.
	Settle(ctx context.Context, id int64, actual Money) error
}
