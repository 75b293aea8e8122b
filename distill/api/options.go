package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/retort-ml/retort/distill"
)

// What Options.API may say.
const (
	OpenAI      = "openai"      // chat completions, of OpenAI and many others
	Azure       = "azure"       // the same with Azure's paths and header
	Completions = "completions" // the older /completions, of base models; scores given responses on vLLM
	Anthropic   = "anthropic"   // messages
	Gemini      = "gemini"      // generateContent
)

// What Options.Reasoning may say.
const (
	KeepReasoning = "keep"
	DropReasoning = "drop"
)

// Options say which model answers, and how it is asked.
type Options struct {
	API   string `yaml:"api"`   // openai, azure, completions, anthropic or gemini
	Model string `yaml:"model"` // as the server names it; of azure the deployment's, if base_url does not end in one
	// BaseURL is the address up to what every path of the API begins with, such as
	// https://api.openai.com/v1. "" means the provider's own.
	BaseURL string `yaml:"base_url"`
	// KeyEnv names the environment variable that holds the key; "" means that the
	// server wants none. It is for who makes the client: this package reads no environment.
	KeyEnv     string `yaml:"key_env"`
	APIVersion string `yaml:"api_version"` // of azure, needed; of anthropic "" means 2023-06-01
	// System is what the model is told before every question that has no message
	// of the system; "" is nothing.
	System string   `yaml:"system"`
	Stop   []string `yaml:"stop"` // texts that end an answer
	// MaxTokensField is how the server calls the limit of an answer: max_tokens
	// ("") or max_completion_tokens, which OpenAI's reasoning models want.
	MaxTokensField string `yaml:"max_tokens_field"`
	SeedField      string `yaml:"seed_field"` // how it calls the seed; "" means seed, none that it takes none
	// FixedSampling sends no temperature, top_p and seed, for models that refuse them.
	FixedSampling bool `yaml:"fixed_sampling"`
	// ThinkingTokens is how long the model may think, beyond the answer's tokens.
	// 0 means that nothing is said about thinking.
	ThinkingTokens int    `yaml:"thinking_tokens"`
	Reasoning      string `yaml:"reasoning"` // keep or drop what it thinks; "" means keep
	// ExtraBody is added to every request's body; objects in it are merged.
	ExtraBody map[string]any `yaml:"extra_body"`
	Stream    bool           `yaml:"stream"` // of openai and azure: receive answers in parts, which no proxy's time-out cuts

	Price *distill.Price `yaml:"price"` // nil means that nothing is paid

	Concurrency       int           `yaml:"concurrency"`         // most requests under way; 0 means 16
	RequestsPerMinute int           `yaml:"requests_per_minute"` // 0 means as the server lets
	TokensPerMinute   int           `yaml:"tokens_per_minute"`   // of questions and answers; 0 means as the server lets
	Timeout           time.Duration `yaml:"timeout"`             // of an attempt; 0 means 10m
	Retries           *int          `yaml:"retries"`             // attempts after the first, not counting those that came too early (429); nil means 8
	RetryFor          time.Duration `yaml:"retry_for"`           // longest time to repeat a request, or to wait at a server's word; 0 means 15m
	Grace             time.Duration `yaml:"grace"`               // for what is under way when the call is cancelled; 0 means 10s
}

var baseURLs = map[string]string{
	OpenAI:      "https://api.openai.com/v1",
	Azure:       "",
	Completions: "",
	Anthropic:   "https://api.anthropic.com/v1",
	Gemini:      "https://generativelanguage.googleapis.com/v1beta",
}

// WithDefaults fills in what is not set.
func (o Options) WithDefaults() Options {
	if o.BaseURL == "" {
		o.BaseURL = baseURLs[o.API]
	}
	o.BaseURL = strings.TrimRight(o.BaseURL, "/")
	if o.APIVersion == "" && o.API == Anthropic {
		o.APIVersion = "2023-06-01"
	}
	for _, d := range []struct {
		to    *string
		value string
	}{{&o.MaxTokensField, "max_tokens"}, {&o.SeedField, "seed"}, {&o.Reasoning, KeepReasoning}} {
		if *d.to == "" {
			*d.to = d.value
		}
	}
	if o.Concurrency == 0 {
		o.Concurrency = 16
	}
	if o.Retries == nil {
		o.Retries = new(8)
	}
	for _, d := range []struct {
		to    *time.Duration
		value time.Duration
	}{{&o.Timeout, 10 * time.Minute}, {&o.RetryFor, 15 * time.Minute}, {&o.Grace, 10 * time.Second}} {
		if *d.to == 0 {
			*d.to = d.value
		}
	}
	return o
}

