package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/retort-ml/retort/distill"
)

// streamChunk is one event of a streamed chat completion.
type streamChunk struct {
	Error       json.RawMessage `json:"error"`
	Model       string          `json:"model"`
	Fingerprint *string         `json:"system_fingerprint"`
	Usage       *chatUsage      `json:"usage"`
	Choices     []struct {
		Index        int     `json:"index"`
		FinishReason *string `json:"finish_reason"`
		Delta        struct {
			Content          *string      `json:"content"`
			Refusal          *string      `json:"refusal"`
			ReasoningContent *string      `json:"reasoning_content"`
			Reasoning        *string      `json:"reasoning"`
			ToolCalls        []streamCall `json:"tool_calls"`
		} `json:"delta"`
		LogProbs *struct {
			Content []chatToken `json:"content"`
		} `json:"logprobs"`
	} `json:"choices"`
}

// streamCall is a part of a tool call.
type streamCall struct {
	Index    int    `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

func looksLikeObject(data []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) }

// joinStream makes a whole response of a stream's events.
func joinStream(data []byte, c *chatResponse) error {
	choice := chatChoice{}
	calls := map[int]streamCall{}
	any, ended := false, false
	for line := range bytes.Lines(data) {
		event, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data:"))
		if event = bytes.TrimSpace(event); !ok || len(event) == 0 {
			continue // comments, and other fields of events
		}
		if string(event) == "[DONE]" {
			ended = true
			break
		}
		var e streamChunk
		if err := decode(event, &e); err != nil {
			return fmt.Errorf("event: %w", err)
		}
		any = true
		c.join(&e, &choice, calls)
	}
	switch {
	case given(c.Error):
		return nil
	case !any:
		return fmt.Errorf("%w: it has no events", errTruncated)
	case choice.FinishReason == nil && !ended:
		return fmt.Errorf("%w: the stream has no end", errTruncated)
	}
	if len(calls) > 0 {
		raw, err := joinCalls(calls)
		if err != nil {
			return err
		}
		choice.Message.ToolCalls = raw
	}
	c.Choices = []chatChoice{choice}
	return nil
}

// join adds an event.
func (c *chatResponse) join(e *streamChunk, choice *chatChoice, calls map[int]streamCall) {
	if given(e.Error) {
		c.Error = e.Error
	}
	if e.Model != "" {
		c.Model = e.Model
	}
	if e.Fingerprint != nil {
		c.Fingerprint = e.Fingerprint
	}
	if e.Usage != nil {
		c.Usage = e.Usage
	}
	for _, part := range e.Choices {
		if part.Index != 0 {
			continue
		}
		m, d := &choice.Message, part.Delta
		extend(&m.Content, d.Content)
		extend(&m.Refusal, d.Refusal)
		extend(&m.ReasoningContent, d.ReasoningContent)
		extend(&m.Reasoning, d.Reasoning)
		if text(part.FinishReason) != "" {
			choice.FinishReason = part.FinishReason
		}
		if part.LogProbs != nil {
			if choice.LogProbs == nil {
				choice.LogProbs = part.LogProbs
			} else {
				choice.LogProbs.Content = append(choice.LogProbs.Content, part.LogProbs.Content...)
			}
		}
		for _, more := range d.ToolCalls {
			have := calls[more.Index]
			if more.ID != "" {
				have.ID = more.ID
			}
			have.Function.Name += more.Function.Name
			have.Function.Arguments += more.Function.Arguments
			calls[more.Index] = have
		}
	}
}

func extend(to **string, more *string) {
	switch {
	case more == nil:
	case *to == nil:
		*to = new(*more)
	default:
		**to += *more
	}
}

func joinCalls(calls map[int]streamCall) (json.RawMessage, error) {
	var list []toolCall
	for _, i := range slices.Sorted(maps.Keys(calls)) {
		list = append(list, newToolCall(calls[i].ID, calls[i].Function.Name, calls[i].Function.Arguments))
	}
	return encodeCalls(list)
}

// toolCall is a call as a message of OpenAI's assistant has it.
type toolCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"` // JSON, as text
	} `json:"function"`
}

func newToolCall(id, name, arguments string) toolCall {
	t := toolCall{ID: id, Type: "function"}
	t.Function.Name, t.Function.Arguments = name, arguments
	return t
}

func encodeCalls(list []toolCall) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(list)
	return bytes.TrimSpace(b.Bytes()), err
}

// setCalls writes the calls of an answer; none leaves it as it is.
func setCalls(a *distill.Answer, list []toolCall) error {
	if len(list) == 0 {
		return nil
	}
	raw, err := encodeCalls(list)
	if err != nil {
		return errors.New("tool calls: " + err.Error())
	}
	a.ToolCalls = string(raw)
	return nil
}
