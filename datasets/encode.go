package datasets

import (
	"errors"
	"fmt"
)

// Encoder is a tokenizer: text to token ids, none of them negative, with the
// tokenizer's own beginning and end marks if addSpecial is set.
type Encoder interface {
	Encode(text string, addSpecial bool) []int32
}

// What Format.OnTooLong may say.
const (
	SkipTooLong  = "skip"
	ErrorTooLong = "error"
)

// Format says how an example becomes a sequence:
//
//	BOS prompt… | response… EOS
//
// Prompt and response are tokenized apart, so that the boundary between what is
// given and what is learned lies between two tokens.
type Format struct {
	Writer    Prompting // how the texts are written; nil means as they are
	BOS, EOS  int32     // token ids; -1 means none
	MaxTokens int       // longer sequences are too long; 0 means no limit
	// OmitResponse ends the sequence after the prompt, without EOS: for
	// generation, or for learning the prompts themselves.
	OmitResponse bool
	OnTooLong    string // "" or skip: leave it out and count it; error
}

// Sequence is one example as token ids.
type Sequence struct {
	Tokens    []int32
	PromptLen int // tokens before the response, BOS among them
	Example   int // index in the examples encoded
}

// Skipped counts the examples that gave no sequence, by reason.
type Skipped struct {
	TooLong       int `json:"too_long"`       // more than MaxTokens
	EmptyPrompt   int `json:"empty_prompt"`   // no token before the response, so nothing could predict its first
	EmptyResponse int `json:"empty_response"` // no token to learn
}

// Total is the number of examples skipped.
func (s Skipped) Total() int { return s.TooLong + s.EmptyPrompt + s.EmptyResponse }

// Encode turns examples into sequences, in order. Its errors name the example.
func Encode(tok Encoder, examples []Example, f Format) ([]Sequence, Skipped, error) {
	var skipped Skipped
	if err := f.validate(); err != nil {
		return nil, skipped, err
	}
	if f.Writer == nil {
		f.Writer = Plain{}
	}
	sequences := make([]Sequence, 0, len(examples))
	for i := range examples {
		s, err := f.sequence(tok, &examples[i])
		if err != nil {
			return nil, skipped, fmt.Errorf("encode example %s (%s row %d): %w", examples[i].ID, examples[i].File, examples[i].Row, err)
		}
		s.Example = i
		for _, id := range s.Tokens {
			if id < 0 {
				return nil, skipped, fmt.Errorf("encode example %s: the tokenizer gave the id %d", examples[i].ID, id)
			}
		}
		switch {
		case s.PromptLen == 0:
			skipped.EmptyPrompt++
		case !f.OmitResponse && len(s.Tokens) == s.PromptLen:
			skipped.EmptyResponse++
		case f.MaxTokens > 0 && len(s.Tokens) > f.MaxTokens:
			if f.OnTooLong == ErrorTooLong {
				return nil, skipped, fmt.Errorf("encode example %s (%s row %d): %d tokens, more than %d",
					examples[i].ID, examples[i].File, examples[i].Row, len(s.Tokens), f.MaxTokens)
			}
			skipped.TooLong++
		default:
			sequences = append(sequences, s)
		}
	}
	return sequences, skipped, nil
}

func (f Format) sequence(tok Encoder, e *Example) (s Sequence, err error) {
	prompt, err := f.Writer.Prompt(e.Question())
	if err != nil {
		return s, err
	}
	if f.BOS >= 0 {
		s.Tokens = append(s.Tokens, f.BOS)
	}
	s.Tokens = append(s.Tokens, tok.Encode(prompt, false)...)
	s.PromptLen = len(s.Tokens)
	if f.OmitResponse {
		return s, nil
	}
	response, err := f.Writer.Response(e.Response)
	if err != nil {
		return s, err
	}
	s.Tokens = append(s.Tokens, tok.Encode(response, false)...)
	if f.EOS >= 0 {
		s.Tokens = append(s.Tokens, f.EOS)
	}
	return s, nil
}

func (f Format) validate() error {
	var faults []error
	if f.BOS < -1 {
		faults = append(faults, fmt.Errorf("format: BOS: %d: want a token id, or -1 for none", f.BOS))
	}
	if f.EOS < -1 {
		faults = append(faults, fmt.Errorf("format: EOS: %d: want a token id, or -1 for none", f.EOS))
	}
	if f.MaxTokens < 0 {
		faults = append(faults, fmt.Errorf("format: max tokens: %d: want 0 or more", f.MaxTokens))
	}
	if f.OnTooLong != "" && f.OnTooLong != SkipTooLong && f.OnTooLong != ErrorTooLong {
		faults = append(faults, fmt.Errorf("format: on too long: %q: want %s or %s", f.OnTooLong, SkipTooLong, ErrorTooLong))
	}
	return errors.Join(faults...)
}
