package datasets

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Encoder is a tokenizer: text to token ids, none of them negative, with the
// tokenizer's own beginning and end marks if addSpecial is set. It is used by
// many goroutines at once.
type Encoder interface {
	Encode(text string, addSpecial bool) []int32
}

// What Format.TooLong may say of sequences longer than MaxTokens, and
// Options.TooLong of texts longer than they may be.
const (
	DropTooLong   = "drop"
	ErrorTooLong  = "error"
	TruncateLeft  = "truncate_left"  // the beginning is cut off: of a sequence that of the prompt's text
	TruncateRight = "truncate_right" // the end is: of a sequence its last tokens
)

// What Format.NothingLearned may say of examples of which no token is learned.
const (
	ErrorUnlearned = "error"
	DropUnlearned  = "drop"
)

// Format says how an example becomes a sequence:
//
//	BOS prompt… | response… EOS
//
// Prompt and response are tokenized apart, so that the boundary between what is
// given and what is learned lies between two tokens, as in generation. A
// conversation is the text that Writer makes of it, each learned span of which
// is tokenized apart likewise; what follows the last of them is left out.
type Format struct {
	Writer Prompting // how the texts are written, by many goroutines at once; nil means as they are
	// BOS and EOS are token ids; -1 means none. Neither is put beside itself where the text has it.
	BOS, EOS  int32
	MaxTokens int // longer sequences are too long; 0 means no limit
	// OmitResponse ends the sequence after the prompt, without EOS: for
	// generation, or for learning the prompts themselves.
	OmitResponse bool
	Turns        Turns // of a conversation, which are learned; "" means the last
	// TooLong is "" or drop: leave it out and count it; error; or truncate_left or
	// truncate_right: see Format.fit.
	TooLong        string
	NothingLearned string // "" or error: stop, naming the first such rows; drop: count them
}

// Sequence is one example as token ids.
type Sequence struct {
	Tokens    []int32
	PromptLen int // tokens before the response (of a conversation: before its last turn), BOS among them
	// Learned are the tokens that are learned; nil means all from PromptLen on.
	Learned []bool
	Weight  float32 // factor of the loss of its tokens; 0 means 1
	Example int     // index in the examples encoded
}

// Learns tells whether the token at that place is learned. The first never is:
// nothing predicts it.
func (s *Sequence) Learns(at int) bool {
	if s.Learned != nil {
		return at > 0 && s.Learned[at]
	}
	return at > 0 && at >= s.PromptLen
}

// LearnedTokens is how many tokens are learned.
func (s *Sequence) LearnedTokens() int {
	n := 0
	for at := range s.Tokens {
		if s.Learns(at) {
			n++
		}
	}
	return n
}

// Encode turns examples into sequences, in order. Its errors name the example.
func Encode(ctx context.Context, tok Encoder, examples []Example, f Format) ([]Sequence, EncodeCounts, error) {
	var list []Sequence
	counts, err := EncodeEach(ctx, tok, Each(examples), f, func(e *Encoded) error {
		if e.Lost == nil {
			list = append(list, e.Sequence)
		}
		return nil
	})
	return list, counts, err
}

// Each gives the examples one by one.
func Each(examples []Example) iter.Seq2[Example, error] {
	return func(yield func(Example, error) bool) {
		for i := range examples {
			if !yield(examples[i], nil) {
				return
			}
		}
	}
}

// Encoded is what became of one example.
type Encoded struct {
	Sequence      // without tokens if it is lost
	Cut      bool // to MaxTokens
	Lost     *Lost
}

// EncodeEach encodes examples on all cores and calls each with what became of
// them, in order and in the calling goroutine. It holds a few thousand examples
// at a time. Its errors name the example; among them is that nothing of some
// rows is learned, unless the format says that they are dropped.
func EncodeEach(ctx context.Context, tok Encoder, examples iter.Seq2[Example, error], f Format, each func(*Encoded) error) (EncodeCounts, error) {
	var counts EncodeCounts
	if err := f.Validate(); err != nil {
		return counts, err
	}
	err := eachInOrder(ctx, examples, 0, f.encoder(tok), func(e *Encoded) error {
		if err := counts.add(e, f); err != nil {
			return err
		}
		return each(e)
	})
	if err == nil {
		err = counts.unlearned(f)
	}
	return counts, err
}

