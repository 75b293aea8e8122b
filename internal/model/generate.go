package model

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/retort-ml/retort/internal/random"
)

// GenerateOptions control Generate.
type GenerateOptions struct {
	Sampling
	MaxTokens int     // longest answer; 0 means 256
	Stop      []int32 // tokens that end an answer; they are part of it
	TopK      int     // alternatives recorded per token; 0 is none
	Batch     int     // most sequences at a time; 0 means 32
	// Seed is of the sampling: prompt i draws from a stream of its own. Seeds, if
	// given, has one per prompt instead, so that a prompt's draws do not follow
	// from its place among others.
	Seed  uint64
	Seeds []uint64
	// Stepped is called after each step with the number of tokens that it chose,
	// one for each sequence under way; nil is nobody.
	Stepped func(tokens int)
}

// stream is where prompt i draws from.
func (o *GenerateOptions) stream(i int) *rand.Rand {
	if o.Seeds != nil {
		return random.Stream(o.Seeds[i], "sampling")
	}
	return random.Stream(o.Seed, fmt.Sprintf("sampling %d", i))
}

// Answer is what a model generated for a prompt.
type Answer struct {
	Tokens   []int32 // with the stop token, if one ended it
	Stopped  bool    // a stop token ended it, not MaxTokens or the model's positions
	LogProbs []float32
	Top      []TopTokens // per token, when asked for
}

// TopTokens are the most likely tokens at one place, likeliest first, with
// their log-probabilities in nats.
type TopTokens struct {
	IDs      []int32
	LogProbs []float32
}

// prefillRows bounds the prompt tokens that one step takes in.
const prefillRows = 2048

// generation is one sequence under way.
type generation struct {
	prompt int // index
	cache  *Cache
	next   []int32 // tokens not yet in the cache
	answer Answer
	rng    *rand.Rand
}

// Generate answers prompts (token ids, not empty), several at a time: when one
// answer is finished, the next prompt takes its place. done gets each answer as
// it is finished, with the prompt's index, in the calling goroutine; its error
// ends the generation. An answer ends with a stop token, after MaxTokens, or
// when the model has no position for one more. Every prompt draws from a random
// stream of its own and every row is summed in one order, so answers do not
// depend on which others were under way.
func (d *Decoder) Generate(ctx context.Context, prompts [][]int32, o GenerateOptions, done func(i int, a Answer) error) error {
	if o.MaxTokens == 0 {
		o.MaxTokens = 256
	}
	if o.Batch == 0 {
		o.Batch = 32
	}
	if err := d.checkGenerate(prompts, o); err != nil {
		return err
	}
	var active []*generation
	for waiting := 0; waiting < len(prompts) || len(active) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows := 0
		for waiting < len(prompts) && len(active) < o.Batch && (rows == 0 || rows+len(prompts[waiting]) <= prefillRows) {
			p := prompts[waiting]
			active = append(active, &generation{prompt: waiting, next: p, cache: d.NewCache(len(p) + min(o.MaxTokens, 32)),
				rng: o.stream(waiting)})
			rows += len(p)
			waiting++
		}
		if err := d.advance(active, &o); err != nil {
			return err
		}
		if o.Stepped != nil {
			o.Stepped(len(active))
		}
		var err error
		active = slices.DeleteFunc(active, func(g *generation) bool {
			if !d.finished(g, &o) || err != nil {
				return false
			}
			err = done(g.prompt, g.answer)
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// checkGenerate refuses what would end the generation later, before any answer.
func (d *Decoder) checkGenerate(prompts [][]int32, o GenerateOptions) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	if o.Seeds != nil && len(o.Seeds) != len(prompts) {
		return fmt.Errorf("generate: %d seeds for %d prompts", len(o.Seeds), len(prompts))
	}
	for i, p := range prompts {
		if err := d.checkTokens(p, 0); err != nil {
			return fmt.Errorf("prompt %d: %w", i, err)
		}
	}
	return nil
}

// Validate reports every field that is out of range.
func (o GenerateOptions) Validate() error {
	errs := []error{o.Sampling.Validate()}
	for _, v := range []struct {
		name  string
		value int
	}{{"max tokens", o.MaxTokens}, {"alternatives per token", o.TopK}, {"batch", o.Batch}} {
		if v.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %d: want 0 or more", v.name, v.value))
		}
	}
	return errors.Join(errs...)
}

// advance runs one step and chooses every sequence's next token.
func (d *Decoder) advance(active []*generation, o *GenerateOptions) error {
	runs := make([]Run, len(active))
	last := make([]int32, len(active))
	row := 0
	for i, g := range active {
		runs[i] = Run{g.cache, g.next}
		row += len(g.next)
		last[i] = int32(row - 1)
	}
	h, err := d.Step(runs)
	if err != nil {
		return fmt.Errorf("prompt %d and others: %w", active[0].prompt, err)
	}
	logits := d.Logits(h, last)
	d.m.dev.LogSoftmax(logits)
	for i, g := range active {
		row := d.m.dev.Host(logits.RowRange(i, i+1))
		if err := finite(row); err != nil {
			return fmt.Errorf("prompt %d: token %d of the answer: %w", g.prompt, len(g.answer.Tokens), err)
		}
		id := o.choose(row, g.rng)
		g.next = []int32{id}
		g.answer.Tokens = append(g.answer.Tokens, id)
		g.answer.LogProbs = append(g.answer.LogProbs, row[id])
		if o.TopK > 0 {
			ids, logProbs := top(row, o.TopK)
			g.answer.Top = append(g.answer.Top, TopTokens{ids, logProbs})
		}
	}
	return nil
}

// finished tells whether g's answer ends with its last token.
func (d *Decoder) finished(g *generation, o *GenerateOptions) bool {
	if slices.Contains(o.Stop, g.answer.Tokens[len(g.answer.Tokens)-1]) {
		g.answer.Stopped = true
		return true
	}
	return len(g.answer.Tokens) >= o.MaxTokens || g.cache.Len() >= d.m.Config.MaxPositionEmbeddings
}

// finite refuses log-probabilities with a NaN: a model whose numbers broke.
func finite(logProbs []float32) error {
	for id, v := range logProbs {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 1) {
			return fmt.Errorf("log-probability of token id %d is %v", id, v)
		}
	}
	return nil
}
