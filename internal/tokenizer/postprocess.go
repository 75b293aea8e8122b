package tokenizer

import "encoding/json"

// template is what the post-processor puts around the ids of a text, from
// TemplateProcessing: special tokens, and true for the place of the text.
type template []templatePart

type templatePart struct {
	text bool    // the text's ids go here
	ids  []int32 // otherwise these
}

// apply returns the ids with the template around them.
func (t template) apply(ids []int32) []int32 {
	if t == nil {
		return ids
	}
	var out []int32
	for _, part := range t {
		if part.text {
			out = append(out, ids...)
		} else {
			out = append(out, part.ids...)
		}
	}
	return out
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

// parsePostProcessor returns nil for a post-processor that adds nothing. tokens
// is the size of the vocabulary, in which ids must lie.
func parsePostProcessor(raw json.RawMessage, tokens int) (template, error) {
	if isNull(raw) {
		return nil, nil
	}
	c, err := newComponent("post_processor", raw)
	if err != nil {
		return nil, err
	}
	return openPostProcessor(c, tokens)
}

func openPostProcessor(c component, tokens int) (template, error) {
	switch c.kind {
	case "ByteLevel": // moves offsets only
		_, err := openByteLevel(c)
		return nil, err
	case "TemplateProcessing":
		return openTemplate(c, tokens)
	case "Sequence":
		var f struct {
			Type       string            `json:"type"`
			Processors []json.RawMessage `json:"processors"`
		}
		if err := c.decode(&f); err != nil {
			return nil, err
		}
		children, err := c.children("processors", f.Processors)
		if err != nil {
			return nil, err
		}
		var all template
		for _, child := range children {
			one, err := openPostProcessor(child, tokens)
			switch {
			case err != nil:
				return nil, err
			case all == nil:
				all = one
			case one != nil:
				all = all.inside(one)
			}
		}
		return all, nil
	}
	return nil, c.unknown()
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
