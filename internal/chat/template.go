package chat

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/retort-ml/retort/internal/chat/jinja"
)

// Template is a chat template with the special tokens it may print. It does
// not change; goroutines may share it.
type Template struct {
	Name   string // "default", "tool_use", a fallback's name
	Source string // the file it was read from, or what the caller named
	text   string
	hash   string
	parsed *jinja.Template
	tokens *jinja.Dict // special tokens by name
}

// Parse reads a template; special holds the special tokens by name
// (bos_token, eos_token, …) and may be nil.
func Parse(text string, special map[string]string) (*Template, error) {
	return parse(text, tokensOf(special))
}

func tokensOf(special map[string]string) *jinja.Dict {
	d := jinja.NewDict()
	names := make([]string, 0, len(special))
	for k := range special {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		d.Set(k, special[k])
	}
	return d
}

func parse(text string, tokens *jinja.Dict) (*Template, error) {
	parsed, err := jinja.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	sum := sha256.Sum256([]byte(text))
	return &Template{Name: "default", text: text, hash: hex.EncodeToString(sum[:]), parsed: parsed, tokens: tokens}, nil
}

// Text is the template itself.
func (t *Template) Text() string { return t.text }

// Hash is the SHA-256 of the template's exact text, in hexadecimal.
func (t *Template) Hash() string { return t.hash }

// Special is the text of a special token such as "eos_token", "" if not known.
func (t *Template) Special(name string) string {
	v, _ := t.tokens.Get(name)
	s, _ := v.(string)
	return s
}

// Request is a conversation to render.
type Request struct {
	Messages            []Message
	Tools, Documents    []jinja.Value // nil is None
	AddGenerationPrompt bool          // end with what begins an assistant's turn
	Now                 time.Time     // what strftime_now prints; zero makes that an error
	Extra               *jinja.Dict   // more variables, such as enable_thinking; may hide special tokens
	Limits              jinja.Limits  // zero fields take the defaults
}

var ownVariables = []string{"messages", "tools", "documents", "add_generation_prompt"}

// Render is the conversation as the model expects it, special tokens included.
func (t *Template) Render(req Request) (string, error) {
	res, err := t.render(req, req.Messages, req.AddGenerationPrompt)
	if err != nil {
		return "", err
	}
	return res.Text, nil
}

func (t *Template) render(req Request, messages []Message, prompt bool) (*jinja.Result, error) {
	vars := jinja.NewDict()
	t.tokens.Each(vars.Set)
	if req.Extra != nil {
		for _, k := range ownVariables {
			if _, ok := req.Extra.Get(k); ok {
				return nil, fmt.Errorf("chat template: the variable %q is the conversation's own", k)
			}
		}
		req.Extra.Each(vars.Set)
	}
	list := jinja.NewList()
	for i, m := range messages {
		if m.fields == nil {
			return nil, fmt.Errorf("message %d is empty", i)
		}
		list.Items = append(list.Items, m.fields)
	}
	vars.Set("messages", list)
	vars.Set("tools", listOrNone(req.Tools))
	vars.Set("documents", listOrNone(req.Documents))
	vars.Set("add_generation_prompt", prompt)
	res, err := t.parsed.Render(vars, jinja.Options{Now: req.Now, Limits: req.Limits})
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	return res, nil
}

func listOrNone(items []jinja.Value) jinja.Value {
	if items == nil {
		return nil
	}
	return jinja.NewList(items...)
}