// reserved are the keys of a body that this package writes itself, or whose
// answers it could not read or pay.
var reserved = []string{"model", "messages", "prompt", "n", "best_of", "stream", "stream_options", "max_tokens", "max_completion_tokens",
	"logprobs", "top_logprobs", "tools", "response_format", "system", "contents", "systemInstruction", "echo", "prompt_logprobs", "suffix", "cache_control"}

// Validate reports every fault of the options at once, each beginning with the
// recipe key.
func (o Options) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	one := func(key, value string, of ...string) {
		if value != "" && !slices.Contains(of, value) {
			fault("%s: %q: want %s", key, value, strings.Join(of, ", "))
		}
	}
	if o.API == "" {
		fault("api: want one of %s", strings.Join(slices.Sorted(maps.Keys(baseURLs)), ", "))
	}
	one("api", o.API, slices.Sorted(maps.Keys(baseURLs))...)
	one("max_tokens_field", o.MaxTokensField, "max_tokens", "max_completion_tokens")
	one("seed_field", o.SeedField, "seed", "random_seed", "none")
	one("reasoning", o.Reasoning, KeepReasoning, DropReasoning)
	if o.Model == "" && o.API != Azure {
		fault("model: say which one")
	}
	if err := checkAddress(o.BaseURL); err != nil {
		fault("base_url: %w", err)
	} else if o.BaseURL == "" && baseURLs[o.API] == "" && o.API != "" {
		fault("base_url: %s has none of its own: say where the server is", o.API)
	}
	if o.API == Azure && o.APIVersion == "" {
		fault("api_version: azure needs one, such as 2024-10-21")
	}
	if o.System != "" && o.API == Completions {
		fault("system: completions have no messages: write it into the prompt's template")
	}
	if o.API == Anthropic && o.ThinkingTokens > 0 && o.ThinkingTokens < 1024 {
		fault("thinking_tokens: %d: anthropic wants 1024 or more", o.ThinkingTokens)
	}
	if o.APIVersion != "" && o.API != Azure && o.API != Anthropic {
		fault("api_version: %s has none", o.API)
	}
	if o.Stream && o.API != OpenAI && o.API != Azure {
		fault("stream: only openai and azure can")
	}
	for _, n := range []struct {
		key         string
		value, most int
	}{{"thinking_tokens", o.ThinkingTokens, 1 << 20}, {"concurrency", o.Concurrency, 4096},
		{"requests_per_minute", o.RequestsPerMinute, 1 << 30}, {"tokens_per_minute", o.TokensPerMinute, 1 << 40}, {"retries", value(o.Retries), 1000}} {
		if n.value < 0 || n.value > n.most {
			fault("%s: %d: want 0 to %d", n.key, n.value, n.most)
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"timeout", o.Timeout}, {"retry_for", o.RetryFor}, {"grace", o.Grace}} {
		if d.value < 0 {
			fault("%s: %v: want 0 or more", d.key, d.value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o.ExtraBody)) {
		if slices.Contains(reserved, key) {
			fault("extra_body.%s: it is written by retort and cannot be set here", key)
		}
	}
	if _, err := json.Marshal(o.ExtraBody); err != nil {
		fault("extra_body: %w", err)
	}
	if o.Price != nil {
		for _, err := range split(o.Price.Validate()) {
			fault("price.%w", err)
		}
	}
	return errors.Join(faults...)
}

func value(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

// split undoes errors.Join.
func split(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// checkAddress finds what is wrong with a base URL. Its errors do not repeat the
// address, which may hold a key.
func checkAddress(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("want an address such as https://host/v1")
	case u.User != nil:
		return errors.New("it holds a name or password: the key comes from key_env alone")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("want an address without ? and #")
	}
	return nil
}

// identity names everything that can change an answer. The key and how often
// and fast requests are sent are not in it.
func (o Options) identity() string {
	fixed := map[string]any{}
	for key, value := range map[string]any{"api_version": o.APIVersion, "system": o.System, "thinking_tokens": o.ThinkingTokens} {
		if value != "" && value != 0 {
			fixed[key] = value
		}
	}
	if len(o.Stop) > 0 {
		fixed["stop"] = o.Stop
	}
	if len(o.ExtraBody) > 0 {
		fixed["extra_body"] = o.ExtraBody
	}
	if o.FixedSampling {
		fixed["fixed_sampling"] = true
	}
	if o.Reasoning == DropReasoning {
		fixed["reasoning"] = o.Reasoning
	}
	id := strings.Join([]string{o.API, o.BaseURL, o.Model}, " ")
	if len(fixed) > 0 {
		text, err := json.Marshal(fixed)
		if err != nil {
			panic(err) // Validate saw it
		}
		id += " " + string(text)
	}
	return id
}
