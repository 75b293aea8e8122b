package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/retort-ml/retort/distill"
)

// chatWire is OpenAI's chat completions, as its servers and many others speak it.
type chatWire struct{ o Options }

func (w chatWire) can(r *distill.Request) error {
	if r.Given != nil {
		return errors.New("chat completions do not score given responses: use api: completions on a vLLM server, or a local teacher")
	}
	if r.TopK > 20 && w.o.API == Azure {
		return fmt.Errorf("top_k: %d: the server returns at most 20 alternatives", r.TopK)
	}
	return nil
}

func (w chatWire) path() string {
	if w.o.API != Azure {
		return "/chat/completions"
	}
	path := "/chat/completions?api-version=" + url.QueryEscape(w.o.APIVersion)
	if w.o.Model != "" {
		path = "/openai/deployments/" + url.PathEscape(w.o.Model) + path
	}
	return path
}

func (w chatWire) key(h http.Header, key string) {
	if w.o.API == Azure {
		h.Set("Api-Key", key)
		return
	}
	h.Set("Authorization", "Bearer "+key)
}

func (w chatWire) body(r *distill.Request) (map[string]any, error) {
	messages, err := conversation(r, w.o.System)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"messages": messages, w.o.MaxTokensField: w.o.maxTokens(r)}
	if w.o.Model != "" {
		body["model"] = w.o.Model
	}
	w.o.sampling(body, r)
	if r.TopK > 0 {
		body["logprobs"], body["top_logprobs"] = true, r.TopK
	}
	if r.Tools != "" {
		var tools []any
		if err := json.Unmarshal([]byte(r.Tools), &tools); err != nil {
			return nil, fmt.Errorf("tools: %w", err)
		}
		if len(tools) > 0 {
			body["tools"] = tools
		}
	}
	if r.Schema != "" {
		schema, err := object("schema", r.Schema)
		if err != nil {
			return nil, err
		}
		body["response_format"] = map[string]any{"type": "json_schema",
			"json_schema": map[string]any{"name": "answer", "schema": schema, "strict": true}}
	}
	if w.o.Stream {
		body["stream"], body["stream_options"] = true, map[string]any{"include_usage": true}
	}
	return body, nil
}

// conversation is the request's messages, after the options' system message if
// they have none of their own.
func conversation(r *distill.Request, system string) ([]map[string]any, error) {
	messages := []map[string]any{{"role": "user", "content": r.Prompt}}
	if r.Messages != "" {
		messages = nil
		if err := json.Unmarshal([]byte(r.Messages), &messages); err != nil {
			return nil, fmt.Errorf("messages: %w", err)
		}
	}
	if len(messages) == 0 {
		return nil, errors.New("messages: there are none")
	}
	own := false
	for i, m := range messages {
		role, ok := m["role"].(string)
		if !ok {
			return nil, fmt.Errorf("messages[%d].role: want a text", i)
		}
		own = own || role == "system" || role == "developer"
	}
	if system != "" && !own {
		messages = append([]map[string]any{{"role": "system", "content": system}}, messages...)
	}
	return messages, nil
}
