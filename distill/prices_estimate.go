package distill

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
)

// Draft is a request that may be made, and the response that the data already
// have, if any, from whose length an answer's is guessed.
type Draft struct {
	Request   Request
	Reference string
}

// EstimateOptions say how Estimate counts.
type EstimateOptions struct {
	Price   Price
	Batch   bool
	Samples int // answers to each draft, of Sample 0 and up; 0 means 1
	// Tokens counts a text's tokens; nil means a token for four bytes as the
	// likely number, and one for each byte as the most.
	Tokens func(text string) int
	// Share is how much of MaxTokens an answer without a reference likely takes,
	// 0 to 1; nil means 0.5.
	Share *float64
}

// Estimate is what answers will take. Worst is what cannot be exceeded, if the
// price and Tokens are right; without Tokens it counts a token for each byte.
type Estimate struct {
	Requests      int
	Cached        int // of those, in the store: they cost nothing
	Saved         Money
	Likely, Worst Tally // of those that are missing
}

// Framing in tokens: what servers add to a request and to each message.
const (
	requestTokens    = 16
	messageTokens    = 8
	bytesPerToken    = 4   // of text in Latin script
	mostTokensPerMsg = 100 // no template known to us writes more around a message
)

// EstimateAnswers adds up what the drafts will take when their answers are
// collected from the teacher of that identity. store may be nil.
func EstimateAnswers(ctx context.Context, store *Store, teacher string, drafts iter.Seq2[Draft, error], o EstimateOptions) (Estimate, error) {
	var e Estimate
	share := 0.5
	if o.Share != nil {
		share = *o.Share
	}
	if !(share >= 0 && share <= 1) {
		return e, fmt.Errorf("share: %v: want a number from 0 to 1", share)
	}
	seen := map[Key]bool{} // of the chunk: equal drafts far apart count twice, which is never too little
	var keys []Key
	var list []Draft
	flush := func() error {
		known := map[Key]bill{}
		if store != nil {
			var err error
			if known, err = store.bills(ctx, keys); err != nil {
				return err
			}
		}
		for i, d := range list {
			if b, ok := known[keys[i]]; ok {
				e.Cached++
				e.Saved += b.cost
				continue
			}
			o.count(&e, d, share)
		}
		keys, list = keys[:0], list[:0]
		clear(seen)
		return ctx.Err()
	}
	for d, err := range drafts {
		if err != nil {
			return e, err
		}
		for n := range max(1, o.Samples) {
			e.Requests++
			d.Request.Sample = n
			key := d.Request.Key(teacher)
			if seen[key] {
				continue
			}
			seen[key] = true
			keys, list = append(keys, key), append(list, d)
		}
		if len(list) >= keysPerQuery {
			if err := flush(); err != nil {
				return e, err
			}
		}
	}
	return e, flush()
}

// count adds what one answer will take.
func (o *EstimateOptions) count(e *Estimate, d Draft, share float64) {
	r := d.Request.canonical()
	messages := countMessages(r.Messages)
	text := r.Tools + r.Schema
	if text += r.Messages; r.Messages == "" {
		text += r.Prompt
	}
	likely, worst := o.tokens(text)
	answerLikely, answerWorst := 0, r.MaxTokens
	if r.Given != nil {
		l, w := o.tokens(*r.Given)
		likely, worst = likely+l, worst+w
	} else if answerLikely = int(math.Ceil(share * float64(r.MaxTokens))); d.Reference != "" {
		l, _ := o.tokens(d.Reference)
		answerLikely = min(l+1, r.MaxTokens) // with the end token
	}
	add := func(t *Tally, prompt, answer int) {
		u := Usage{PromptTokens: prompt, AnswerTokens: answer}
		t.add(u, o.Price.Cost(u, o.Batch))
	}
	add(&e.Likely, likely+requestTokens/2+messageTokens*messages, answerLikely)
	add(&e.Worst, worst+requestTokens+mostTokensPerMsg*messages, answerWorst)
}

// tokens are the likely number of tokens of a text, and the most.
func (o *EstimateOptions) tokens(text string) (likely, most int) {
	if o.Tokens != nil {
		n := o.Tokens(text)
		return n, n
	}
	return (len(text) + bytesPerToken - 1) / bytesPerToken, len(text)
}

// countMessages is how many messages a conversation has; a prompt is one.
func countMessages(messages string) int {
	var list []json.RawMessage
	if json.Unmarshal([]byte(messages), &list) != nil || len(list) == 0 {
		return 1
	}
	return len(list)
}
