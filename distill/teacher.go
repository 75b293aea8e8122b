package distill

import (
	"context"
	"iter"
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
	// Answer answers requests, several at a time, in any order. They come with
	// their indices, each once, and are pulled as they are needed, by one goroutine
	// at a time. done gets each answer with its request's index as soon as it is
	// there, once per request, never twice at the same time, and not after Answer
	// has returned; the answer's slices then belong to it. An error of done ends
	// the call and is returned, as is ctx's. After any error, the answers that done
	// got are good. A request that the teacher cannot answer however often it is
	// asked, while it can answer others, gets an Answer of FinishFailed. An answer
	// does not depend on the other requests of the call, but for rounding in its
	// log-probabilities.
	Answer(ctx context.Context, requests iter.Seq2[int, Request], done func(i int, a Answer) error) error
}

// How an answer ended.
const (
	FinishStop   = "stop"   // the teacher ended it
	FinishLength = "length" // it reached the limit and is cut
	FinishEmpty  = "empty"  // the teacher ended it with no text but white space
	FinishGiven  = "given"  // it was given in the request, and scored
	FinishTools  = "tool_calls"
	// The teacher, or the filter before it, would not answer; Text has its words, if any.
	FinishRefusal = "refusal"
	FinishFailed  = "failed" // there is no answer: Error says why; it is not kept
)

// Answer is what a teacher said to a Request.
type Answer struct {
	Text      string            // without separator, end token and reasoning
	Reasoning string            // what it thought before, where a server tells it apart
	ToolCalls string            // JSON array, as in a message of the assistant; empty means none
	Tokens    []int32           // the teacher's ids, with the end token; none if it tells none
	LogProbs  []float32         // of Tokens, in nats; none if it tells none
	Top       []model.TopTokens // per token, when asked for
	Pieces    []Piece           // tokens of a server that tells their bytes, not their ids, when asked for
	Usage
	Finish string
	Error  string // of FinishFailed

	Model       string // as a server names what answered
	Fingerprint string // of the server's system
	Raw         []byte // the server's response, byte for byte; nil of local teachers
	Cost        Money
	Batch       bool          // answered through a batch API
	Attempts    int           // calls until it was there; 0 of local teachers
	RetryCost   Money         // of the attempts before the last, as far as they are billed
	Latency     time.Duration // from its turn to its end
}

// Usage counts the tokens of an answer as they are billed.
type Usage struct {
	PromptTokens    int
	CachedTokens    int // of PromptTokens, read from a server's cache
	AnswerTokens    int // with ReasoningTokens; of local teachers the length of Tokens
	ReasoningTokens int
}

// Piece is a token of a server's answer: its bytes, which may be part of a
// character, and the likeliest alternatives in its place, the likeliest first.
type Piece struct {
	Bytes   []byte
	LogProb float32 // nats
	Top     []Alternative
}

// Alternative is a token that could have stood in a Piece's place.
type Alternative struct {
	Bytes   []byte
	LogProb float32 // nats
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
