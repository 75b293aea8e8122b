package tokenizer

import (
	"encoding/json"
	"unicode"
)

// parsePreTokenizer returns nil for null: text is not cut.
func parsePreTokenizer(raw json.RawMessage) (preTokenizer, error) {
	if isNull(raw) {
		return nil, nil
	}
	c, err := newComponent("pre_tokenizer", raw)
	if err != nil {
		return nil, err
	}
	return openPreTokenizer(c)
}

func openPreTokenizer(c component) (preTokenizer, error) {
	switch c.kind {
	case "ByteLevel":
		f, err := openByteLevel(c)
		return byteLevel{f.addPrefixSpace, f.useRegex}, err
	case "Split":
		return openSplit(c)
	case "Digits":
		return openDigits(c)
	case "Punctuation":
		return openPunctuation(c)
	case "Metaspace":
		f, err := openMetaspace(c)
		return f, err
	case "Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts":
		return openPlainPreTokenizer(c)
	case "CharDelimiterSplit":
		return openCharDelimiterSplit(c)
	case "Sequence":
		return openPreTokenizers(c)
	}
	return nil, c.unknown()
}

// openPlainPreTokenizer reads those that have no fields.
func openPlainPreTokenizer(c component) (preTokenizer, error) {
	var f struct {
		Type string `json:"type"`
	}
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	switch c.kind {
	case "Whitespace":
		return whitespace{}, nil
	case "WhitespaceSplit":
		return splitRunes{unicode.IsSpace, removed}, nil
	case "BertPreTokenizer":
		return preTokenizers{splitRunes{unicode.IsSpace, removed}, splitRunes{isPunctuation, isolated}}, nil
	}
	return unicodeScripts{}, nil
}

func openCharDelimiterSplit(c component) (preTokenizer, error) {
	var f struct {
		Type      string `json:"type"`
		Delimiter string `json:"delimiter"`
	}
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	r, err := c.oneRune("delimiter", f.Delimiter)
	return splitRunes{func(c rune) bool { return c == r }, removed}, err
}

func openPreTokenizers(c component) (preTokenizer, error) {
	var f struct {
		Type          string            `json:"type"`
		Pretokenizers []json.RawMessage `json:"pretokenizers"`
	}
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	children, err := c.children("pretokenizers", f.Pretokenizers)
	if err != nil {
		return nil, err
	}
	var all preTokenizers
	for _, child := range children {
		one, err := openPreTokenizer(child)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func openSplit(c component) (preTokenizer, error) {
	var f struct {
		Type     string          `json:"type"`
		Pattern  json.RawMessage `json:"pattern"`
		Behavior string          `json:"behavior"`
		Invert   bool            `json:"invert"`
	}
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	if isNull(f.Pattern) {
		return nil, c.errorf("the pattern is missing")
	}
	p, err := parsePattern(c, f.Pattern)
	if err != nil {
		return nil, err
	}
	b, err := parseBehavior(c, f.Behavior)
	if err != nil {
		return nil, err
	}
	var source struct{ Regex string }
	if err := json.Unmarshal(f.Pattern, &source); err != nil {
		return nil, c.errorf("pattern: %w", err)
	}
	return split{pattern: p, source: source.Regex, behavior: b, invert: f.Invert}, nil
}

func openDigits(c component) (preTokenizer, error) {
	var f struct {
		Type             string `json:"type"`
		IndividualDigits bool   `json:"individual_digits"`
	}
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	return digits{f.IndividualDigits}, nil
}

func openPunctuation(c component) (preTokenizer, error) {
	f := struct {
		Type     string `json:"type"`
		Behavior string `json:"behavior"`
	}{Behavior: string(isolated)}
	if err := c.decode(&f); err != nil {
		return nil, err
	}
	b, err := parseBehavior(c, f.Behavior)
	return splitRunes{isPunctuation, b}, err
}

// byteLevelFields are those of ByteLevel in all its three roles.
type byteLevelFields struct{ addPrefixSpace, useRegex, trimOffsets bool }

func openByteLevel(c component) (byteLevelFields, error) {
	f := struct {
		Type           string `json:"type"`
		AddPrefixSpace bool   `json:"add_prefix_space"`
		TrimOffsets    bool   `json:"trim_offsets"` // moves offsets, never ids
		UseRegex       bool   `json:"use_regex"`
	}{UseRegex: true, AddPrefixSpace: true, TrimOffsets: true}
	err := c.decode(&f)
	return byteLevelFields{f.AddPrefixSpace, f.UseRegex, f.TrimOffsets}, err
}

func openMetaspace(c component) (metaspace, error) {
	f := struct {
		Type           string  `json:"type"`
		Replacement    string  `json:"replacement"`
		PrependScheme  *string `json:"prepend_scheme"`
		AddPrefixSpace *bool   `json:"add_prefix_space"` // before prepend_scheme existed
		StrRep         *string `json:"str_rep"`          // the replacement again, in old files
		Split          bool    `json:"split"`
	}{Split: true}
	if err := c.decode(&f); err != nil {
		return metaspace{}, err
	}
	if _, err := c.oneRune("replacement", f.Replacement); err != nil {
		return metaspace{}, err
	}
	if f.StrRep != nil && *f.StrRep != f.Replacement {
		return metaspace{}, c.errorf("str_rep %q is not the replacement %q", *f.StrRep, f.Replacement)
	}
	t := metaspace{replacement: f.Replacement, scheme: prependAlways, split: f.Split}
	noPrefix := f.AddPrefixSpace != nil && !*f.AddPrefixSpace
	if noPrefix {
		t.scheme = prependNever
	}
	if f.PrependScheme != nil {
		t.scheme = prependScheme(*f.PrependScheme)
	}
	switch {
	case t.scheme != prependAlways && t.scheme != prependFirst && t.scheme != prependNever:
		return metaspace{}, c.errorf("prepend_scheme %q is not supported", t.scheme)
	case noPrefix && t.scheme != prependNever:
		return metaspace{}, c.errorf("add_prefix_space is false but prepend_scheme is %q", t.scheme)
	}
	return t, nil
}
