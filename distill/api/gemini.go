package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/retort-ml/retort/distill"
)

// geminiWire is Google's generateContent.
type geminiWire struct{ o Options }

func (w geminiWire) can(r *distill.Request) error {
	s := r.Sampling
	switch {
	case r.Given != nil:
		return errors.New("gemini does not score given responses")
	case r.TopK > 20:
		return fmt.Errorf("top_k: %d: gemini returns at most 20 alternatives", r.TopK)
	case s.MinP != 0 || s.RepetitionPenalty != 0 && s.RepetitionPenalty != 1:
		return errors.New("gemini has no min_p and repetition_penalty")
	}
	return nil
}

func (w geminiWire) path() string { return "/models/" + url.PathEscape(w.o.Model) + ":generateContent" }

func (w geminiWire) key(h http.Header, key string) { h.Set("X-Goog-Api-Key", key) }

func (w geminiWire) body(r *distill.Request) (map[string]any, error) {
	system, messages, err := readMessages(r, w.o.System)
	if err != nil {
		return nil, err
	}
	contents, err := geminiContents(messages)
	if err != nil {
		return nil, err
	}
	config, err := w.config(r)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"contents": contents, "generationConfig": config}
	if system != "" {
		body["systemInstruction"] = map[string]any{"parts": []any{map[string]any{"text": system}}}
	}
	tools, err := readTools(r)
	if err != nil {
		return nil, err
	}
	var list []any
	for _, t := range tools {
		list = append(list, map[string]any{"name": t.Function.Name, "description": t.Function.Description, "parametersJsonSchema": t.Function.Parameters})
	}
	if len(list) > 0 {
		body["tools"] = []any{map[string]any{"functionDeclarations": list}}
	}
	return body, nil
}

func (w geminiWire) config(r *distill.Request) (map[string]any, error) {
	s := r.Sampling
	config := map[string]any{"maxOutputTokens": w.o.maxTokens(r), "candidateCount": 1}
	if !w.o.FixedSampling {
		config["temperature"] = s.Temperature
		if s.Temperature > 0 {
			config["seed"] = seed(r)
			if s.TopP != 0 && s.TopP != 1 {
				config["topP"] = s.TopP
			}
			if s.TopK > 0 {
				config["topK"] = s.TopK
			}
		}
	}
	if len(w.o.Stop) > 0 {
		config["stopSequences"] = w.o.Stop
	}
	if r.TopK > 0 {
		config["responseLogprobs"], config["logprobs"] = true, r.TopK
	}
	if w.o.ThinkingTokens > 0 {
		config["thinkingConfig"] = map[string]any{"thinkingBudget": w.o.ThinkingTokens, "includeThoughts": w.o.Reasoning == KeepReasoning}
	}
	if r.Schema != "" {
		schema, err := object("schema", r.Schema)
		if err != nil {
			return nil, err
		}
		config["responseMimeType"], config["responseJsonSchema"] = "application/json", schema
	}
	return config, nil
}

type geminiContent struct {
	Role  string           `json:"role"`
	Parts []map[string]any `json:"parts"`
}

// geminiContents writes messages as contents; what a tool returned is the
// user's, and neighbours of one role become one.
func geminiContents(messages []message) ([]geminiContent, error) {
	names := map[string]string{} // of the functions called, by the calls' ids
	var list []geminiContent
	for i := range messages {
		m := &messages[i]
		role := "user"
		if m.Role == "assistant" {
			role = "model"
		}
		parts, err := geminiParts(m, names)
		if err != nil {
			return nil, fmt.Errorf("messages[%d].%w", i, err)
		}
		if n := len(list); n > 0 && list[n-1].Role == role {
			list[n-1].Parts = append(list[n-1].Parts, parts...)
		} else {
			list = append(list, geminiContent{role, parts})
		}
	}
	return list, nil
}

func geminiParts(m *message, names map[string]string) ([]map[string]any, error) {
	if m.Role == "tool" {
		return geminiToolResult(m, names)
	}
	parts, err := m.parts()
	if err != nil {
		return nil, err
	}
	var list []map[string]any
	for _, p := range parts {
		kind, data, inline := dataURL(p.Image.URL)
		switch {
		case p.Type == "text":
			list = append(list, map[string]any{"text": p.Text})
		case p.Type == "image_url" && inline:
			list = append(list, map[string]any{"inlineData": map[string]any{"mimeType": kind, "data": data}})
		default:
			return nil, fmt.Errorf("content: gemini takes no part of kind %q, or not by address", short(p.Type))
		}
	}
	for j, call := range m.ToolCalls {
		args, err := object(fmt.Sprintf("tool_calls[%d].function.arguments", j), call.arguments())
		if err != nil {
			return nil, err
		}
		names[call.ID] = call.Function.Name
		list = append(list, map[string]any{"functionCall": map[string]any{"name": call.Function.Name, "args": args}})
	}
	if len(list) == 0 {
		return nil, errors.New("content: it is empty")
	}
	return list, nil
}

func geminiToolResult(m *message, names map[string]string) ([]map[string]any, error) {
	text, err := m.text()
	if err != nil {
		return nil, err
	}
	name := names[m.ToolCallID]
	if name == "" {
		name = m.Name
	}
	if name == "" {
		return nil, fmt.Errorf("tool_call_id: %q: there is no such call", short(m.ToolCallID))
	}
	response, err := object("content", text)
	if err != nil { // Gemini wants an object
		response = map[string]any{"result": text}
	}
	return []map[string]any{{"functionResponse": map[string]any{"name": name, "response": response}}}, nil
}
