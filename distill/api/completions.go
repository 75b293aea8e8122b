package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/retort-ml/retort/distill"
)

// completionsWire is the older completions, of texts that are gone on with. With
// echo, vLLM and SGLang say how likely each token of a given text is.
type completionsWire struct{ o Options }

func (w completionsWire) can(r *distill.Request) error {
	if r.Tools != "" || r.Schema != "" {
		return errors.New("completions know no tools and schemas: use api: openai")
	}
	return nil
}

func (w completionsWire) path() string { return "/completions" }

func (w completionsWire) key(h http.Header, key string) { h.Set("Authorization", "Bearer "+key) }

func (w completionsWire) body(r *distill.Request) (map[string]any, error) {
	if r.Messages != "" {
		return nil, errors.New("messages: completions go on with a text: use api: openai for conversations")
	}
	body := map[string]any{"model": w.o.Model, "prompt": r.Prompt, "max_tokens": w.o.maxTokens(r)}
	if r.Given != nil {
		if r.Prompt == "" || *r.Given == "" {
			return nil, errors.New("a given response can be scored only after a prompt, and with text in it")
		}
		body["prompt"], body["echo"], body["logprobs"], body["temperature"] = r.Prompt+*r.Given, true, max(1, r.TopK), 0
		return body, nil
	}
	w.o.sampling(body, r)
	if r.TopK > 0 {
		body["logprobs"] = r.TopK
	}
	return body, nil
}

type completion struct {
	Error       json.RawMessage `json:"error"`
	Model       string          `json:"model"`
	Fingerprint *string         `json:"system_fingerprint"`
	Choices     []struct {
		Text         *string             `json:"text"`
		FinishReason *string             `json:"finish_reason"`
		LogProbs     *completionLogProbs `json:"logprobs"`
	} `json:"choices"`
	Usage *chatUsage `json:"usage"`
}

type completionLogProbs struct {
	Tokens   []string              `json:"tokens"`
	LogProbs []*float64            `json:"token_logprobs"`
	Top      []map[string]*float64 `json:"top_logprobs"`
	Content  []chatToken           `json:"content"` // llama.cpp has them as in chats
}

func (w completionsWire) read(data []byte, r *distill.Request) (distill.Answer, error) {
	var c completion
	if err := decode(data, &c); err != nil {
		return distill.Answer{}, err
	}
	a := distill.Answer{Model: c.Model, Fingerprint: text(c.Fingerprint), Usage: c.Usage.usage()}
	if given(c.Error) {
		return a, insideError(c.Error)
	}
	if len(c.Choices) == 0 {
		return a, errors.New("choices: there are none")
	}
	choice := c.Choices[0]
	if choice.Text == nil {
		return a, errors.New("choices[0].text: there is none")
	}
	var err error
	if r.Given != nil {
		a.Text, a.Finish = *r.Given, distill.FinishGiven
		if choice.LogProbs == nil {
			return a, errors.New("choices[0].logprobs: there are none: the server does not score given texts (echo with logprobs, as vLLM does)")
		}
		a.Pieces, err = choice.LogProbs.score(r)
		return a, err
	}
	a.Text = *choice.Text
	if a.Finish, err = chatFinish(text(choice.FinishReason), &a); err != nil {
		return a, err
	}
	if r.TopK > 0 {
		if choice.LogProbs == nil {
			return a, errors.New("choices[0].logprobs: there are none, though asked for")
		}
		a.Pieces, err = choice.LogProbs.answered(r.TopK)
	}
	return a, err
}

// answered are the tokens of an answer.
func (l *completionLogProbs) answered(k int) ([]distill.Piece, error) {
	if l.Tokens != nil {
		return l.pieces(0, len(l.Tokens), k)
	}
	if l.Content == nil {
		return nil, errors.New("choices[0].logprobs: neither tokens nor content")
	}
	list, err := pieces(l.Content, k)
	if err != nil {
		return nil, fmt.Errorf("choices[0].logprobs.content%w", err)
	}
	return list, nil
}

// score finds the given response among the echoed tokens, which may begin with
// a mark of the beginning and end with one more token.
func (l *completionLogProbs) score(r *distill.Request) ([]distill.Piece, error) {
	var all strings.Builder
	starts := make([]int, len(l.Tokens))
	for i, t := range l.Tokens {
		starts[i] = all.Len()
		all.Write(tokenBytes(t))
	}
	at := strings.Index(all.String(), r.Prompt+*r.Given)
	if at < 0 {
		return nil, errors.New("choices[0].logprobs.tokens: they do not spell the prompt and the given response: the server does not echo")
	}
	begin, end := at+len(r.Prompt), at+len(r.Prompt)+len(*r.Given)
	first, last := -1, len(l.Tokens)
	for i, start := range starts {
		if start == begin && len(l.Tokens[i]) > 0 && first < 0 {
			first = i
		}
		if start == end && first >= 0 && last == len(l.Tokens) {
			last = i
		}
	}
	if first < 0 || last == len(l.Tokens) && all.Len() != end {
		return nil, errors.New("a token of the server reaches over the edge of the given response: begin it with a space or line, or end the prompt with one")
	}
	return l.pieces(first, last, r.TopK)
}

// pieces are the tokens from first to before last.
func (l *completionLogProbs) pieces(first, last, k int) ([]distill.Piece, error) {
	if len(l.LogProbs) != len(l.Tokens) || k > 0 && len(l.Top) != len(l.Tokens) {
		return nil, fmt.Errorf("choices[0].logprobs: %d tokens, %d log-probabilities, alternatives for %d", len(l.Tokens), len(l.LogProbs), len(l.Top))
	}
	list := make([]distill.Piece, 0, last-first)
	for i := first; i < last; i++ {
		lp, err := number(l.LogProbs[i])
		if err != nil {
			return nil, fmt.Errorf("choices[0].logprobs.token_logprobs[%d]: %w", i, err)
		}
		p := distill.Piece{Bytes: tokenBytes(l.Tokens[i]), LogProb: lp}
		for _, token := range sortedKeys(l.Top, i, k) {
			lp, err := number(l.Top[i][token])
			if err != nil {
				return nil, fmt.Errorf("choices[0].logprobs.top_logprobs[%d][%q]: %w", i, short(token), err)
			}
			if lp > outside {
				p.Top = append(p.Top, distill.Alternative{Bytes: tokenBytes(token), LogProb: lp})
			}
		}
		p.Top = likeliest(p.Top, k)
		list = append(list, p)
	}
	return list, nil
}

// tokenBytes are a token's bytes: OpenAI writes parts of characters as bytes:\xe2\x80.
func tokenBytes(token string) []byte {
	escaped, ok := strings.CutPrefix(token, "bytes:")
	if !ok || len(escaped) == 0 || len(escaped)%4 != 0 {
		return []byte(token)
	}
	var list []byte
	for ; len(escaped) > 0; escaped = escaped[4:] {
		n, err := strconv.ParseUint(escaped[2:4], 16, 8)
		if err != nil || escaped[:2] != `\x` {
			return []byte(token)
		}
		list = append(list, byte(n))
	}
	return list
}
