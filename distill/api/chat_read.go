package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/retort-ml/retort/distill"
)

// chatResponse is a chat completion, or an error in its place.
type chatResponse struct {
	Error       json.RawMessage `json:"error"`
	Model       string          `json:"model"`
	Fingerprint *string         `json:"system_fingerprint"`
	Choices     []chatChoice    `json:"choices"`
	Usage       *chatUsage      `json:"usage"`
}

type chatChoice struct {
	FinishReason *string     `json:"finish_reason"`
	Message      chatMessage `json:"message"`
	LogProbs     *struct {
		Content []chatToken `json:"content"`
	} `json:"logprobs"`
}

type chatMessage struct {
	Content          *string         `json:"content"`
	Refusal          *string         `json:"refusal"`
	ToolCalls        json.RawMessage `json:"tool_calls"`
	ReasoningContent *string         `json:"reasoning_content"` // DeepSeek, vLLM, SGLang, llama.cpp, xAI
	Reasoning        *string         `json:"reasoning"`         // OpenRouter, Groq, newer vLLM, Ollama
}

type chatUsage struct {
	PromptTokens     *int `json:"prompt_tokens"`
	CompletionTokens *int `json:"completion_tokens"`
	PromptDetails    *struct {
		CachedTokens *int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails *struct {
		ReasoningTokens *int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// usage counts what is billed; zero if the server does not say it, or says what
// cannot be.
func (u *chatUsage) usage() distill.Usage {
	if u == nil || u.PromptTokens == nil || u.CompletionTokens == nil {
		return distill.Usage{}
	}
	n := distill.Usage{PromptTokens: *u.PromptTokens, AnswerTokens: *u.CompletionTokens}
	if u.PromptDetails != nil {
		n.CachedTokens = value(u.PromptDetails.CachedTokens)
	}
	if u.CompletionDetails != nil {
		n.ReasoningTokens = value(u.CompletionDetails.ReasoningTokens)
	}
	return credible(n)
}

// credible is the usage, or zero if its numbers cannot be true: they are money.
func credible(u distill.Usage) distill.Usage {
	const most = 1 << 40
	if u.PromptTokens < 1 || u.AnswerTokens < 0 || u.CachedTokens < 0 || u.ReasoningTokens < 0 ||
		u.CachedTokens > u.PromptTokens || u.PromptTokens > most || u.AnswerTokens > most {
		return distill.Usage{}
	}
	return u
}

func (w chatWire) read(data []byte, r *distill.Request) (distill.Answer, error) {
	var c chatResponse
	a := distill.Answer{}
	if w.o.Stream && !looksLikeObject(data) {
		if err := joinStream(data, &c); err != nil {
			return a, err
		}
	} else if err := decode(data, &c); err != nil {
		return a, err
	}
	return c.answer(&w.o, r)
}

func (c *chatResponse) answer(o *Options, r *distill.Request) (distill.Answer, error) {
	a := distill.Answer{Model: c.Model, Fingerprint: text(c.Fingerprint)}
	a.Usage = c.Usage.usage()
	if given(c.Error) {
		return a, insideError(c.Error)
	}
	if len(c.Choices) == 0 {
		return a, errors.New("choices: there are none")
	}
	choice := c.Choices[0]
	m := choice.Message
	a.Text, a.Reasoning = text(m.Content), text(m.ReasoningContent)
	if a.Reasoning == "" {
		a.Reasoning = text(m.Reasoning)
	}
	if a.Reasoning == "" {
		a.Reasoning, a.Text = splitThoughts(a.Text)
	}
	if given(m.ToolCalls) {
		var calls []json.RawMessage
		if err := json.Unmarshal(m.ToolCalls, &calls); err != nil {
			return a, fmt.Errorf("choices[0].message.tool_calls: %w", err)
		}
		if len(calls) > 0 {
			a.ToolCalls = string(m.ToolCalls)
		}
	}
	var err error
	if a.Finish, err = chatFinish(text(choice.FinishReason), &a); err != nil {
		return a, err
	}
	if refusal := text(m.Refusal); refusal != "" {
		a.Finish, a.Text = distill.FinishRefusal, refusal
	}
	if r.TopK > 0 && a.Finish != distill.FinishRefusal {
		if choice.LogProbs == nil || len(choice.LogProbs.Content) == 0 && a.Text != "" {
			return a, errors.New("choices[0].logprobs: there are none, though asked for: the server cannot, or not for this model")
		}
		if a.Pieces, err = pieces(choice.LogProbs.Content, r.TopK); err != nil {
			return a, fmt.Errorf("choices[0].logprobs.content%w", err)
		}
	}
	return a, nil
}

// chatFinish says how an answer ended.
func chatFinish(reason string, a *distill.Answer) (string, error) {
	switch reason {
	case "stop", "eos", "end_turn", "stop_sequence":
		return ended(a), nil
	case "tool_calls", "function_call":
		if a.ToolCalls == "" {
			return "", fmt.Errorf("choices[0].finish_reason: %q without tool calls", reason)
		}
		return distill.FinishTools, nil
	case "length":
		return distill.FinishLength, nil
	case "content_filter":
		return distill.FinishRefusal, nil
	case "":
		return "", errors.New("choices[0].finish_reason: there is none: the answer did not end")
	}
	return "", fmt.Errorf("choices[0].finish_reason: %q is unknown", short(reason))
}

// ended is how an answer ended that the model ended itself.
func ended(a *distill.Answer) string {
	switch {
	case a.ToolCalls != "":
		return distill.FinishTools // as some servers say stop then, too
	case strings.TrimSpace(a.Text) == "":
		return distill.FinishEmpty
	}
	return distill.FinishStop
}

// splitThoughts takes <think>…</think> off the beginning of a text. Templates may
// open it in the prompt, so that only its end is in the answer.
func splitThoughts(s string) (reasoning, rest string) {
	inside, opened := strings.CutPrefix(strings.TrimLeft(s, " \t\r\n"), "<think>")
	thought, after, closed := strings.Cut(inside, "</think>")
	switch {
	case closed:
		return strings.TrimSpace(thought), strings.TrimLeft(after, " \t\r\n")
	case opened: // cut while it thought
		return strings.TrimSpace(inside), ""
	}
	return "", s
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// given tells whether a JSON value is there and not null.
func given(v json.RawMessage) bool { return len(v) > 0 && string(v) != "null" }
