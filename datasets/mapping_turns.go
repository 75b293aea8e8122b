package datasets

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// turn is one message of a conversation.
type turn struct {
	role string
	text string // its content; parts of text are joined
	// calls is the JSON of its tool_calls, "" if there are none.
	calls string
	more  bool   // it has more than role and content
	raw   string // the message's JSON, members and numbers as they were written, without white space and members that are null
}

// textTurn is a message of a role and a text.
func textTurn(role, text string) turn {
	raw := appendQuoted([]byte(`{"role":`), role)
	raw = appendQuoted(append(raw, `,"content":`...), text)
	return turn{role: role, text: text, raw: string(append(raw, '}'))}
}

// reading is what a person reads of the turn.
func (t turn) reading() string {
	if t.text == "" {
		return t.calls
	}
	return t.text
}

// shareRoles are the roles of ShareGPT's "from".
var shareRoles = map[string]string{
	"system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
	"model": "assistant", "function": "tool", "tool": "tool", "observation": "tool",
}

// turnsOf reads a list of messages, or its JSON as a text.
func (m *mapper) turnsOf(c cell) (list []turn, reason Reason) {
	text := strings.TrimSpace(c.text)
	switch c.state {
	case cellJSON:
	case cellText:
		if !strings.HasPrefix(text, "[") || !json.Valid([]byte(text)) {
			return nil, WrongType
		}
	default:
		_, reason := c.scalar(NullPrompt)
		return nil, reason
	}
	if text[0] != '[' {
		return nil, WrongType
	}
	for element := range elements([]byte(text)) {
		if element[0] != '{' {
			return nil, BadTurn
		}
		read := readTurn
		if m.in.format() == FormatShareGPT {
			read = readShareTurn
		}
		t, reason := read(element)
		if reason != "" {
			return nil, reason
		}
		list = append(list, t)
	}
	if len(list) == 0 {
		return nil, EmptyPrompt
	}
	return list, ""
}

// readTurn reads one message as OpenAI's chat completions have it.
func readTurn(object []byte) (t turn, reason Reason) {
	raw := []byte{'{'}
	for key, value := range members(object) {
		switch {
		case key == "role":
			role := jsonCell(value)
			if role.state != cellText || role.number {
				return t, UnknownRole
			}
			t.role = role.text
		case key == "content":
			if t.text, value, reason = content(value); reason != "" {
				return t, reason
			}
		case value[0] == 'n': // null
			continue
		case key == "tool_calls":
			if bytes.Equal(bytes.Join(bytes.Fields(value), nil), []byte("[]")) {
				continue
			}
			t.more, t.calls = true, string(compact(value))
		default:
			t.more = true
		}
		if len(raw) > 1 {
			raw = append(raw, ',')
		}
		raw = append(append(appendQuoted(raw, key), ':'), compact(value)...)
	}
	t.raw = string(append(raw, '}'))
	if !slices.Contains([]string{"system", "developer", "user", "assistant", "tool"}, t.role) {
		return t, UnknownRole
	}
	return t, ""
}

// content is a message's text: a text, null, or parts that are texts.
func content(value []byte) (text string, as []byte, reason Reason) {
	c := jsonCell(value)
	switch {
	case c.state == cellNull:
		return "", value, ""
	case c.state == cellInvalidUTF8:
		return "", nil, InvalidUTF8
	case c.state == cellText && value[0] == '"':
		return c.text, value, ""
	case c.state != cellJSON || value[0] != '[':
		return "", nil, BadTurn
	}
	for part := range elements(value) {
		kind, words := "", cell{state: cellMissing}
		if part[0] == '"' {
			kind, words = "text", jsonCell(part)
		} else if part[0] == '{' {
			for key, value := range members(part) {
				switch key {
				case "type":
					kind = jsonCell(value).text
				case "text":
					words = jsonCell(value)
				}
			}
		}
		if kind != "text" || words.state != cellText {
			return "", nil, NotText
		}
		text += words.text
	}
	return text, appendQuoted(nil, text), ""
}

func readShareTurn(object []byte) (turn, Reason) {
	from, value := cell{state: cellMissing}, cell{state: cellMissing}
	for key, v := range members(object) {
		switch key {
		case "from":
			from = jsonCell(v)
		case "value":
			value = jsonCell(v)
		}
	}
	role, ok := shareRoles[from.text]
	if !ok {
		return turn{}, UnknownRole
	}
	text, reason := value.scalar(EmptyTurn)
	return textTurn(role, text), reason
}

// compact is valid JSON without white space.
func compact(value []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(value))
	if json.Compact(&b, value) != nil {
		return value
	}
	return b.Bytes()
}

// checkTurns says what is wrong with a conversation: want perhaps a system (or
// developer) turn, then user and assistant by turns, with a tool's turns behind
// an assistant's. Chat templates refuse others.
func checkTurns(list []turn) Reason {
	before := ""
	for i, t := range list {
		if strings.TrimSpace(t.text) == "" && t.calls == "" && t.role != "tool" {
			return EmptyTurn
		}
		switch t.role {
		case "system", "developer":
			if i > 0 {
				return LateSystem
			}
			continue
		case "user":
			if before == "user" {
				return NotAlternating
			}
		case "assistant":
			if before == "" {
				return AssistantFirst
			}
			if before == "assistant" {
				return NotAlternating
			}
		case "tool":
			if before != "assistant" && before != "tool" {
				return StrayTool
			}
		}
		before = t.role
	}
	if before == "" {
		return EmptyPrompt // a system turn alone
	}
	return ""
}
