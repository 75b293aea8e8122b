package tokenizer

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// object is a JSON object that is being written; its keys are sorted.
type object map[string]any

// newDocument describes a tokenizer made here as tokenizer.json does.
type newDocument struct {
	tokens     []string // by id, added tokens included
	added      []addedToken
	normalizer any
	pre        any
	post       any
	decoder    any
	model      object // without a type it is a BPE's, to which vocab and merges are added
	merges     [][2]string
}

// encode returns the tokenizer.json. The same tokenizer gives the same bytes.
func (d newDocument) encode() ([]byte, error) {
	if _, ok := d.model["vocab"]; !ok {
		d.model["vocab"] = orderedVocab(d.tokens)
	}
	if _, ok := d.model["type"]; !ok {
		d.model["type"] = "BPE"
		d.model["merges"] = d.merges
		if d.merges == nil {
			d.model["merges"] = [][2]string{}
		}
	}
	if d.added == nil {
		d.added = []addedToken{}
	}
	return indented(struct {
		Version       string       `json:"version"`
		Truncation    any          `json:"truncation"`
		Padding       any          `json:"padding"`
		AddedTokens   []addedToken `json:"added_tokens"`
		Normalizer    any          `json:"normalizer"`
		PreTokenizer  any          `json:"pre_tokenizer"`
		PostProcessor any          `json:"post_processor"`
		Decoder       any          `json:"decoder"`
		Model         object       `json:"model"`
	}{
		Version: "1.0", AddedTokens: d.added, Normalizer: d.normalizer, PreTokenizer: d.pre,
		PostProcessor: d.post, Decoder: d.decoder, Model: d.model,
	})
}

// orderedVocab is written as {"token": id, …} in the order of the ids.
type orderedVocab []string

// MarshalJSON writes the object.
func (v orderedVocab) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for id, token := range v {
		if id > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(token); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(id))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// byteLevelObject is the component ByteLevel, in any of its roles.
func byteLevelObject(useRegex bool) object {
	return object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": useRegex}
}

// templateObject is TemplateProcessing with the tokens bos before the text and
// eos after it, of which either may be nil.
func templateObject(bos, eos *addedToken) object {
	a := object{"Sequence": object{"id": "A", "type_id": 0}}
	b := object{"Sequence": object{"id": "B", "type_id": 1}}
	special := object{}
	wrap := func(text object, typeID int) []object {
		var out []object
		add := func(t *addedToken) {
			if t == nil {
				return
			}
			out = append(out, object{"SpecialToken": object{"id": t.Content, "type_id": typeID}})
			special[t.Content] = object{"id": t.Content, "ids": []int32{t.ID}, "tokens": []string{t.Content}}
		}
		add(bos)
		out = append(out, text)
		add(eos)
		return out
	}
	single := wrap(a, 0)
	return object{
		"type": "TemplateProcessing", "single": single,
		"pair": append(wrap(a, 0), wrap(b, 1)...), "special_tokens": special,
	}
}
