package recipes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/chat"
	"github.com/retort-ml/retort/internal/chat/jinja"
	"github.com/retort-ml/retort/internal/tokenizer"
)

// chatOptions say that a model is asked as in a chat: a prompt becomes the
// user's turn, the answer the assistant's, as the chat template writes them.
type chatOptions struct {
	// Template is the model's own when empty; none for prompts as plain text, the
	// name of one that is built in (chatml, …), or a .jinja file.
	Template string `yaml:"template"`
	System   string `yaml:"system"` // the system's turn, before the prompt; empty means none
	// Now is what a template that prints the date shows, such as 2026-01-15:
	// artifacts must not depend on the day they are made.
	Now string `yaml:"now"`
	// Variables are further ones of the template, such as enable_thinking.
	// true, false and numbers are what they say, anything else is text.
	Variables map[string]string `yaml:"variables"`
}

// noTemplate says that prompts are plain text although the model has a template.
const noTemplate = "none"

func (o *chatOptions) validate() error {
	var errs []error
	if o.Template == noTemplate && (o.System != "" || o.Now != "" || len(o.Variables) > 0) {
		errs = append(errs, errors.New("template: none: plain prompts have no system turn, date or variables"))
	}
	if t := o.Template; t != "" && t != noTemplate && !strings.HasSuffix(t, ".jinja") && !slices.Contains(chat.FallbackNames(), t) {
		errs = append(errs, errors.New("template: "+unknown("template", t, append(chat.FallbackNames(), noTemplate))+", or a .jinja file"))
	}
	if _, err := o.now(); err != nil {
		errs = append(errs, fmt.Errorf("now: %q: want a date such as 2026-01-15", o.Now))
	}
	return errors.Join(errs...)
}

// file is the template's file, "" if it has none of its own.
func (o *chatOptions) file() string {
	if o != nil && strings.HasSuffix(o.Template, ".jinja") {
		return o.Template
	}
	return ""
}

func (o *chatOptions) now() (time.Time, error) {
	if o.Now == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.DateOnly, o.Now)
}

// variables are the further variables with their kinds.
func (o *chatOptions) variables() *jinja.Dict {
	d := jinja.NewDict()
	for _, k := range slices.Sorted(maps.Keys(o.Variables)) {
		text := o.Variables[k]
		var v jinja.Value = text
		if n, err := jinja.DecodeJSON([]byte(text)); err == nil {
			switch n.(type) {
			case *jinja.List, *jinja.Dict, string, nil:
			default: // true, false and numbers
				v = n
			}
		}
		d.Set(k, v)
	}
	return d
}

// template is the one that the options name, for the model at path with
// tokenizer t; nil for plain prompts. It has the special tokens of the model's
// directory, as retort model template has them.
func (o *chatOptions) template(path string, t *tokenizer.Tokenizer) (*chat.Template, error) {
	if o == nil || o.Template == noTemplate {
		return nil, nil
	}
	set := chat.FromText(t.ChatTemplate(), path, t.SpecialTexts())
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if set, err = chat.Load(path); err != nil {
			return nil, err
		}
	}
	if file := o.file(); file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("chat template: %w", err)
		}
		return set.Parse(string(data), file)
	}
	if o.Template != "" {
		return set.Fallback(o.Template)
	}
	tpl, err := set.Choose("", false)
	if errors.Is(err, chat.ErrNone) {
		return nil, fmt.Errorf("%w: set chat.template to a .jinja file or one of %s", err, strings.Join(chat.FallbackNames(), ", "))
	}
	return tpl, err
}

// chatPrompting writes prompts and answers as turns of a chat.
type chatPrompting struct {
	options   *chatOptions
	template  *chat.Template
	now       time.Time
	variables *jinja.Dict
	ends      []string // tokens that may end a turn, besides those that the template names
	end       int32    // the end-of-turn token
	endText   string   // its text
	lead      string   // what the template writes before an answer
	// The conversation from which all this was learned.
	asked, answered string
}

