package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// settings is what the files beside tokenizer.json say.
type settings struct {
	class              string       // tokenizer_class
	bos, eos, pad, unk string       // "" for none
	added              []addedToken // id -1: wherever the vocabulary has it
	listsAdded         bool         // the configuration has added_tokens_decoder
	addBOS, addEOS     *bool
	addPrefixSpace     *bool
	cls, sep, mask     string // "" for none
	lowerCase          *bool  // do_lower_case, which only a vocab.txt needs; so the next two
	stripAccents       *bool
	chinese            *bool // tokenize_chinese_chars
	legacy             *bool // of a SentencePiece model: nil and true are the same
	chatTemplate       string
	files              map[string][]byte // as read, by name, for Write
}

const (
	tokenizerFile = "tokenizer.json"
	configFile    = "tokenizer_config.json"
	specialFile   = "special_tokens_map.json"
	templateFile  = "chat_template.jinja"
)

func readSettings(dir string) (settings, error) {
	s := settings{files: make(map[string][]byte)}
	for _, f := range []struct {
		name string
		read func([]byte) error
	}{{configFile, s.readConfig}, {specialFile, s.readSpecialTokens}, {templateFile, s.readTemplate}} {
		path := filepath.Join(dir, f.name)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return s, err
		}
		if err := f.read(data); err != nil {
			return s, fmt.Errorf("%s: %w", path, err)
		}
		s.files[f.name] = data
	}
	return s, nil
}

// configToken is a token in the settings: a string, or an object with flags.
type configToken struct {
	addedToken
}

func (c *configToken) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &c.Content)
	}
	return json.Unmarshal(data, &c.addedToken)
}

// namedTokens are the keys that both settings files may have.
type namedTokens struct {
	BOS        configToken     `json:"bos_token"`
	EOS        configToken     `json:"eos_token"`
	PAD        configToken     `json:"pad_token"`
	UNK        configToken     `json:"unk_token"`
	CLS        configToken     `json:"cls_token"`
	SEP        configToken     `json:"sep_token"`
	Mask       configToken     `json:"mask_token"`
	Additional json.RawMessage `json:"additional_special_tokens"`
}

// take keeps the tokens whose roles are not filled yet. All of them are special.
func (s *settings) take(n namedTokens) error {
	tokens := []configToken{n.CLS, n.SEP, n.Mask}
	for i, role := range []*string{&s.cls, &s.sep, &s.mask} {
		if *role == "" {
			*role = tokens[i].Content
		}
	}
	if !isNull(n.Additional) && n.Additional[0] == '[' {
		var additional []configToken
		if err := json.Unmarshal(n.Additional, &additional); err != nil {
			return fmt.Errorf("additional_special_tokens: %w", err)
		}
		tokens = append(tokens, additional...)
	}
	if s.listsAdded {
		tokens = nil // transformers reads these keys only of files that have no list
	}
	for _, named := range []struct {
		role  *string
		token configToken
	}{{&s.bos, n.BOS}, {&s.eos, n.EOS}, {&s.pad, n.PAD}, {&s.unk, n.UNK}} {
		if *named.role == "" {
			*named.role = named.token.Content
			tokens = append(tokens, named.token)
		}
	}
	for _, token := range tokens {
		if token.Content != "" {
			token.Special, token.ID = true, -1
			s.added = append(s.added, token.addedToken)
		}
	}
	return nil
}

func (s *settings) readConfig(data []byte) error {
	var c struct {
		namedTokens
		Class          string               `json:"tokenizer_class"`
		LowerCase      *bool                `json:"do_lower_case"`
		StripAccents   *bool                `json:"strip_accents"`
		Chinese        *bool                `json:"tokenize_chinese_chars"`
		Legacy         *bool                `json:"legacy"`
		AddBOS         *bool                `json:"add_bos_token"`
		AddEOS         *bool                `json:"add_eos_token"`
		AddPrefixSpace *bool                `json:"add_prefix_space"`
		ChatTemplate   json.RawMessage      `json:"chat_template"`
		Added          map[int32]addedToken `json:"added_tokens_decoder"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	s.class, s.addBOS, s.addEOS, s.addPrefixSpace = c.Class, c.AddBOS, c.AddEOS, c.AddPrefixSpace
	s.lowerCase, s.stripAccents, s.chinese, s.legacy = c.LowerCase, c.StripAccents, c.Chinese, c.Legacy
	ids := make([]int32, 0, len(c.Added))
	for id := range c.Added {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	s.listsAdded = c.Added != nil
	for _, id := range ids {
		token := c.Added[id]
		if token.ID = id; id < 0 {
			return fmt.Errorf("added_tokens_decoder: %q: id %d is out of range", token.Content, id)
		}
		s.added = append(s.added, token)
	}
	var err error
	if s.chatTemplate, err = chooseTemplate(c.ChatTemplate); err != nil {
		return err
	}
	return s.take(c.namedTokens)
}

// chooseTemplate reads chat_template: a string, or a list of named ones of
// which "default" is the one that is used unasked.
func chooseTemplate(raw json.RawMessage) (string, error) {
	if isNull(raw) {
		return "", nil
	}
	if raw[0] == '"' {
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err
	}
	var list []struct {
		Name     string `json:"name"`
		Template string `json:"template"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return "", fmt.Errorf("chat_template: want a string or a list of named templates: %w", err)
	}
	for _, t := range list {
		if t.Name == "default" {
			return t.Template, nil
		}
	}
	return "", errors.New(`chat_template: none of the named templates is "default"`)
}

func (s *settings) readSpecialTokens(data []byte) error {
	var n namedTokens
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	return s.take(n)
}

func (s *settings) readTemplate(data []byte) error {
	s.chatTemplate = string(bytes.Clone(data))
	return nil
}

// complete returns the added tokens of tokenizer.json and those that only the
// settings name. transformers adds the latter too, flags and all, but gives one
// that is not in the vocabulary an id for which the model has no embedding:
// that is an error here.
func (s *settings) complete(declared []addedToken, ids map[string]int32) ([]addedToken, error) {
	list := slices.Clone(declared)
	have := make(map[string]bool, len(list))
	for _, a := range list {
		have[a.Content] = true
	}
	for _, a := range s.added {
		if have[a.Content] {
			continue
		}
		id, ok := ids[a.Content]
		switch {
		case ok && a.ID < 0:
			a.ID = id
		case !ok && a.ID < 0:
			return nil, fmt.Errorf("special token %q of the configuration is not in the vocabulary", a.Content)
		}
		have[a.Content] = true
		list = append(list, a)
	}
	return list, nil
}

// templateClasses are the tokenizer classes of transformers that build the
// post-processor from add_bos_token and add_eos_token. All others take it from
// tokenizer.json.
var templateClasses = []string{
	"LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer", "CodeLlamaTokenizerFast",
	"GemmaTokenizer", "GemmaTokenizerFast", "CohereTokenizer", "CohereTokenizerFast",
}

// overridePost replaces t's post-processor where the class would.
func (s *settings) overridePost(t *Tokenizer) error {
	if s.addBOS == nil && s.addEOS == nil || !slices.Contains(templateClasses, s.class) {
		return nil
	}
	var before, after []int32
	if s.addBOS == nil || *s.addBOS {
		if t.bos < 0 {
			return errors.New("add_bos_token is set but there is no bos_token")
		}
		before = []int32{t.bos}
	}
	if s.addEOS != nil && *s.addEOS {
		if t.eos < 0 {
			return errors.New("add_eos_token is set but there is no eos_token")
		}
		after = []int32{t.eos}
	}
	t.post = surround(before, after)
	return nil
}
