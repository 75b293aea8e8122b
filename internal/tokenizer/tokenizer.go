package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
)

// Tokenizer turns text into token ids and back. It never changes and is safe
// for concurrent use.
type Tokenizer struct {
	source     []byte // tokenizer.json: as read, or what Write writes
	settings   settings
	normalizer normalizer   // may be nil
	pre        preTokenizer // may be nil
	model      model
	post       template
	trim       *trimOffsets // may be nil
	fast       *fastEncoder // nil: pre and model do it
	bySpaces   bool         // see cutsAtSpaces
	decoder    decoder      // may be nil
	vocab      vocab
	added      *addedTokens
	bos, eos   int32 // -1: none, as for pad and unk
	pad, unk   int32
	steps      []byte // normalizer, pre-tokenizer and decoder as compact JSON, for Hash
}

// document is tokenizer.json.
type document struct {
	Version       *string         `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// Parse reads the contents of a tokenizer.json. Which tokens begin and end a
// text is in other files, so BOS, EOS and PAD are unknown: see [Load].
func Parse(tokenizerJSON []byte) (*Tokenizer, error) {
	return parse(bytes.Clone(tokenizerJSON), settings{})
}

// parse keeps source.
func parse(source []byte, s settings) (*Tokenizer, error) {
	var doc document
	if err := strictJSON(source, &doc); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	t, err := open(doc, s)
	if err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	t.source = source
	return t, nil
}

func open(doc document, s settings) (*Tokenizer, error) {
	if doc.Version != nil && *doc.Version != "1.0" {
		return nil, fmt.Errorf("version %q is not supported", *doc.Version)
	}
	m, err := parseModel(doc.Model)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{settings: s, model: m.model}
	if t.steps, err = compactSteps(doc.Normalizer, doc.PreTokenizer, doc.Decoder); err != nil {
		return nil, err
	}
	if t.normalizer, err = parseNormalizer(doc.Normalizer); err != nil {
		return nil, err
	}
	if t.pre, err = parsePreTokenizer(doc.PreTokenizer); err != nil {
		return nil, err
	}
	if b, ok := t.pre.(byteLevel); ok && s.addPrefixSpace != nil {
		b.addPrefixSpace = *s.addPrefixSpace
		t.pre = b
	}
	if t.decoder, err = parseDecoder(doc.Decoder); err != nil {
		return nil, err
	}
	if err := t.addTokens(m, doc.AddedTokens); err != nil {
		return nil, err
	}
	var post postProcessor
	if post, err = parsePostProcessor(doc.PostProcessor, len(t.vocab.tokens)); err != nil {
		return nil, err
	}
	t.post, t.trim = post.around, post.trim
	t.setModel(t.model)
	if err := t.nameSpecials(m.unk); err != nil {
		return nil, err
	}
	return t, nil
}

// setModel sets the model and the fast ways that lead to it.
func (t *Tokenizer) setModel(m model) {
	t.model, t.fast, t.bySpaces = m, newFastEncoder(t.pre, m), cutsAtSpaces(m)
}

// addTokens gives the added tokens their ids and builds the vocabulary.
//
// The library ignores an added token's declared id: it takes the model's, or
// else the next free one. A file that says otherwise would mean other ids here
// than there, so it is refused.
func (t *Tokenizer) addTokens(m modelVocab, declared []addedToken) error {
	list, err := t.settings.complete(declared, m.ids)
	if err != nil {
		return err
	}
	ids := make(map[string]int32, len(m.ids)+len(list))
	maps.Copy(ids, m.ids)
	next := int32(len(m.ids))
	kept := list[:0]
	for _, a := range list {
		if a.Content == "" {
			continue // the library skips it too
		}
		want, ok := ids[a.Content]
		if !ok {
			want = next
		}
		if a.ID != want {
			return fmt.Errorf("added_tokens: %q: its id is %d there, but %d by its place in the vocabulary", a.Content, a.ID, want)
		}
		ids[a.Content] = a.ID
		next = max(next, a.ID+1)
		kept = append(kept, a)
	}
	if t.vocab, err = newVocab(ids); err != nil {
		return err
	}
	t.added = newAddedTokens(kept, t.normalizer)
	return nil
}

// nameSpecials finds the ids of the tokens that the settings name.
func (t *Tokenizer) nameSpecials(modelUnk string) error {
	id := func(role, token string) (int32, error) {
		if token == "" {
			return -1, nil
		}
		if id, ok := t.vocab.ids[token]; ok {
			return id, nil
		}
		return -1, fmt.Errorf("%s %q is not in the vocabulary", role, token)
	}
	unk := t.settings.unk
	if unk == "" {
		unk = modelUnk
	}
	for _, s := range []struct {
		role, token string
		id          *int32
	}{{"bos_token", t.settings.bos, &t.bos}, {"eos_token", t.settings.eos, &t.eos}, {"pad_token", t.settings.pad, &t.pad}, {"unk_token", unk, &t.unk}} {
		var err error
		if *s.id, err = id(s.role, s.token); err != nil {
			return err
		}
	}
	return t.settings.overridePost(t)
}

// VocabSize returns the largest id plus one: what a model's embedding must cover.
func (t *Tokenizer) VocabSize() int { return len(t.vocab.tokens) }

// ID returns the id of a token, as it is written in the vocabulary.
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.vocab.ids[token]
	return id, ok
}

// Token returns the token with an id, as it is written in the vocabulary: for
// the text it stands for see Decode.
func (t *Tokenizer) Token(id int32) (string, bool) { return t.vocab.token(id) }

// BOS returns the id of the token that begins a text, if there is one.
func (t *Tokenizer) BOS() (int32, bool) { return t.bos, t.bos >= 0 }

// EOS returns the id of the token that ends a text, if there is one.
func (t *Tokenizer) EOS() (int32, bool) { return t.eos, t.eos >= 0 }

// PAD returns the id of the token that fills a batch, if there is one.
func (t *Tokenizer) PAD() (int32, bool) { return t.pad, t.pad >= 0 }

// UNK returns the id of the token for what the vocabulary cannot express, if
// there is one.
func (t *Tokenizer) UNK() (int32, bool) { return t.unk, t.unk >= 0 }

// IsSpecial reports whether Decode leaves the token out on request.
func (t *Tokenizer) IsSpecial(id int32) bool { return t.added.byID[id].Special }
