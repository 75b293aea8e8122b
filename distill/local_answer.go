package distill

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
)

// requestsAtOnce is how many requests a local teacher takes at a time: enough
// to find prompts that begin alike.
const requestsAtOnce = 4096

// Answer implements Teacher. Requests are checked, 4,096 at a time, before the
// first of them is answered.
func (t *LocalTeacher) Answer(ctx context.Context, requests iter.Seq2[int, Request], done func(i int, a Answer) error) error {
	var indices []int
	var some []Request
	answer := func() error {
		err := t.answer(ctx, some, func(i int, a Answer) error { return done(indices[i], a) })
		indices, some = indices[:0], some[:0]
		return err
	}
	for i, r := range requests {
		indices, some = append(indices, i), append(some, r)
		if len(some) == requestsAtOnce {
			if err := answer(); err != nil {
				return err
			}
		}
	}
	if err := answer(); err != nil {
		return err
	}
	return ctx.Err()
}

func (t *LocalTeacher) answer(ctx context.Context, requests []Request, done func(i int, a Answer) error) error {
	var given []int
	groups := map[group][]int{}
	var order []group
	tokens := make([][]int32, len(requests))
	for i := range requests {
		r := requests[i].canonical()
		var err error
		if tokens[i], err = t.encode(&r); err != nil {
			return fmt.Errorf("local teacher: prompt %s: %w", quoted(r.Prompt), err)
		}
		if r.Given != nil {
			given = append(given, i)
			continue
		}
		g := groupOf(&r)
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], i)
	}
	if err := t.score(ctx, requests, tokens, given, done); err != nil {
		return err
	}
	for _, g := range order {
		if err := t.generate(ctx, requests, g, tokens, groups[g], done); err != nil {
			return err
		}
	}
	return nil
}

// encode returns the tokens of a request's prompt, and of the response it
// gives, if it fits the model.
func (t *LocalTeacher) encode(r *Request) ([]int32, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if r.Schema != "" {
		return nil, errors.New("schema: a local teacher's answers cannot be held to a JSON schema")
	}
	if v := t.model.Config.VocabSize; r.TopK > v {
		return nil, fmt.Errorf("top_k: %d: the teacher's vocabulary has %d tokens", r.TopK, v)
	}
	tokens, err := t.prompt(r)
	if err != nil {
		return nil, err
	}
	limit := t.model.Config.MaxPositionEmbeddings - 1 // leaves room for one token
	if len(tokens) == 0 || len(tokens) > limit {
		return nil, fmt.Errorf("%d tokens: want 1 to %d", len(tokens), limit)
	}
	if r.Given == nil {
		return tokens, nil
	}
	given, err := t.format.Writer.Response(*r.Given)
	if err != nil {
		return nil, err
	}
	tokens = append(tokens, t.tokenizer.Encode(given, false)...)
	tokens = append(tokens, t.format.Stop[0])
	// The last token is not run, only scored.
	if len(tokens)-1 > t.model.Config.MaxPositionEmbeddings {
		return nil, fmt.Errorf("%d tokens with the given response: the model has %d positions", len(tokens), t.model.Config.MaxPositionEmbeddings)
	}
	return tokens, nil
}

func (t *LocalTeacher) prompt(r *Request) ([]int32, error) {
	text, err := t.format.Writer.Prompt(r.Question())
	if err != nil {
		return nil, err
	}
	var tokens []int32
	if t.format.BOS >= 0 {
		tokens = append(tokens, t.format.BOS)
	}
	return append(tokens, t.tokenizer.Encode(text, false)...), nil
}

// quoted is the beginning of a text, for messages.
func quoted(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		return fmt.Sprintf("%q…", string(r[:most]))
	}
	return fmt.Sprintf("%q", text)
}

// group is what the prompts of one generation have in common.
type group struct {
	sampling  model.Sampling
	maxTokens int
	topK      int
}

func groupOf(r *Request) group {
	return group{sampling: r.Sampling, maxTokens: r.MaxTokens, topK: r.TopK}
}

// generate answers the requests of a group, given by index.
func (t *LocalTeacher) generate(ctx context.Context, requests []Request, g group, tokens [][]int32, indices []int, done func(i int, a Answer) error) error {
	prompts, seeds := make([][]int32, len(indices)), make([]uint64, len(indices))
	for j, i := range indices {
		// The draws of a sampled answer follow from its request alone.
		r := requests[i].canonical()
		prompts[j], seeds[j] = tokens[i], random.Key(r.Seed, "answer "+r.Key("").String())
	}
	o := model.GenerateOptions{Sampling: g.sampling, MaxTokens: g.maxTokens, Stop: t.format.Stop, TopK: g.topK,
		Batch: t.format.Batch, Seeds: seeds}
	begun := make([]time.Time, len(prompts))
	o.Begin = func(j int) { begun[j] = time.Now() }
	return t.decoder.Generate(ctx, prompts, o, func(j int, a model.Answer) error {
		text := t.text(a.Tokens, a.Stopped)
		return done(indices[j], Answer{
			Text: text, Tokens: a.Tokens, LogProbs: a.LogProbs, Top: a.Top,
			Usage:  Usage{PromptTokens: len(prompts[j]), AnswerTokens: len(a.Tokens)},
			Finish: finish(text, a.Stopped), Latency: time.Since(begun[j]),
		})
	})
}

// text is what an answer's tokens say.
func (t *LocalTeacher) text(tokens []int32, stopped bool) string {
	if stopped {
		tokens = tokens[:len(tokens)-1]
	}
	return t.format.Writer.Answer(t.tokenizer.Decode(tokens, true))
}

// score scores the given responses of requests, a few at a time.
func (t *LocalTeacher) score(ctx context.Context, requests []Request, tokens [][]int32, indices []int, done func(i int, a Answer) error) error {
	// Scores of requests that ask for different numbers of alternatives are apart.
	slices.SortStableFunc(indices, func(a, b int) int { return requests[a].TopK - requests[b].TopK })
	for len(indices) > 0 {
		n := 1
		for n < len(indices) && n < t.format.Batch && requests[indices[n]].TopK == requests[indices[0]].TopK {
			n++
		}
		if err := t.scoreSome(ctx, requests, tokens, indices[:n], done); err != nil {
			return err
		}
		indices = indices[n:]
	}
	return nil
}

func (t *LocalTeacher) scoreSome(ctx context.Context, requests []Request, tokens [][]int32, indices []int, done func(i int, a Answer) error) error {
	start := time.Now()
	sequences, from := make([][]int32, len(indices)), make([]int, len(indices))
	for j, i := range indices {
		prompt, err := t.prompt(&requests[i])
		if err != nil {
			return err
		}
		sequences[j], from[j] = tokens[i], len(prompt)
	}
	scored, err := t.decoder.Score(ctx, sequences, from, requests[indices[0]].TopK)
	if err != nil {
		return err
	}
	for j, i := range indices {
		err := done(i, Answer{
			Text: *requests[i].Given, Tokens: sequences[j][from[j]:], LogProbs: scored[j].LogProbs, Top: scored[j].Top,
			Usage: Usage{PromptTokens: from[j], AnswerTokens: len(sequences[j]) - from[j]}, Finish: FinishGiven, Latency: time.Since(start),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
