package model

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/retort-ml/retort/internal/compute"
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
	// Begin, if given, is called when prompt i is begun. Prompts that begin alike
	// are answered one after another, whatever their order.
	Begin func(i int)
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

// prefillRows bounds the prompt tokens that one step takes in: answers under
// way wait no longer for the prompts of others. Products of that many rows are
// about as fast as of more.
const prefillRows = 512

// generation is one sequence under way.
type generation struct {
	*intake
	next   [1]int32 // token not yet in the cache
	row    int      // of the step, whose logits it goes on from
	answer Answer
	rng    *rand.Rand
	known  *repetition // nil without a penalty
}

// Generate answers prompts (token ids, not empty), several at a time: when one
// answer is finished, the next prompt takes its place; long prompts are taken
// in over several steps, and what prompts begin with in common is computed
// once. done gets each answer as it is finished, with the prompt's index, in
// the calling goroutine; its error ends the generation. An answer ends with a
// stop token, after MaxTokens, or when the model has no position for one more.
// Every prompt draws from a random stream of its own and every row is summed in
// one order, so answers do not depend on which others were under way.
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
	g := generator{d: d, o: &o}
	g.feed = d.newFeed(prompts, func(i int) int { return len(prompts[i]) - 1 }, min(o.MaxTokens, 2*minGrowth))
	for !g.feed.empty() || len(g.active) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := g.step(); err != nil {
			return err
		}
		if o.Stepped != nil {
			o.Stepped(len(g.active))
		}
		if err := g.finish(done); err != nil {
			return err
		}
	}
	return nil
}

// generator is a call of Generate.
type generator struct {
	d      *Decoder
	o      *GenerateOptions
	feed   *feed
	pieces []piece
	active []*generation
}

// step takes prompts in, runs the tokens that were chosen last, and chooses the next ones.
func (g *generator) step() error {
	e := &g.d.eager
	e.begin()
	begun := g.feed.next
	free := g.o.Batch - len(g.active)
	if g.feed.partial != nil {
		free--
	}
	g.pieces = g.feed.fill(g.pieces[:0], prefillRows, free)
	if g.o.Begin != nil {
		for _, i := range g.feed.order[begun:g.feed.next] {
			g.o.Begin(i)
		}
	}
	for _, a := range g.active {
		a.row = e.add(Run{Cache: a.cache, Tokens: a.next[:], Generated: true})
	}
	for _, p := range g.pieces {
		if p.whole {
			g.active = append(g.active, g.begin(p))
		}
	}
	h := g.d.run()
	if len(g.active) == 0 {
		return nil
	}
	return g.choose(h)
}

// begin makes the generation of a prompt that is in whole.
func (g *generator) begin(p piece) *generation {
	a := &generation{intake: p.intake, row: p.row + p.to - p.from - 1, rng: g.o.stream(p.index)}
	if g.o.penalizes() {
		a.known = newRepetition(g.o.RepetitionPenalty, g.d.m.Config.VocabSize)
		a.known.note(g.feed.sequences[p.index]...)
	}
	return a
}

// choose chooses every sequence's next token.
func (g *generator) choose(h compute.Mat) error {
	d := g.d
	d.rows = d.rows[:0]
	for _, a := range g.active {
		d.rows = append(d.rows, int32(a.row))
	}
	logits := d.nextLogits(h, d.rows)
	for i, a := range g.active {
		if a.known != nil {
			a.known.read(d.m.dev.Host(logits.RowRange(i, i+1)))
		}
	}
	d.m.dev.LogSoftmax(logits)
	if g.o.Temperature == 0 && !g.o.penalizes() { // of all rows at once, which is faster
		d.best = slices.Grow(d.best[:0], logits.Rows)[:logits.Rows]
		d.m.dev.Largest(logits, d.best)
	}
	for i, a := range g.active {
		if err := g.extend(a, i, d.m.dev.Host(logits.RowRange(i, i+1))); err != nil {
			return fmt.Errorf("prompt %d: token %d of the answer: %w", a.index, len(a.answer.Tokens), err)
		}
	}
	return nil
}

// extend chooses a's next token from the log-probabilities of the i-th row.
func (g *generator) extend(a *generation, i int, row []float32) error {
	if err := finite(row); err != nil {
		return err
	}
	var id int32
	switch {
	case a.known != nil:
		a.known.apply(row)
		id = g.d.sampler.choose(&g.o.Sampling, row, a.rng)
		a.known.undo(row)
		a.known.note(id)
	case g.o.Temperature == 0:
		id = g.d.best[i]
	default:
		id = g.d.sampler.choose(&g.o.Sampling, row, a.rng)
	}
	a.next[0] = id
	a.answer.Tokens = append(a.answer.Tokens, id)
	a.answer.LogProbs = append(a.answer.LogProbs, row[id])
	if g.o.TopK > 0 {
		a.answer.Top = append(a.answer.Top, top(row, g.o.TopK))
	}
	return nil
}

// finish hands over the answers that end with their last token.
func (g *generator) finish(done func(i int, a Answer) error) error {
	var err error
	g.active = slices.DeleteFunc(g.active, func(a *generation) bool {
		if err != nil || !g.ends(a) {
			return false
		}
		g.feed.end(a.intake)
		err = done(a.index, a.answer)
		return true
	})
	return err
}

// ends tells whether a's answer ends with its last token.
func (g *generator) ends(a *generation) bool {
	if slices.Contains(g.o.Stop, a.next[0]) {
		a.answer.Stopped = true
		return true
	}
	return len(a.answer.Tokens) >= g.o.MaxTokens || a.cache.Len() >= g.d.m.Positions()
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

// finite refuses the log-probabilities of a model whose numbers broke: a NaN or
// infinity among the logits leaves no log-probability a number, so one tells.
func finite(logProbs []float32) error {
	if v := logProbs[0]; math.IsNaN(float64(v)) || math.IsInf(float64(v), 1) {
		return fmt.Errorf("log-probability of token id 0 is %v", v)
	}
	return nil
}
