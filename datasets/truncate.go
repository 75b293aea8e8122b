package datasets

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// fit makes the example's sequence s short enough, if the format says how; cut
// tells whether it did. What cannot be made short enough stays too long.
//
// truncate_right takes away the last tokens, and with them the end token: the
// student sees what it saw before, and does not learn to stop where we did.
//
// truncate_left keeps the end. Tokens cut from the beginning would take the head
// of a chat template, so texts are cut and written again: of a conversation first
// the oldest turns, whole, from one user's turn to the next, but not the system's;
// then the beginning of the first user's text that is left; of a plain prompt its
// beginning. As little is cut as makes it fit.
func (f Format) fit(tok Encoder, e *Example, s Sequence) (_ Sequence, cut bool, err error) {
	switch f.TooLong {
	case TruncateRight:
		s.Tokens = s.Tokens[:f.MaxTokens]
		s.PromptLen = min(s.PromptLen, f.MaxTokens)
		if s.Learned != nil {
			s.Learned = s.Learned[:f.MaxTokens]
		}
		return s, true, nil
	case TruncateLeft:
		shorter := *e
		if e.Messages == "" {
			return f.cutText(tok, s, e.Prompt, func(text string) (*Example, error) {
				shorter.Prompt = text
				return &shorter, nil
			})
		}
		return f.cutTurns(tok, s, shorter)
	}
	return s, false, nil
}

// cutText is the sequence of the example with the longest end of text that fits.
func (f Format) cutText(tok Encoder, whole Sequence, text string, with func(string) (*Example, error)) (Sequence, bool, error) {
	var starts []int // of the characters, but the first
	for i := range text {
		starts = append(starts, i)
	}
	starts = starts[min(1, len(starts)):]
	best, found := whole, false
	var failed error
	sort.Search(len(starts), func(i int) bool {
		if failed != nil {
			return true
		}
		e, err := with(text[starts[i]:])
		var s Sequence
		if err == nil {
			s, err = f.sequence(tok, e)
		}
		if err != nil {
			failed = err
			return true
		}
		if f.tooLong(s) {
			return false
		}
		best, found = s, true
		return true
	})
	return best, found, failed
}

// cutTurns leaves out turns of a conversation from the oldest on.
func (f Format) cutTurns(tok Encoder, s Sequence, e Example) (Sequence, bool, error) {
	messages, err := parseTurns(e.Messages)
	if err != nil {
		return s, false, err
	}
	lead := 0
	for lead < len(messages) && (messages[lead].role == "system" || messages[lead].role == "developer") {
		lead++
	}
	user := func(t writtenTurn) bool { return t.role == "user" }
	first := slices.IndexFunc(messages[lead:], user)
	if first < 0 {
		return s, false, nil
	}
	for {
		next := slices.IndexFunc(messages[lead+first+1:], user)
		if next < 0 {
			break
		}
		messages = slices.Delete(slices.Clone(messages), lead, lead+first+1+next)
		first = 0
		e.Messages = joinTurns(messages)
		if s, err = f.sequence(tok, &e); err != nil || !f.tooLong(s) {
			return s, err == nil, err
		}
	}
	asks := &messages[lead+first]
	text, ok := asks.text()
	if !ok {
		return s, false, nil
	}
	return f.cutText(tok, s, text, func(text string) (*Example, error) {
		if err := asks.setText(text); err != nil {
			return nil, err
		}
		shorter := e
		shorter.Messages = joinTurns(messages)
		return &shorter, nil
	})
}

// writtenTurn is a message of a conversation, in JSON.
type writtenTurn struct {
	role string
	json json.RawMessage
}

func parseTurns(messages string) ([]writtenTurn, error) {
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(messages), &list); err != nil {
		return nil, fmt.Errorf("messages: %w", err)
	}
	turns := make([]writtenTurn, len(list))
	for i, m := range list {
		var head struct {
			Role string `json:"role"`
		}
		if err := json.Unmarshal(m, &head); err != nil {
			return nil, fmt.Errorf("messages: message %d: %w", i, err)
		}
		turns[i] = writtenTurn{head.Role, m}
	}
	return turns, nil
}

func joinTurns(turns []writtenTurn) string {
	parts := make([]string, len(turns))
	for i, t := range turns {
		parts[i] = string(t.json)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// text is the message's content, if that is a text.
func (t *writtenTurn) text() (string, bool) {
	var m struct {
		Content *string `json:"content"`
	}
	if err := json.Unmarshal(t.json, &m); err != nil || m.Content == nil || !utf8.ValidString(*m.Content) {
		return "", false
	}
	return *m.Content, true
}

func (t *writtenTurn) setText(text string) error {
	m := map[string]json.RawMessage{}
	if err := json.Unmarshal(t.json, &m); err != nil {
		return err
	}
	content, err := json.Marshal(text)
	if err != nil {
		return err
	}
	m["content"] = content
	t.json, err = json.Marshal(m)
	return err
}
