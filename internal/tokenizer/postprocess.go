package tokenizer

import (
	"encoding/json"
	"fmt"
)

// template is what the post-processor puts around the ids of a text, from
// TemplateProcessing: special tokens, and true for the place of the text.
type template []templatePart

type templatePart struct {
	text bool    // the text's ids go here
	ids  []int32 // otherwise these
}

// around appends to dst what the template puts around the ids that write appends.
func (t template) around(dst []int32, write func([]int32) []int32) []int32 {
	if t == nil {
		return write(dst)
	}
	for _, part := range t {
		if part.text {
			dst = write(dst)
		} else {
			dst = append(dst, part.ids...)
		}
	}
	return dst
}

// inside puts t's result at the text's places in outer.
func (t template) inside(outer template) template {
	var out template
	for _, part := range outer {
		if part.text {
			out = append(out, t...)
		} else {
			out = append(out, part)
		}
	}
	return out
}

// surround is the template that puts at most one token before and after.
func surround(before, after []int32) template {
	var t template
	if len(before) > 0 {
		t = append(t, templatePart{ids: before})
	}
	t = append(t, templatePart{text: true})
	if len(after) > 0 {
		t = append(t, templatePart{ids: after})
	}
	return t
}

// postProcessor is what happens to the tokens of a text in the end.
type postProcessor struct {
	around template     // nil: nothing is added
	trim   *trimOffsets // nil: offsets stay
}

// parsePostProcessor reads a component that may be null. tokens is the size of
// the vocabulary, in which ids must lie.
func parsePostProcessor(raw json.RawMessage, tokens int) (postProcessor, error) {
	if isNull(raw) {
		return postProcessor{}, nil
	}
	c, err := newComponent("post_processor", raw)
	if err != nil {
		return postProcessor{}, err
	}
	return openPostProcessor(c, tokens)
}

func openPostProcessor(c component, tokens int) (postProcessor, error) {
	switch c.kind {
	case "ByteLevel":
		f, err := openByteLevel(c)
		if err != nil || !f.trimOffsets {
			return postProcessor{}, err
		}
		return postProcessor{trim: &trimOffsets{f.addPrefixSpace}}, nil
	case "TemplateProcessing":
		t, err := openTemplate(c, tokens)
		return postProcessor{around: t}, err
	case "BertProcessing", "RobertaProcessing":
		return openClassifierProcessing(c, tokens)
	case "Sequence":
		return openPostProcessors(c, tokens)
	}
	return postProcessor{}, c.unknown()
}

func openPostProcessors(c component, tokens int) (postProcessor, error) {
	var f struct {
		Type       string            `json:"type"`
		Processors []json.RawMessage `json:"processors"`
	}
	if err := c.decode(&f); err != nil {
		return postProcessor{}, err
	}
	children, err := c.children("processors", f.Processors)
	if err != nil {
		return postProcessor{}, err
	}
	var all postProcessor
	for _, child := range children {
		one, err := openPostProcessor(child, tokens)
		if err != nil {
			return postProcessor{}, err
		}
		switch {
		case all.around == nil:
			all.around = one.around
		case one.around != nil:
			all.around = all.around.inside(one.around)
			if len(all.around) > maxTemplate {
				return postProcessor{}, c.errorf("more than %d parts around a text", maxTemplate)
			}
		}
		if one.trim != nil {
			all.trim = one.trim
		}
	}
	return all, nil
}

// maxTemplate bounds templates within templates, each of which may repeat the
// text.
const maxTemplate = 1000

// openClassifierProcessing reads BERT's and RoBERTa's post-processors: the text
// between a token for the class and one that separates.
func openClassifierProcessing(c component, tokens int) (postProcessor, error) {
	f := struct {
		Type           string        `json:"type"`
		Sep            *namedTokenID `json:"sep"`
		Cls            *namedTokenID `json:"cls"`
		TrimOffsets    bool          `json:"trim_offsets"`
		AddPrefixSpace bool          `json:"add_prefix_space"`
	}{TrimOffsets: c.kind == "RobertaProcessing", AddPrefixSpace: true}
	if err := c.decode(&f); err != nil {
		return postProcessor{}, err
	}
	if f.Sep == nil || f.Cls == nil {
		return postProcessor{}, c.errorf("want sep and cls")
	}
	for _, t := range []*namedTokenID{f.Sep, f.Cls} {
		if t.id < 0 || int(t.id) >= tokens {
			return postProcessor{}, c.errorf("token %q: id %d is not in the vocabulary of %d tokens", t.token, t.id, tokens)
		}
	}
	p := postProcessor{around: surround([]int32{f.Cls.id}, []int32{f.Sep.id})}
	if f.TrimOffsets && c.kind == "RobertaProcessing" {
		p.trim = &trimOffsets{f.AddPrefixSpace}
	}
	return p, nil
}

// namedTokenID is written as ["token", id].
type namedTokenID struct {
	token string
	id    int32
}

// UnmarshalJSON reads the pair.
func (t *namedTokenID) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil || len(pair) != 2 {
		return fmt.Errorf("%.60s: want a token and its id", data)
	}
	if err := json.Unmarshal(pair[0], &t.token); err != nil {
		return fmt.Errorf("%.60s: want a token and its id: %w", data, err)
	}
	if err := json.Unmarshal(pair[1], &t.id); err != nil {
		return fmt.Errorf("%.60s: want a token and its id: %w", data, err)
	}
	return nil
}

// templateItem is one element of a template as tokenizer.json has it.
type templateItem struct {
	SpecialToken *struct {
		ID     string `json:"id"`
		TypeID int    `json:"type_id"`
	}
	Sequence *struct {
		ID     string `json:"id"`
		TypeID int    `json:"type_id"`
	}
}

// specialTokenIDs is what one special token of a template stands for.
type specialTokenIDs struct {
	ID     string   `json:"id"`
	IDs    []int32  `json:"ids"`
	Tokens []string `json:"tokens"`
}

func openTemplate(c component, tokens int) (template, error) {
	var f struct {
		Type          string                     `json:"type"`
		Single        []templateItem             `json:"single"`
		Pair          json.RawMessage            `json:"pair"` // for two texts, which Encode does not take
		SpecialTokens map[string]specialTokenIDs `json:"special_tokens"`
	}
	// Some files repeat fields of ByteLevel here, which the library skips.
	raw, err := withoutKeys(c.raw, "add_prefix_space", "trim_offsets", "use_regex")
	if err != nil {
		return nil, c.errorf("%w", err)
	}
	c.raw = raw
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	t := template{}
	for i, item := range f.Single {
		switch {
		case item.Sequence != nil && item.SpecialToken == nil && item.Sequence.ID == "A":
			t = append(t, templatePart{text: true})
		case item.SpecialToken != nil && item.Sequence == nil:
			special, ok := f.SpecialTokens[item.SpecialToken.ID]
			if !ok {
				return nil, c.errorf("single[%d]: %q is not in special_tokens", i, item.SpecialToken.ID)
			}
			for _, id := range special.IDs {
				if id < 0 || int(id) >= tokens {
					return nil, c.errorf("special token %q: id %d is not in the vocabulary of %d tokens", item.SpecialToken.ID, id, tokens)
				}
			}
			t = append(t, templatePart{ids: special.IDs})
		default:
			return nil, c.errorf("single[%d]: want a SpecialToken or the Sequence A", i)
		}
	}
	return t, nil
}

// withoutKeys returns a JSON object without some of its keys.
func withoutKeys(raw json.RawMessage, keys ...string) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, err
	}
	for _, k := range keys {
		delete(object, k)
	}
	return json.Marshal(object)
}
