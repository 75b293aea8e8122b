package distill

import (
	"context"
	"strings"
	"time"

	"github.com/retort-ml/retort/internal/model"
)

// Teacher answers prompts for a student to follow. A call may take long; one
// Teacher is for one call at a time.
type Teacher interface {
	// Identity names everything about the teacher that can change an answer:
	// weights and tokenizer of a local model, host and model of a server. It
	// never changes and is not empty.
	Identity() string
	// Answer answers requests, several at a time, in any order. done gets each
	// answer with its request's index as soon as it is there, once per request,
	// never twice at the same time, and not after Answer has returned; the
	// answer's slices then belong to it. An error of done ends the call and is
	// returned, as is ctx's. After any error, the answers that done got are
	// good. An answer does not depend on the other requests of the call, but for
	// rounding in its log-probabilities.
	Answer(ctx context.Context, requests []Request, done func(i int, a Answer) error) error
}

// How an answer ended.
const (
	FinishStop   = "stop"   // the teacher ended it
	FinishLength = "length" // it reached the limit and is cut
	FinishEmpty  = "empty"  // the teacher ended it with no text but white space
	FinishGiven  = "given"  // it was given in the request, and scored
)

// Answer is what a teacher said to a Request.
type Answer struct {
	Text         string            // without separator and end token
	Tokens       []int32           // the teacher's ids, with the end token; none if it tells none
	LogProbs     []float32         // of Tokens, in nats; none if it tells none
	Top          []model.TopTokens // per token, when asked for
	PromptTokens int
	Finish       string
	Latency      time.Duration // from its turn to its end
}

// finish says how an answer with that text ended.
func finish(text string, stopped bool) string {
	switch {
	case !stopped:
		return FinishLength
	case strings.TrimSpace(text) == "":
		return FinishEmpty
	}
	return FinishStop
}
