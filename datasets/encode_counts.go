package datasets

import (
	"fmt"
	"strings"
)

// NothingLearned says that no token of an example is learned, for another
// reason than an empty prompt or response.
const NothingLearned Reason = "nothing_learned"

// maxLost is how many rows are named that are not learned; all are counted.
const maxLost = 5

// Lost is an example that gave no sequence.
type Lost struct {
	ID     string `json:"id"`
	File   string `json:"file"`
	Row    int    `json:"row"`    // in File, from 0
	Reason Reason `json:"reason"` // too_long, empty_prompt, empty_response or nothing_learned
	Why    string `json:"why"`
}

func (l Lost) String() string {
	return fmt.Sprintf("%s row %d (example %s): %s", l.File, l.Row, l.ID, l.Why)
}

// EncodeCounts says what became of the examples encoded.
type EncodeCounts struct {
	Examples  int    `json:"examples"`
	Sequences int    `json:"sequences"`
	Cut       int    `json:"cut"`             // sequences that lost tokens or text to be short enough
	TooLong   int    `json:"too_long"`        // left out: more than MaxTokens
	Unlearned int    `json:"nothing_learned"` // left out: no token to learn
	First     []Lost `json:"first,omitempty"` // the first 5 that were left out
}

// Lost is the number of examples that gave no sequence.
func (c *EncodeCounts) Lost() int { return c.TooLong + c.Unlearned }

// add counts an example. Enough rows of which nothing is learned are an error,
// so that a mistake does not cost a pass over all of them.
func (c *EncodeCounts) add(e *Encoded, f Format) error {
	c.Examples++
	if e.Cut {
		c.Cut++
	}
	switch {
	case e.Lost == nil:
		c.Sequences++
		return nil
	case e.Lost.Reason == TooLong:
		c.TooLong++
	default:
		c.Unlearned++
	}
	if e.Lost.Reason != TooLong && f.NothingLearned != DropUnlearned && len(c.First) == maxLost {
		// What is learned of matters more than what is too long.
		for i := len(c.First) - 1; i >= 0; i-- {
			if c.First[i].Reason == TooLong {
				c.First = append(c.First[:i], c.First[i+1:]...)
				break
			}
		}
	}
	if len(c.First) < maxLost {
		c.First = append(c.First, *e.Lost)
	}
	if c.Unlearned == maxLost {
		return c.unlearned(f)
	}
	return nil
}

// unlearned is the error that nothing of some examples is learned, unless those
// are dropped.
func (c *EncodeCounts) unlearned(f Format) error {
	if c.Unlearned == 0 || f.NothingLearned == DropUnlearned {
		return nil
	}
	var rows []string
	for _, l := range c.First {
		if l.Reason != TooLong {
			rows = append(rows, l.String())
		}
	}
	return fmt.Errorf("nothing is learned of %d of the first %d examples: %s; correct or remove them, or set nothing_learned: drop",
		c.Unlearned, c.Examples, strings.Join(rows, "; "))
}

// lost tells why the example, which had so many tokens before it was cut, is
// not learned; "" if it is.
func (f Format) lost(e Encoded, length int) (Reason, string) {
	s := &e.Sequence
	switch {
	case f.tooLong(e.Sequence):
		return TooLong, fmt.Sprintf("%d tokens, more than %d", length, f.MaxTokens)
	case s.PromptLen == 0 && s.Learned == nil:
		return EmptyPrompt, "no token comes before the response, so nothing could predict its first"
	case f.OmitResponse && len(s.Tokens) < 2:
		return EmptyPrompt, "the prompt is one token, which nothing predicts"
	case f.OmitResponse || s.LearnedTokens() > 0:
		return "", ""
	case e.Cut:
		return NothingLearned, fmt.Sprintf("its %d tokens are cut to %d, and nothing of the response is left", length, f.MaxTokens)
	case s.Learned == nil:
		return EmptyResponse, "the response has no token"
	}
	return NothingLearned, "the template writes no token that is learned"
}