// encoder encodes single examples.
func (f Format) encoder(tok Encoder) func(int, *Example) (Encoded, error) {
	if f.Writer == nil {
		f.Writer = Plain{}
	}
	return func(i int, e *Example) (Encoded, error) {
		out, err := f.encode(tok, e)
		if err != nil {
			return out, fmt.Errorf("encode example %s (%s row %d): %w", e.ID, e.File, e.Row, err)
		}
		out.Example = i
		return out, nil
	}
}

func (f Format) encode(tok Encoder, e *Example) (out Encoded, err error) {
	if out.Sequence, err = f.sequence(tok, e); err != nil {
		return out, err
	}
	length := len(out.Tokens)
	if f.tooLong(out.Sequence) {
		if f.TooLong == ErrorTooLong {
			return out, fmt.Errorf("%d tokens, more than %d", length, f.MaxTokens)
		}
		if out.Sequence, out.Cut, err = f.fit(tok, e, out.Sequence); err != nil {
			return out, err
		}
	}
	out.Weight = e.Weight
	if i := slices.IndexFunc(out.Tokens, func(id int32) bool { return id < 0 }); i >= 0 {
		return out, fmt.Errorf("the tokenizer gave the id %d", out.Tokens[i])
	}
	if reason, why := f.lost(out, length); reason != "" {
		out = Encoded{Lost: &Lost{ID: e.ID, File: e.File, Row: e.Row, Reason: reason, Why: why}}
	}
	return out, nil
}

func (f Format) tooLong(s Sequence) bool { return f.MaxTokens > 0 && len(s.Tokens) > f.MaxTokens }

// sequence is the example in tokens, as long as it is.
func (f Format) sequence(tok Encoder, e *Example) (s Sequence, err error) {
	if !f.OmitResponse && (e.Messages != "" || e.Turn != "") {
		return f.conversation(tok, e)
	}
	prompt, err := f.Writer.Prompt(e.Question())
	if err != nil {
		return s, err
	}
	s.Tokens = f.begin(tok.Encode(prompt, false))
	s.PromptLen = len(s.Tokens)
	if f.OmitResponse {
		return s, nil
	}
	response, err := f.Writer.Response(e.Response)
	if err != nil {
		return s, err
	}
	s.Tokens = append(s.Tokens, tok.Encode(response, false)...)
	if last := len(s.Tokens) - 1; f.EOS >= 0 && (last < s.PromptLen || s.Tokens[last] != f.EOS) {
		s.Tokens = append(s.Tokens, f.EOS)
	}
	return s, nil
}

// begin puts BOS before a text that does not begin with it.
func (f Format) begin(ids []int32) []int32 {
	if f.BOS < 0 || len(ids) > 0 && ids[0] == f.BOS {
		return ids
	}
	return append(append(make([]int32, 0, len(ids)+1), f.BOS), ids...)
}

// Validate reports every fault of the format at once.
func (f Format) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("format: "+format, args...)) }
	if f.BOS < -1 {
		fault("BOS: %d: want a token id, or -1 for none", f.BOS)
	}
	if f.EOS < -1 {
		fault("EOS: %d: want a token id, or -1 for none", f.EOS)
	}
	if f.MaxTokens < 0 {
		fault("max tokens: %d: want 0 or more", f.MaxTokens)
	}
	for _, c := range []struct {
		key, value string
		want       []string
	}{
		{"turns", string(f.Turns), []string{string(LastTurn), string(AllTurns)}},
		{"too long", f.TooLong, []string{DropTooLong, ErrorTooLong, TruncateLeft, TruncateRight}},
		{"nothing learned", f.NothingLearned, []string{ErrorUnlearned, DropUnlearned}},
	} {
		if c.value != "" && !slices.Contains(c.want, c.value) {
			fault("%s: %q: want one of %v", c.key, c.value, c.want)
		}
	}
	return errors.Join(faults...)
}
