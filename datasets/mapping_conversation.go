package datasets

import (
	"encoding/json"
	"strings"
)

// messages: a conversation whose last turn, the assistant's, is the response.
// With prompt_only that turn is left out, if it is there.
func (m *mapper) messages(c cells, e *Example) Reason {
	turns, reason := m.turnsOf(c.of(m.columns.Messages))
	if reason != "" {
		return reason
	}
	system, reason := m.systemTurn(c)
	if reason != "" {
		return reason
	}
	turns = append(system, turns...)
	if reason := checkTurns(turns); reason != "" {
		return reason
	}
	if tools := c.of(m.columns.Tools); tools.present() {
		if e.Tools, reason = toolsOf(tools); reason != "" {
			return reason
		}
	}
	last := turns[len(turns)-1]
	if last.role == "assistant" {
		turns = turns[:len(turns)-1]
	}
	if !m.in.PromptOnly {
		if last.role != "assistant" {
			return NoResponse
		}
		e.Response = last.reading()
		if last.more {
			e.Turn = last.raw
		}
	}
	return m.converse(turns, e)
}

// systemTurn is the turn of the system column, if it has a text.
func (m *mapper) systemTurn(c cells) ([]turn, Reason) {
	cell := c.of(m.columns.System)
	if !cell.present() {
		return nil, ""
	}
	text, reason := cell.scalar("")
	if reason != "" || strings.TrimSpace(text) == "" {
		return nil, reason
	}
	return []turn{textTurn("system", text)}, ""
}

// toolsOf is the JSON of a list of tools, "" of an empty one.
func toolsOf(c cell) (string, Reason) {
	if c.state == cellText {
		if strings.TrimSpace(c.text) == "" {
			return "", ""
		}
		if !json.Valid([]byte(c.text)) {
			return "", BadTools
		}
	} else if c.state != cellJSON {
		_, reason := c.scalar(BadTools)
		return "", reason
	}
	text := string(compact([]byte(strings.TrimSpace(c.text))))
	switch {
	case text == "[]" || text == "null":
		return "", ""
	case text[0] != '[':
		return "", BadTools
	}
	return text, ""
}

// converse makes turns the example's question. One user turn that is text alone
// is a plain prompt. Else Messages has the turns, and Prompt reads the same for
// people: the user's text if there is one turn of a user and at most a system's
// before it, or a paragraph a turn.
func (m *mapper) converse(turns []turn, e *Example) Reason {
	asked := turns
	if asked[0].role == "system" || asked[0].role == "developer" {
		asked = asked[1:]
	}
	if len(asked) == 1 {
		e.Prompt = asked[0].text
	} else {
		var b strings.Builder
		for i, t := range turns {
			if i > 0 {
				b.WriteString("\n\n")
			}
			b.WriteString(t.role + ": " + t.reading())
		}
		e.Prompt = b.String()
	}
	if len(turns) == 1 && !turns[0].more && e.Tools == "" {
		return ""
	}
	raw := make([]string, len(turns))
	for i, t := range turns {
		raw[i] = t.raw
	}
	e.Messages = "[" + strings.Join(raw, ",") + "]"
	return ""
}

// preference: a prompt, a better response and a worse one. Each is a text or a
// list of messages; a pair of lists may hold the prompt, the same in both.
func (m *mapper) preference(c cells, e *Example) Reason {
	before, reason := m.systemTurn(c)
	if reason != "" {
		return reason
	}
	if prompt := c.of(m.columns.Prompt); prompt.present() {
		turns, reason := m.turnsOrText(prompt, "user")
		if reason != "" {
			return reason
		}
		before = append(before, turns...)
	}
	chosen, reason := m.turnsOrText(c.of(m.columns.Chosen), "assistant")
	if reason != "" {
		return reason
	}
	rejected, reason := m.turnsOrText(c.of(m.columns.Rejected), "assistant")
	if reason != "" {
		return reason
	}
	if len(chosen) != len(rejected) {
		return UnequalPair
	}
	last := len(chosen) - 1
	for i := range last {
		if chosen[i].raw != rejected[i].raw {
			return UnequalPair
		}
	}
	turns := append(before, chosen...)
	if last > 0 { // the pair holds the conversation
		if turns = chosen; len(before) > 0 && before[0].role == "system" && chosen[0].role == "user" {
			turns = append(before[:1:1], chosen...)
		}
	}
	if reason := checkTurns(turns); reason != "" {
		return reason
	}
	if chosen[last].role != "assistant" || rejected[last].role != "assistant" || len(turns) < 2 {
		return NoResponse
	}
	e.Response, e.Rejected = chosen[last].reading(), rejected[last].reading()
	if strings.TrimSpace(e.Rejected) == "" {
		return EmptyResponse
	}
	if chosen[last].more {
		e.Turn = chosen[last].raw
	}
	return m.converse(turns[:len(turns)-1], e)
}

// turnsOrText reads a list of messages, or a text as one turn of the role.
func (m *mapper) turnsOrText(c cell, role string) ([]turn, Reason) {
	if c.state == cellJSON {
		return m.turnsOf(c)
	}
	null, empty := NullPrompt, EmptyPrompt
	if role == "assistant" {
		null, empty = NullResponse, EmptyResponse
	}
	text, reason := c.scalar(null)
	if reason == "" && strings.TrimSpace(text) == "" {
		reason = empty
	}
	return []turn{textTurn(role, text)}, reason
}
