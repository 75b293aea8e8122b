package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/retort-ml/retort/distill"
)

// anthropicWire is Anthropic's messages.
type anthropicWire struct{ o Options }

// answerTool is the tool by which a schema is asked for: the model has to call it.
const answerTool = "answer"

func (w anthropicWire) can(r *distill.Request) error {
	s := r.Sampling
	switch {
	case r.Given != nil:
		return errors.New("anthropic does not score given responses")
	case r.TopK > 0:
		return errors.New("anthropic tells no log-probabilities: top_k")
	case s.Temperature > 1 && !w.o.FixedSampling:
		return fmt.Errorf("temperature: %v: anthropic takes 0 to 1", s.Temperature)
	case s.MinP != 0 || s.RepetitionPenalty != 0 && s.RepetitionPenalty != 1:
		return errors.New("anthropic has no min_p and repetition_penalty")
	case r.Schema != "" && (r.Tools != "" || w.o.ThinkingTokens > 0):
		return errors.New("anthropic takes no schema together with tools or thinking")
	}
	return nil
}

func (w anthropicWire) path() string { return "/messages" }

func (w anthropicWire) key(h http.Header, key string) { h.Set("X-Api-Key", key) }

func (w anthropicWire) body(r *distill.Request) (map[string]any, error) {
	system, messages, err := readMessages(r, w.o.System)
	if err != nil {
		return nil, err
	}
	turns, err := anthropicTurns(messages)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"model": w.o.Model, "messages": turns, "max_tokens": w.o.maxTokens(r)}
	if system != "" {
		body["system"] = system
	}
	if len(w.o.Stop) > 0 {
		body["stop_sequences"] = w.o.Stop
	}
	w.sampling(body, r)
	tools, err := readTools(r)
	if err != nil {
		return nil, err
	}
	var list []any
	for _, t := range tools {
		list = append(list, map[string]any{"name": t.Function.Name, "description": t.Function.Description, "input_schema": t.Function.Parameters})
	}
	if r.Schema != "" {
		schema, err := object("schema", r.Schema)
		if err != nil {
			return nil, err
		}
		list = append(list, map[string]any{"name": answerTool, "description": "Give the answer.", "input_schema": schema})
		body["tool_choice"] = map[string]any{"type": "tool", "name": answerTool}
	}
	if len(list) > 0 {
		body["tools"] = list
	}
	return body, nil
}

// sampling says how to sample: nothing where the model thinks, which excludes it.
func (w anthropicWire) sampling(body map[string]any, r *distill.Request) {
	s := r.Sampling
	switch {
	case w.o.ThinkingTokens > 0:
		body["thinking"] = map[string]any{"type": "enabled", "budget_tokens": w.o.ThinkingTokens}
		return
	case w.o.FixedSampling:
		return
	}
	body["temperature"] = s.Temperature
	if s.Temperature > 0 && s.TopP != 0 && s.TopP != 1 {
		body["top_p"] = s.TopP
	}
	if s.Temperature > 0 && s.TopK > 0 {
		body["top_k"] = s.TopK
	}
}

type turn struct {
	Role    string           `json:"role"`
	Content []map[string]any `json:"content"`
}

// anthropicTurns writes messages as turns that alternate: what a tool returned is
// the user's, and neighbours of one role become one turn.
func anthropicTurns(messages []message) ([]turn, error) {
	var turns []turn
	for i := range messages {
		m := &messages[i]
		blocks, err := anthropicBlocks(m)
		if err != nil {
			return nil, fmt.Errorf("messages[%d].%w", i, err)
		}
		role := "user"
		if m.Role == "assistant" {
			role = m.Role
		}
		if n := len(turns); n > 0 && turns[n-1].Role == role {
			turns[n-1].Content = append(turns[n-1].Content, blocks...)
		} else {
			turns = append(turns, turn{role, blocks})
		}
	}
	if turns[0].Role != "user" {
		return nil, errors.New("messages: the first has to be the user's")
	}
	return turns, nil
}