// probe is a text that no template writes by itself.
const probe = "retort 7 probe"

// newChatPrompting learns from template how it writes answers; ends are texts of
// tokens that the model ends answers with. An answer whose end is not one token,
// or that does not stand there as it is, is an error.
func newChatPrompting(o *chatOptions, template *chat.Template, t *tokenizer.Tokenizer, ends []string) (*chatPrompting, error) {
	p := &chatPrompting{options: o, template: template, variables: o.variables(), ends: ends}
	var err error
	if p.now, err = o.now(); err != nil {
		return nil, err
	}
	if p.asked, err = p.Prompt(datasets.Ask(probe)); err != nil {
		return nil, err
	}
	if p.answered, err = p.learned(probe); err != nil {
		return nil, err
	}
	lead, tail, ok := strings.Cut(p.answered, probe)
	if !ok {
		return nil, fmt.Errorf("chat template: it writes the answer %q as %q", probe, p.answered)
	}
	ids := t.Encode(tail, false)
	if len(ids) == 0 {
		return nil, errors.New("chat template: nothing ends an answer")
	}
	p.lead, p.end = lead, ids[len(ids)-1]
	if p.endText, _ = t.Token(p.end); !strings.HasSuffix(tail, p.endText) || !t.IsSpecial(p.end) && len(ids) > 1 {
		return nil, fmt.Errorf("chat template: it ends answers with %q, which is not one token of this tokenizer: tokens %v", tail, ids)
	}
	return p, nil
}

// request is the conversation that asks q. The options' system turn begins it,
// unless it has one of its own.
func (p *chatPrompting) request(q datasets.Question) (chat.Request, error) {
	r := chat.Request{Now: p.now, Extra: p.variables, Messages: []chat.Message{chat.Text("user", q.Text)}}
	var err error
	if q.Messages != "" {
		if r.Messages, err = chat.ParseMessages([]byte(q.Messages)); err != nil {
			return r, fmt.Errorf("messages: %w", err)
		}
	}
	if p.options.System != "" && r.Messages[0].Role() != "system" && r.Messages[0].Role() != "developer" {
		r.Messages = slices.Insert(r.Messages, 0, chat.Text("system", p.options.System))
	}
	if q.Tools != "" {
		if r.Tools, err = chat.ParseList([]byte(q.Tools)); err != nil {
			return r, fmt.Errorf("tools: %w", err)
		}
	}
	return r, nil
}

// learned is what is learned of an answer, its end too, after the probe's prompt.
func (p *chatPrompting) learned(answer string) (string, error) {
	c, err := p.conversation(datasets.Ask(probe), chat.Text("assistant", answer), chat.LastTurn)
	if err != nil {
		return "", err
	}
	learned, ok := strings.CutPrefix(c.Text[:c.Spans[len(c.Spans)-1].End], p.asked)
	if !ok {
		return "", fmt.Errorf("chat template: a conversation with an answer, %q, does not begin with its prompt, %q", c.Text, p.asked)
	}
	return learned, nil
}

// Prompt implements datasets.Prompting.
func (p *chatPrompting) Prompt(q datasets.Question) (string, error) {
	r, err := p.request(q)
	if err != nil {
		return "", err
	}
	r.AddGenerationPrompt = true
	return p.template.Render(r)
}

// conversation is what q and the answer to it are as text, and what is learned of it.
func (p *chatPrompting) conversation(q datasets.Question, answer chat.Message, turns chat.Turns) (*chat.Conversation, error) {
	r, err := p.request(q)
	if err != nil {
		return nil, err
	}
	r.Messages = append(r.Messages, answer)
	return p.template.Learned(r, chat.LearnOptions{Turns: turns, EndTokens: p.ends})
}

