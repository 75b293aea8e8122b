package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/retort-ml/retort/distill"
)

// wire is one provider's format.
type wire interface {
	// can says why no such request can be asked of the provider; nil if it can.
	can(r *distill.Request) error
	// path is what follows the base URL.
	path() string
	// key puts the key where the provider wants it.
	key(h http.Header, key string)
	// body writes the request. Its error is of this request alone.
	body(r *distill.Request) (map[string]any, error)
	// read reads a response with status 200. With an error of what is in it, the
	// answer's usage is still good.
	read(data []byte, r *distill.Request) (distill.Answer, error)
}

// newWire makes the wire of options with defaults.
func newWire(o Options) wire {
	switch o.API {
	case OpenAI, Azure:
		return chatWire{o}
	case Completions:
		return completionsWire{o}
	case Anthropic:
		return anthropicWire{o}
	case Gemini:
		return geminiWire{o}
	}
	panic("api: options were not validated")
}

// encode writes a body with what the options add to it. Equal requests give
// equal bytes.
func (o *Options) encode(w wire, r *distill.Request) ([]byte, error) {
	body, err := w.body(r)
	if err != nil {
		return nil, err
	}
	merge(body, o.ExtraBody)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// merge adds to body, into objects that are there.
func merge(body, extra map[string]any) {
	for key, value := range extra {
		have, ok := body[key].(map[string]any)
		more, isObject := value.(map[string]any)
		if ok && isObject {
			merge(have, more)
		} else {
			body[key] = value
		}
	}
}

// errTruncated says that a response ends early or is none of the API's: asking
// again may help.
var errTruncated = errors.New("the response is cut or not JSON")

// decode reads JSON. Its errors name the field.
func decode(data []byte, into any) error {
	err := json.Unmarshal(data, into)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return fmt.Errorf("%s: a JSON %s where %s belongs", wrong.Field, wrong.Value, wrong.Type)
	}
	return fmt.Errorf("%w: %v", errTruncated, err)
}

// object reads a JSON object that the user's data hold, such as a schema.
func object(what, text string) (map[string]any, error) {
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if o == nil {
		return nil, fmt.Errorf("%s: null where an object belongs", what)
	}
	return o, nil
}

// maxTokens is the longest answer that is asked for, thinking included.
func (o *Options) maxTokens(r *distill.Request) int {
	if r.Given != nil {
		return 1
	}
	n := r.MaxTokens
	if n == 0 {
		n = 256
	}
	return n + o.ThinkingTokens
}

// seed differs between the samples of one question, and fits 31 bits, as some
// servers want it.
func seed(r *distill.Request) uint64 {
	return (r.Seed + uint64(r.Sample)*0x9e3779b97f4a7c15) & (1<<31 - 1)
}

// sampling writes how to sample, as OpenAI and those who follow it name it.
func (o *Options) sampling(body map[string]any, r *distill.Request) {
	s := r.Sampling
	if !o.FixedSampling {
		body["temperature"] = s.Temperature
		if s.TopP != 0 && s.TopP != 1 && s.Temperature > 0 {
			body["top_p"] = s.TopP
		}
		if o.SeedField != "none" && s.Temperature > 0 {
			body[o.SeedField] = seed(r)
		}
	}
	if s.TopK > 0 && s.Temperature > 0 {
		body["top_k"] = s.TopK
	}
	if s.MinP > 0 && s.Temperature > 0 {
		body["min_p"] = s.MinP
	}
	if s.RepetitionPenalty != 0 && s.RepetitionPenalty != 1 {
		body["repetition_penalty"] = s.RepetitionPenalty
	}
	if len(o.Stop) > 0 {
		body["stop"] = o.Stop
	}
}