func anthropicBlocks(m *message) ([]map[string]any, error) {
	if m.Role == "tool" {
		text, err := m.text()
		return []map[string]any{{"type": "tool_result", "tool_use_id": m.ToolCallID, "content": text}}, err
	}
	parts, err := m.parts()
	if err != nil {
		return nil, err
	}
	var blocks []map[string]any
	for _, p := range parts {
		switch p.Type {
		case "text":
			blocks = append(blocks, map[string]any{"type": "text", "text": p.Text})
		case "image_url":
			source := map[string]any{"type": "url", "url": p.Image.URL}
			if kind, data, ok := dataURL(p.Image.URL); ok {
				source = map[string]any{"type": "base64", "media_type": kind, "data": data}
			}
			blocks = append(blocks, map[string]any{"type": "image", "source": source})
		default:
			return nil, fmt.Errorf("content: anthropic has no part of kind %q", short(p.Type))
		}
	}
	for j, call := range m.ToolCalls {
		input, err := object(fmt.Sprintf("tool_calls[%d].function.arguments", j), call.arguments())
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, map[string]any{"type": "tool_use", "id": call.ID, "name": call.Function.Name, "input": input})
	}
	if len(blocks) == 0 {
		return nil, errors.New("content: it is empty")
	}
	return blocks, nil
}

// arguments are the call's; none are an empty object.
func (t *toolCall) arguments() string {
	if strings.TrimSpace(t.Function.Arguments) == "" {
		return "{}"
	}
	return t.Function.Arguments
}

// dataURL takes data:image/png;base64,… apart.
func dataURL(address string) (kind, data string, ok bool) {
	rest, ok := strings.CutPrefix(address, "data:")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ";base64,")
}

type anthropicResponse struct {
	Type    string          `json:"type"`
	Error   json.RawMessage `json:"error"`
	Model   string          `json:"model"`
	Content []struct {
		Type     string          `json:"type"`
		Text     string          `json:"text"`
		Thinking string          `json:"thinking"`
		ID       string          `json:"id"`
		Name     string          `json:"name"`
		Input    json.RawMessage `json:"input"`
	} `json:"content"`
	StopReason *string `json:"stop_reason"`
	Usage      *struct {
		Input   *int `json:"input_tokens"` // but for those below
		Output  *int `json:"output_tokens"`
		Written *int `json:"cache_creation_input_tokens"`
		Cached  *int `json:"cache_read_input_tokens"`
	} `json:"usage"`
}

func (w anthropicWire) read(data []byte, r *distill.Request) (distill.Answer, error) {
	var m anthropicResponse
	if err := decode(data, &m); err != nil {
		return distill.Answer{}, err
	}
	a := distill.Answer{Model: m.Model}
	if u := m.Usage; u != nil && u.Input != nil && u.Output != nil && *u.Input >= 0 && value(u.Written) >= 0 {
		a.Usage = credible(distill.Usage{PromptTokens: *u.Input + value(u.Written) + value(u.Cached), CachedTokens: value(u.Cached), AnswerTokens: *u.Output})
	}
	if given(m.Error) {
		return a, insideError(m.Error)
	}
	if m.Type != "message" {
		return a, fmt.Errorf("type: %q where message belongs", short(m.Type))
	}
	var calls []toolCall
	for i, c := range m.Content {
		switch c.Type {
		case "text":
			a.Text += c.Text
		case "thinking":
			a.Reasoning += c.Thinking
		case "redacted_thinking":
		case "tool_use":
			if !given(c.Input) {
				return a, fmt.Errorf("content[%d].input: there is none", i)
			}
			if r.Schema != "" && c.Name == answerTool {
				a.Text = string(c.Input)
				continue
			}
			calls = append(calls, newToolCall(c.ID, c.Name, string(c.Input)))
		default:
			return a, fmt.Errorf("content[%d].type: %q is unknown", i, short(c.Type))
		}
	}
	if err := setCalls(&a, calls); err != nil {
		return a, err
	}
	var err error
	a.Finish, err = anthropicFinish(text(m.StopReason), &a, r.Schema != "")
	return a, err
}

func anthropicFinish(reason string, a *distill.Answer, schema bool) (string, error) {
	switch reason {
	case "end_turn", "stop_sequence":
		return ended(a), nil
	case "tool_use":
		if a.ToolCalls == "" && !schema {
			return "", errors.New("stop_reason: tool_use without a call")
		}
		return ended(a), nil
	case "max_tokens", "model_context_window_exceeded":
		return distill.FinishLength, nil
	case "refusal":
		return distill.FinishRefusal, nil
	}
	return "", fmt.Errorf("stop_reason: %q: the answer did not end", short(reason))
}
