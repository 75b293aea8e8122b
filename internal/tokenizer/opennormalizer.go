package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"unicode"
)

// parseNormalizer returns nil for null: text stays as it is.
func parseNormalizer(raw json.RawMessage) (normalizer, error) {
	if isNull(raw) {
		return nil, nil
	}
	c, err := newComponent("normalizer", raw)
	if err != nil {
		return nil, err
	}
	return openNormalizer(c)
}

// normalizerFields are those of all normalizers but the three with their own.
type normalizerFields struct {
	Type       string          `json:"type"`
	Prepend    *string         `json:"prepend"`
	Pattern    json.RawMessage `json:"pattern"`
	Content    *string         `json:"content"`
	StripLeft  *bool           `json:"strip_left"`
	StripRight *bool           `json:"strip_right"`
}

func openNormalizer(c component) (normalizer, error) {
	var f normalizerFields
	switch c.kind {
	case "Sequence":
		return openNormalizers(c)
	case "BertNormalizer":
		return openBertNormalizer(c)
	case "Precompiled":
		return openPrecompiled(c)
	case "Prepend", "Replace", "Lowercase", "Strip", "StripAccents", "Nmt", "ByteLevel", "NFC", "NFD", "NFKC", "NFKD":
		if err := c.decode(&f); err != nil {
			return nil, err
		}
	default:
		return nil, c.unknown()
	}
	form, isForm := unicodeForms[c.kind]
	switch {
	case isForm:
		return unicodeForm{form}, nil
	case c.kind == "Lowercase":
		return lowercase{}, nil
	case c.kind == "StripAccents":
		return stripAccents{unicode.M}, nil
	case c.kind == "Nmt":
		return nmt{}, nil
	case c.kind == "ByteLevel":
		return byteLevelNormalizer{}, nil
	case c.kind == "Prepend" && f.Prepend != nil:
		return prepend{*f.Prepend}, nil
	case c.kind == "Strip" && f.StripLeft != nil && f.StripRight != nil:
		return strip{*f.StripLeft, *f.StripRight}, nil
	case c.kind == "Replace" && f.Content != nil && !isNull(f.Pattern):
		p, err := parsePattern(c, f.Pattern)
		return replace{p, *f.Content}, err
	}
	return nil, c.errorf("a field is missing")
}

func openNormalizers(c component) (normalizer, error) {
	var f struct {
		Type        string            `json:"type"`
		Normalizers []json.RawMessage `json:"normalizers"`
	}
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	if f.Normalizers == nil {
		return nil, c.errorf("a field is missing")
	}
	children, err := c.children("normalizers", f.Normalizers)
	if err != nil {
		return nil, err
	}
	var all normalizers
	for _, child := range children {
		one, err := openNormalizer(child)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func openBertNormalizer(c component) (normalizer, error) {
	f := struct {
		Type         string `json:"type"`
		CleanText    bool   `json:"clean_text"`
		Chinese      bool   `json:"handle_chinese_chars"`
		StripAccents *bool  `json:"strip_accents"` // null: as lowercase
		Lowercase    bool   `json:"lowercase"`
	}{CleanText: true, Chinese: true, Lowercase: true}
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	n := bertNormalizer{f.CleanText, f.Chinese, f.Lowercase, f.Lowercase}
	if f.StripAccents != nil {
		n.stripAccents = *f.StripAccents
	}
	return n, nil
}

func openPrecompiled(c component) (normalizer, error) {
	var f struct {
		Type     string  `json:"type"`
		Charsmap *string `json:"precompiled_charsmap"`
	}
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	if f.Charsmap == nil {
		return nil, c.errorf("precompiled_charsmap is missing")
	}
	data, err := base64.StdEncoding.DecodeString(*f.Charsmap)
	if err != nil {
		return nil, c.errorf("precompiled_charsmap: %w", err)
	}
	m, err := newCharsmap(data)
	if err != nil {
		return nil, c.errorf("precompiled_charsmap: %w", err)
	}
	return precompiled{m}, nil
}
