package api

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/retort-ml/retort/distill"
)

// message is one of OpenAI's, read for providers that have others.
type message struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"` // a text, parts, or null
	ToolCalls  []toolCall      `json:"tool_calls"`
	ToolCallID string          `json:"tool_call_id"`
	Name       string          `json:"name"`
}

// part is a part of a message's content.
type part struct {
	Type  string `json:"type"`
	Text  string `json:"text"`
	Image struct {
		URL string `json:"url"`
	} `json:"image_url"`
}

// parts are a message's parts; a text is one.
func (m *message) parts() ([]part, error) {
	if !given(m.Content) {
		return nil, nil
	}
	var text string
	if json.Unmarshal(m.Content, &text) == nil {
		if text == "" {
			return nil, nil
		}
		return []part{{Type: "text", Text: text}}, nil
	}
	var list []part
	if err := decode(m.Content, &list); err != nil {
		return nil, fmt.Errorf("content: %w", err)
	}
	return list, nil
}

// text is a message's text; an error if it has something else.
func (m *message) text() (string, error) {
	parts, err := m.parts()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Type != "text" {
			return "", fmt.Errorf("content: a part of kind %q where text belongs", short(p.Type))
		}
		b.WriteString(p.Text)
	}
	return b.String(), nil
}

// readMessages takes the system's texts apart from the other messages.
func readMessages(r *distill.Request, system string) (string, []message, error) {
	conversation, err := conversation(r, system)
	if err != nil {
		return "", nil, err
	}
	raw, err := json.Marshal(conversation)
	if err != nil {
		return "", nil, err
	}
	var all []message
	if err := decode(raw, &all); err != nil {
		return "", nil, fmt.Errorf("messages: %w", err)
	}
	var told []string
	var rest []message
	for i := range all {
		switch all[i].Role {
		case "system", "developer":
			text, err := all[i].text()
			if err != nil {
				return "", nil, fmt.Errorf("messages[%d].%w", i, err)
			}
			told = append(told, text)
		case "user", "assistant", "tool":
			rest = append(rest, all[i])
		default:
			return "", nil, fmt.Errorf("messages[%d].role: %q is unknown", i, short(all[i].Role))
		}
	}
	if len(rest) == 0 {
		return "", nil, fmt.Errorf("messages: there is none of a user")
	}
	return strings.Join(told, "\n\n"), rest, nil
}

// tool is a function that may be called, as OpenAI describes it.
type tool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
	} `json:"function"`
}

func readTools(r *distill.Request) ([]tool, error) {
	if r.Tools == "" {
		return nil, nil
	}
	var list []tool
	if err := decode([]byte(r.Tools), &list); err != nil {
		return nil, fmt.Errorf("tools: %w", err)
	}
	for i := range list {
		if list[i].Type != "function" || list[i].Function.Name == "" {
			return nil, fmt.Errorf("tools[%d]: want a function with a name", i)
		}
		if !given(list[i].Function.Parameters) {
			list[i].Function.Parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
	}
	return list, nil
}
