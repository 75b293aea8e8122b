package tokenizer

import (
	"encoding/json"
	"strings"
)

// pattern finds places in text: {"String": …} or {"Regex": …} in tokenizer.json.
type pattern struct {
	literal string  // if not ""
	scan    scanner // a known regular expression
	re      *regex  // any other
}

// scanner returns the length in bytes of the match at the start of s, which is
// not empty. It matches at every place, so that text is cut without gaps.
type scanner func(s string) int

// span is a part of a text; match tells whether the pattern matched it or it
// lies between matches.
type span struct {
	start, end int
	match      bool
}

func parsePattern(c component, raw json.RawMessage) (pattern, error) {
	var p struct {
		String *string
		Regex  *string
	}
	if err := strictJSON(raw, &p); err != nil {
		return pattern{}, c.errorf("pattern: %w", err)
	}
	switch {
	case (p.String == nil) == (p.Regex == nil):
		return pattern{}, c.errorf("pattern: want either String or Regex")
	case p.String != nil && *p.String == "":
		return pattern{}, c.errorf("pattern: the empty string matches everywhere")
	case p.String != nil:
		return pattern{literal: *p.String}, nil
	}
	if scan, ok := knownRegexes[*p.Regex]; ok {
		return pattern{scan: scan}, nil
	}
	re, err := compileRegex(*p.Regex)
	if err != nil {
		return pattern{}, c.errorf("pattern: regular expression %q: %w", *p.Regex, err)
	}
	return pattern{re: re}, nil
}

// spans cuts s, which is not empty, into matches, which may be empty, and what
// lies between them.
func (p pattern) spans(s string) []span {
	var out []span
	end := 0
	add := func(start, stop int) {
		if end < start {
			out = append(out, span{end, start, false})
		}
		out = append(out, span{start, stop, true})
		end = stop
	}
	switch {
	case p.scan != nil:
		out = make([]span, 0, len(s)/5+1)
		for end < len(s) {
			add(end, end+p.scan(s[end:]))
		}
	case p.literal != "":
		for {
			i := strings.Index(s[end:], p.literal)
			if i < 0 {
				break
			}
			add(end+i, end+i+len(p.literal))
		}
	default:
		p.re.spans(s, add)
	}
	if end < len(s) {
		out = append(out, span{end, len(s), false})
	}
	return out
}

// replaceAll replaces every match in s.
func (p pattern) replaceAll(s, by string) string {
	if s == "" {
		return s
	}
	if p.literal != "" {
		return strings.ReplaceAll(s, p.literal, by)
	}
	var b strings.Builder
	for _, sp := range p.spans(s) {
		if sp.match {
			b.WriteString(by)
		} else {
			b.WriteString(s[sp.start:sp.end])
		}
	}
	return b.String()
}

// runeSpans is spans for a pattern that matches single characters.
func runeSpans(s string, is func(rune) bool) []span {
	var out []span
	end := 0
	for i, r := range s {
		if !is(r) {
			continue
		}
		if end < i {
			out = append(out, span{end, i, false})
		}
		end = i + len(string(r))
		out = append(out, span{i, end, true})
	}
	if end < len(s) {
		out = append(out, span{end, len(s), false})
	}
	return out
}
