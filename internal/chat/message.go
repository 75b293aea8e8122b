package chat

import (
	"fmt"

	"github.com/retort-ml/retort/internal/chat/jinja"
)

// Message is one turn of a conversation, with its keys in the order they were
// written.
type Message struct{ fields *jinja.Dict }

// Text makes a message of a role and a text.
func Text(role, content string) Message {
	d := jinja.NewDict()
	d.Set("role", role)
	d.Set("content", content)
	return Message{d}
}

// Role is the message's role, "" if it has none.
func (m Message) Role() string {
	if m.fields == nil {
		return ""
	}
	v, _ := m.fields.Get("role")
	s, _ := v.(string)
	return s
}

// ParseMessages reads a JSON array of objects. Errors name the message.
func ParseMessages(data []byte) ([]Message, error) {
	list, err := ParseList(data)
	if err != nil {
		return nil, err
	}
	out := make([]Message, len(list))
	for i, v := range list {
		d, ok := v.(*jinja.Dict)
		if !ok {
			return nil, fmt.Errorf("message %d is not an object", i)
		}
		out[i] = Message{d}
		if out[i].Role() == "" {
			return nil, fmt.Errorf("message %d: role: want a string", i)
		}
	}
	return out, nil
}

// ParseList reads a JSON array, of tools or documents.
func ParseList(data []byte) ([]jinja.Value, error) {
	v, err := jinja.DecodeJSON(data)
	if err != nil {
		return nil, err
	}
	l, ok := v.(*jinja.List)
	if !ok {
		return nil, fmt.Errorf("want a JSON array")
	}
	return l.Items, nil
}
