package tokenizer

import (
	"encoding/json"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// normalizer changes text before it is cut. It is safe for concurrent use.
type normalizer interface {
	normalize(s string) string
}

// prepend writes a string before text that is not empty.
type prepend struct{ text string }

func (n prepend) normalize(s string) string {
	if s == "" {
		return s
	}
	return n.text + s
}

// replace writes by for every match of a pattern.
type replace struct {
	pattern pattern
	by      string
}

func (n replace) normalize(s string) string { return n.pattern.replaceAll(s, n.by) }

// lowercase maps each character on its own: Σ becomes σ at a word's end too.
type lowercase struct{}

func (lowercase) normalize(s string) string {
	// İ is the only character whose full lower-case form is two characters;
	// unicode.ToLower knows the simple form only.
	s = strings.ReplaceAll(s, "İ", "i̇")
	return strings.Map(unicode.ToLower, s)
}

// unicodeForm is one of Unicode's four normalization forms (UAX #15).
type unicodeForm struct{ form norm.Form }

func (n unicodeForm) normalize(s string) string { return n.form.String(s) }

var unicodeForms = map[string]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD}

// strip removes white space from the ends.
type strip struct{ left, right bool }

func (n strip) normalize(s string) string {
	if n.left {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
	}
	if n.right {
		s = strings.TrimRightFunc(s, unicode.IsSpace)
	}
	return s
}

// normalizers run one after the other.
type normalizers []normalizer

func (n normalizers) normalize(s string) string {
	for _, one := range n {
		s = one.normalize(s)
	}
	return s
}

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

func openNormalizer(c component) (normalizer, error) {
	var f struct {
		Type        string            `json:"type"`
		Prepend     *string           `json:"prepend"`
		Pattern     json.RawMessage   `json:"pattern"`
		Content     *string           `json:"content"`
		StripLeft   *bool             `json:"strip_left"`
		StripRight  *bool             `json:"strip_right"`
		Normalizers []json.RawMessage `json:"normalizers"`
	}
	switch c.kind {
	case "Prepend", "Replace", "Lowercase", "Strip", "Sequence", "NFC", "NFD", "NFKC", "NFKD":
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
	case c.kind == "Prepend" && f.Prepend != nil:
		return prepend{*f.Prepend}, nil
	case c.kind == "Strip" && f.StripLeft != nil && f.StripRight != nil:
		return strip{*f.StripLeft, *f.StripRight}, nil
	case c.kind == "Replace" && f.Content != nil && !isNull(f.Pattern):
		p, err := parsePattern(c, f.Pattern)
		return replace{p, *f.Content}, err
	case c.kind == "Sequence" && f.Normalizers != nil:
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
	return nil, c.errorf("a field is missing")
}
