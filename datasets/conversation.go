package datasets

import (
	"encoding/json"
	"fmt"
	"slices"
)

// conversation encodes the example's messages and the response's turn. Texts
// between learned spans are tokenized as they are where an answer precedes them:
// some tokenizers write a text otherwise at its beginning.
func (f Format) conversation(tok Encoder, e *Example) (s Sequence, err error) {
	turn, err := e.turn()
	if err != nil {
		return s, err
	}
	turns := f.Turns
	if turns == "" {
		turns = LastTurn
	}
	w, err := f.Writer.Conversation(e.Question(), turn, turns)
	if err != nil {
		return s, err
	}
	if err := w.check(); err != nil {
		return s, err
	}
	at, answer, answerIDs := 0, "", []int32(nil)
	for _, span := range w.Learned {
		between := continued(tok, answer, answerIDs, w.Text[at:span.Start])
		if at == 0 {
			between = f.begin(between)
		}
		s.append(between, false)
		s.PromptLen = len(s.Tokens)
		answer = w.Text[span.Start:span.End]
		answerIDs = tok.Encode(answer, false)
		s.append(answerIDs, true)
		at = span.End
	}
	return s, nil
}

// turn is the response as a message, in JSON.
func (e *Example) turn() (string, error) {
	if e.Turn != "" {
		return e.Turn, nil
	}
	data, err := json.Marshal(struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}{"assistant", e.Response})
	return string(data), err
}

// append adds tokens that are learned, or not.
func (s *Sequence) append(ids []int32, learned bool) {
	s.Tokens = append(s.Tokens, ids...)
	for range ids {
		s.Learned = append(s.Learned, learned)
	}
}

// continued tokenizes text as it follows the text before, whose tokens are ids:
// all tokens of the two without ids, if they begin with these.
func continued(tok Encoder, before string, ids []int32, text string) []int32 {
	if len(ids) > 0 && text != "" {
		if both := tok.Encode(before+text, false); len(both) > len(ids) && slices.Equal(both[:len(ids)], ids) {
			return both[len(ids):]
		}
	}
	return tok.Encode(text, false)
}

func (w Written) check() error {
	at := 0
	for _, s := range w.Learned {
		if s.Start < at || s.End < s.Start || s.End > len(w.Text) {
			return fmt.Errorf("the writer says that bytes %d to %d of %d are learned, after byte %d", s.Start, s.End, len(w.Text), at)
		}
		at = s.End
	}
	return nil
}
