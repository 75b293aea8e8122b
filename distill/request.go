package distill

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/model"
)

// Request is one thing asked of a teacher.
type Request struct {
	Prompt   string // of a conversation, a reading of Messages: see datasets.Question
	Messages string // JSON array; empty means that Prompt is all
	Tools    string // JSON array; empty means none
	Schema   string // JSON schema that the answer must keep to; empty means none
	Sample   int    // which of several answers to the same question this is, from 0
	// Given is a response for the teacher to score instead of answering: it says
	// how likely it finds each of its tokens. Nil means to answer.
	Given     *string
	MaxTokens int // longest answer in tokens; 0 means 256; of no meaning with Given
	Sampling  model.Sampling
	TopK      int    // alternatives to return per token; 0 means none
	Seed      uint64 // of the sampling; 0 is a seed like any other
}

// Question is what the request asks.
func (r *Request) Question() datasets.Question {
	return datasets.Question{Text: r.Prompt, Messages: r.Messages, Tools: r.Tools}
}

// Validate reports every fault of the request at once.
func (r Request) Validate() error {
	var faults []error
	if r.MaxTokens < 0 {
		faults = append(faults, fmt.Errorf("max_tokens: %d: want 0 or more", r.MaxTokens))
	}
	if r.Sample < 0 {
		faults = append(faults, fmt.Errorf("sample: %d: want 0 or more", r.Sample))
	}
	if r.TopK < 0 || r.TopK > maxTopK {
		faults = append(faults, fmt.Errorf("top_k: %d: want 0 to %d", r.TopK, maxTopK))
	}
	return errors.Join(append(faults, r.Sampling.Validate())...)
}

// canonical fills in defaults, and clears what cannot change the answer, so
// that requests for one answer are equal.
func (r Request) canonical() Request {
	if r.MaxTokens == 0 {
		r.MaxTokens = 256
	}
	if r.Given != nil {
		r.MaxTokens, r.Sampling, r.Seed = 0, model.Sampling{}, 0
	}
	if r.Sampling.Temperature == 0 {
		r.Sampling, r.Seed = model.Sampling{RepetitionPenalty: r.Sampling.RepetitionPenalty}, 0
	}
	if r.Sampling.TopP == 1 {
		r.Sampling.TopP = 0
	}
	if r.Sampling.RepetitionPenalty == 1 {
		r.Sampling.RepetitionPenalty = 0
	}
	return r
}

// Key identifies a request to one teacher.
type Key [sha256.Size]byte

// String is the key in hexadecimal.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// keyVersion is hashed into every key: a change of what is hashed changes it.
const keyVersion = "request 1"

// Key is the SHA-256 of the request with its defaults and of the teacher's
// identity: equal keys, equal answers. What cannot change an answer, like the
// seed of a greedy one, is not in it.
func (r Request) Key(teacher string) Key {
	r = r.canonical()
	h := sha256.New()
	writeString(h, keyVersion)
	writeString(h, teacher)
	writeString(h, r.Prompt)
	given := ""
	writeNumber(h, boolNumber(r.Given != nil))
	if r.Given != nil {
		given = *r.Given
	}
	writeString(h, given)
	for _, n := range []uint64{uint64(r.MaxTokens), uint64(r.TopK), r.Seed,
		math.Float64bits(r.Sampling.Temperature), uint64(r.Sampling.TopK), math.Float64bits(r.Sampling.TopP)} {
		writeNumber(h, n)
	}
	// What came later is hashed by name, and only where it says something: the
	// keys of earlier requests stay what they were.
	for _, o := range []struct{ name, value string }{{"messages", r.Messages}, {"tools", r.Tools}, {"schema", r.Schema}} {
		if o.value != "" {
			writeString(h, o.name)
			writeString(h, o.value)
		}
	}
	if r.Sample != 0 {
		writeString(h, "sample")
		writeNumber(h, uint64(r.Sample))
	}
	for _, o := range []struct {
		name  string
		value float64
	}{{"min_p", r.Sampling.MinP}, {"repetition_penalty", r.Sampling.RepetitionPenalty}} {
		if o.value != 0 {
			writeString(h, o.name)
			writeNumber(h, math.Float64bits(o.value))
		}
	}
	return Key(h.Sum(nil))
}

// writeString writes s after its length, so that no two lists give the same bytes.
func writeString(h hash.Hash, s string) {
	writeNumber(h, uint64(len(s)))
	h.Write([]byte(s))
}

func writeNumber(h hash.Hash, n uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	h.Write(b[:])
}

func boolNumber(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
