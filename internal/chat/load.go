package chat

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/chat/jinja"
)

// ErrNone says that a model has no chat template; [Set.Fallback] has some.
var ErrNone = errors.New("the model has no chat template")

// maxFile bounds each of the files read here.
const maxFile = 64 << 20

// Set is a model's chat templates by name.
type Set struct {
	texts  map[string]source
	tokens *jinja.Dict
}

type source struct{ text, file string }

// FromText makes the set of a model with one template; source says where it is
// from. An empty text is a model without one.
func FromText(text, from string, special map[string]string) *Set {
	s := &Set{texts: map[string]source{}, tokens: tokensOf(special)}
	if text != "" {
		s.texts["default"] = source{text, from}
	}
	return s
}

// Load reads the chat templates and special tokens of a Hugging Face directory:
// chat_template.jinja and chat_templates/NAME.jinja before the chat_template of
// tokenizer_config.json; tokens of tokenizer_config.json before those of
// special_tokens_map.json. Each file may be absent. Errors name file and key.
func Load(dir string) (*Set, error) {
	s := &Set{texts: map[string]source{}, tokens: jinja.NewDict()}
	for _, file := range []string{"tokenizer_config.json", "special_tokens_map.json"} {
		path := filepath.Join(dir, file)
		data, err := read(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		v, err := jinja.DecodeJSON(data)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		d, ok := v.(*jinja.Dict)
		if !ok {
			return nil, fmt.Errorf("read %s: want an object", path)
		}
		if err := s.config(d, path); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return s, s.files(dir)
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("read %s: no file of at most %d bytes", path, maxFile)
	}
	return os.ReadFile(path)
}

// files reads the templates that stand in files of their own. Where there are
// any, transformers reads none from tokenizer_config.json.
func (s *Set) files(dir string) error {
	found := map[string]source{}
	more, err := os.ReadDir(filepath.Join(dir, "chat_templates"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	paths := map[string]string{"default": filepath.Join(dir, "chat_template.jinja")}
	for _, e := range more {
		if name, ok := strings.CutSuffix(e.Name(), ".jinja"); ok {
			paths[name] = filepath.Join(dir, "chat_templates", e.Name())
		}
	}
	for name, path := range paths {
		data, err := read(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		found[name] = source{string(data), path}
	}
	if len(found) > 0 {
		s.texts = found
	}
	return nil
}

// tokenNames are the special tokens transformers hands to a template.
var tokenNames = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

func (s *Set) config(d *jinja.Dict, path string) error {
	for _, name := range tokenNames {
		v, _ := d.Get(name)
		if err := s.token(name, v); err != nil {
			return err
		}
	}
	if v, ok := d.Get("extra_special_tokens"); ok {
		if extra, ok := v.(*jinja.Dict); ok {
			var failed error
			extra.Each(func(name string, v jinja.Value) { failed = errors.Join(failed, s.token(name, v)) })
			if failed != nil {
				return failed
			}
		}
	}
	if v, ok := d.Get("additional_special_tokens"); ok && v != nil {
		list, ok := v.(*jinja.List)
		if !ok {
			return errors.New("additional_special_tokens: want a list")
		}
		out := jinja.NewList()
		for _, v := range list.Items {
			text, ok := tokenText(v)
			if !ok {
				return errors.New("additional_special_tokens: want strings or objects with a content")
			}
			out.Items = append(out.Items, text)
		}
		if _, known := s.tokens.Get("additional_special_tokens"); !known && len(out.Items) > 0 {
			s.tokens.Set("additional_special_tokens", out)
		}
	}
	v, _ := d.Get("chat_template")
	return s.configTemplates(v, path)
}

func tokenText(v jinja.Value) (string, bool) {
	if d, ok := v.(*jinja.Dict); ok {
		v, _ = d.Get("content")
	}
	s, ok := v.(string)
	return s, ok
}

func (s *Set) token(name string, v jinja.Value) error {
	if v == nil {
		return nil
	}
	text, ok := tokenText(v)
	if !ok {
		return fmt.Errorf("%s: want a string or an object with a content", name)
	}
	if _, known := s.tokens.Get(name); !known && text != "" {
		s.tokens.Set(name, text)
	}
	return nil
}

// configTemplates reads chat_template: a string or a list of {name, template}.
func (s *Set) configTemplates(v jinja.Value, path string) error {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		s.texts["default"] = source{v, path}
		return nil
	case *jinja.List:
		for i, item := range v.Items {
			d, ok := item.(*jinja.Dict)
			if !ok {
				return fmt.Errorf("chat_template[%d]: want an object", i)
			}
			n, _ := d.Get("name")
			t, _ := d.Get("template")
			name, ok1 := n.(string)
			text, ok2 := t.(string)
			if !ok1 || !ok2 {
				return fmt.Errorf("chat_template[%d]: want a name and a template", i)
			}
			s.texts[name] = source{text, path}
		}
		return nil
	}
	return errors.New("chat_template: want a string or a list of named templates")
}

// Names lists the templates.
func (s *Set) Names() []string { return slices.Sorted(maps.Keys(s.texts)) }

// Choose parses the template of that name; without a name, "tool_use" if there
// are tools and the model has one, else "default". [ErrNone] if the model has no
// template at all.
func (s *Set) Choose(name string, tools bool) (*Template, error) {
	if len(s.texts) == 0 {
		return nil, ErrNone
	}
	if name == "" {
		name = "default"
		if _, ok := s.texts["tool_use"]; ok && tools {
			name = "tool_use"
		}
	}
	src, ok := s.texts[name]
	if !ok {
		return nil, fmt.Errorf("the model has no chat template %q: it has %s", name, strings.Join(s.Names(), ", "))
	}
	t, err := s.Parse(src.text, src.file)
	if err == nil {
		t.Name = name
	}
	return t, err
}

// Parse reads a template from elsewhere, with the model's special tokens; from
// says where it is from.
func (s *Set) Parse(text, from string) (*Template, error) {
	t, err := parse(text, s.tokens)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	t.Source = from
	return t, nil
}

// Fallback is one of [FallbackNames] with the model's special tokens.
func (s *Set) Fallback(name string) (*Template, error) {
	text, ok := fallbacks[name]
	if !ok {
		return nil, fmt.Errorf("no fallback chat template %q: there are %s", name, strings.Join(FallbackNames(), ", "))
	}
	t, err := parse(text, s.tokens)
	if err != nil {
		return nil, err
	}
	t.Name, t.Source = name, "built in"
	return t, nil
}