// Conversation implements datasets.Prompting.
func (p *chatPrompting) Conversation(q datasets.Question, turn string, which datasets.Turns) (datasets.Written, error) {
	answer, err := chat.ParseMessages([]byte("[" + turn + "]"))
	if err != nil || len(answer) != 1 {
		return datasets.Written{}, fmt.Errorf("the response's turn %q: want one message: %w", turn, err)
	}
	turns := chat.LastTurn
	if which == datasets.AllTurns {
		turns = chat.AllTurns
	}
	c, err := p.conversation(q, answer[0], turns)
	if err != nil {
		return datasets.Written{}, err
	}
	w := datasets.Written{Text: c.Text}
	for _, s := range c.Spans {
		w.Learned = append(w.Learned, datasets.Span{Start: s.Start, End: s.End})
	}
	return w, nil
}

// Response implements datasets.Prompting.
func (p *chatPrompting) Response(text string) (string, error) {
	learned, err := p.learned(text)
	return strings.TrimSuffix(learned, p.endText), err
}

// Answer implements datasets.Prompting.
func (p *chatPrompting) Answer(response string) string {
	response = strings.TrimSpace(response)
	return strings.TrimSpace(strings.TrimPrefix(response, strings.TrimSpace(p.lead)))
}

// ID implements datasets.Prompting. The probe's conversation is in it, as special
// tokens differ where a template prints some that a GGUF file cannot name.
func (p *chatPrompting) ID() string {
	data, err := json.Marshal([]any{p.template.Hash(), p.options.System, p.options.Now, p.options.Variables, p.asked, p.answered})
	if err != nil {
		panic(err) // texts only
	}
	sum := sha256.Sum256(data)
	return "chat " + hex.EncodeToString(sum[:])
}

// chats says how the models that refs name are asked, for a stage's fingerprint:
// nothing of those that are asked with plain text.
func (r *Recipe) chats(extra map[string]any, refs ...string) map[string]any {
	for _, ref := range refs {
		if o := r.chatOf(ref); o != nil {
			extra["chat "+ref] = keyed(reflect.ValueOf(o))
		}
	}
	return extra
}

// promptingFile tells, in the artifact of every model, how it reads texts.
const promptingFile = "prompting.json"

// promptingRecord is prompting.json.
type promptingRecord struct {
	Tokenizer    string            `json:"tokenizer"`               // hash
	ChatTemplate string            `json:"chat_template,omitempty"` // hash of the text; empty if prompts are plain
	Prompting    string            `json:"prompting,omitempty"`     // template, system turn, date and variables
	System       string            `json:"system,omitempty"`
	Now          string            `json:"now,omitempty"`
	Variables    map[string]string `json:"variables,omitempty"`
}

func (l *loaded) promptingRecord() promptingRecord {
	r := promptingRecord{Tokenizer: l.tokenizer.Hash(), Prompting: l.writer.ID()}
	if p, ok := l.writer.(*chatPrompting); ok {
		r.ChatTemplate = p.template.Hash()
		r.System, r.Now, r.Variables = p.options.System, p.options.Now, p.options.Variables
	}
	return r
}

// write writes prompting.json into dir.
func (r promptingRecord) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, promptingFile), append(data, '\n'))
}

// check compares how a model is going to read texts with how it was made to, as
// dir says.
func (r promptingRecord) check(dir string) error {
	path := filepath.Join(dir, promptingFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var was promptingRecord
	if err := json.Unmarshal(data, &was); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	switch {
	case was.Tokenizer != r.Tokenizer:
		return fmt.Errorf("%s: the model was made with tokenizer %s and would be used with %s", path, short(was.Tokenizer), short(r.Tokenizer))
	case was.ChatTemplate != r.ChatTemplate:
		return fmt.Errorf("%s: the model was made with chat template %s and would be used with %s", path, short(was.ChatTemplate), short(r.ChatTemplate))
	case was.Prompting != r.Prompting:
		return fmt.Errorf("%s: the model was made with another system turn, date, variables or special tokens of its chat template", path)
	}
	return nil
}

func short(hash string) string {
	if hash == "" {
		return "none"
	}
	return strconv.Quote(hash[:min(len(hash), 12)])
}
