package datasets

import (
	"fmt"
	"strings"
)

// template is a text with the values of columns in it: `Query: {text}`. Two
// braces stand for one. The zero template is empty.
type template struct {
	literals []string // len(columns)+1: before, between and after the columns
	columns  []string
}

// parseTemplate reads a template and checks its braces.
func parseTemplate(text string) (template, error) {
	var t template
	var literal strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case (c == '{' || c == '}') && i+1 < len(text) && text[i+1] == c:
			literal.WriteByte(c)
			i++
		case c == '}':
			return t, fmt.Errorf("%q: a } without { (write }} for the character)", text)
		case c == '{':
			n := strings.IndexAny(text[i+1:], "{}")
			if n < 0 || text[i+1+n] == '{' {
				return t, fmt.Errorf("%q: a { without } (write {{ for the character)", text)
			}
			name := text[i+1 : i+1+n]
			if name == "" {
				return t, fmt.Errorf("%q: {} names no column", text)
			}
			t.literals = append(t.literals, literal.String())
			t.columns = append(t.columns, name)
			literal.Reset()
			i += n + 1
		default:
			literal.WriteByte(c)
		}
	}
	t.literals = append(t.literals, literal.String())
	return t, nil
}

// columnTemplate is the value of one column as it is.
func columnTemplate(name string) template {
	return template{literals: []string{"", ""}, columns: []string{name}}
}

// render puts values, one for each column, into the template.
func (t template) render(values []string) string {
	if len(t.columns) == 1 && t.literals[0] == "" && t.literals[1] == "" {
		return values[0]
	}
	var b strings.Builder
	for i, literal := range t.literals {
		b.WriteString(literal)
		if i < len(values) {
			b.WriteString(values[i])
		}
	}
	return b.String()
}

// strip is a rendered text without what the template puts around the values, as
// far as it can be found in it. fold changes the template's text as the rendered
// one was.
func (t template) strip(text string, fold func(string) string) string {
	var b strings.Builder
	for i, literal := range t.literals {
		if literal = strings.TrimSpace(fold(literal)); literal == "" {
			continue
		}
		at := strings.Index(text, literal)
		if i == len(t.literals)-1 {
			at = strings.LastIndex(text, literal)
		}
		if at < 0 {
			continue
		}
		if b.WriteString(text[:at]); at > 0 {
			b.WriteByte('\n')
		}
		text = text[at+len(literal):]
	}
	b.WriteString(text)
	return b.String()
}
