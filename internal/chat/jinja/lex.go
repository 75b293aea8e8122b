package jinja

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind int

const (
	tokEOF kind = iota
	tokData
	tokBlockBegin
	tokBlockEnd
	tokVarBegin
	tokVarEnd
	tokName
	tokString
	tokInt
	tokFloat
	tokOp
)

type token struct {
	kind kind
	text string // decoded, for strings
	line int
}

// maxSource bounds a template; the largest real ones are under 40 kB.
const maxSource = 4 << 20

var (
	tagBegin  = regexp.MustCompile(`\{%[-+]?\s*raw\s*(?:-%\}|%\})|\{%[-+]?|\{\{[-+]?|\{#[-+]?`)
	rawEnd    = regexp.MustCompile(`\{%([-+]?)\s*endraw\s*([-+]?)%\}`)
	number    = regexp.MustCompile(`^(?i:(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+))`)
	integer   = regexp.MustCompile(`^(?i:0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[0-9a-f])+|[1-9](?:_?\d)*|0(?:_?0)*)`)
	operators = []string{"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"}
)

// lexer cuts a template into tokens, with the whitespace rules of
// trim_blocks=True and lstrip_blocks=True.
type lexer struct {
	src       string
	pos, line int
	lineStart bool // the last token ended a line
	out       []token
}

func lex(src string) ([]token, error) {
	if len(src) > maxSource {
		return nil, limit("template has %d bytes, more than %d", len(src), maxSource)
	}
	if !utf8.ValidString(src) {
		return nil, raise("TemplateSyntaxError", "template is not valid UTF-8")
	}
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	l := &lexer{src: strings.TrimSuffix(src, "\n"), line: 1, lineStart: true}
	for l.pos < len(l.src) {
		if err := l.text(); err != nil {
			return nil, at(err, l.line)
		}
	}
	return append(l.out, token{tokEOF, "", l.line}), nil
}

func (l *lexer) add(k kind, text string) { l.out = append(l.out, token{k, text, l.line}) }

func (l *lexer) advance(n int) {
	l.line += strings.Count(l.src[l.pos:l.pos+n], "\n")
	l.pos += n
}

// text reads up to the next tag, and the tag.
func (l *lexer) text() error {
	rest := l.src[l.pos:]
	m := tagBegin.FindStringIndex(rest)
	if m == nil {
		l.add(tokData, rest)
		l.advance(len(rest))
		return nil
	}
	data, tag := rest[:m[0]], rest[m[0]:m[1]]
	if data = l.strip(data, tag[2:], tag[1] != '{'); data != "" {
		l.add(tokData, data)
	}
	l.advance(m[1])
	l.lineStart = false
	switch {
	case strings.Contains(tag, "raw"):
		return l.raw(strings.HasSuffix(tag, "-%}"))
	case tag[1] == '#':
		end := strings.Index(l.src[l.pos:], "#}")
		if end < 0 {
			return raise("TemplateSyntaxError", "Missing end of comment tag")
		}
		l.closeTag(end, 2, true)
		return nil
	case tag[1] == '%':
		l.add(tokBlockBegin, "{%")
		return l.code(tokBlockEnd, "%}")
	}
	l.add(tokVarBegin, "{{")
	return l.code(tokVarEnd, "}}")
}

// strip removes whitespace before a tag whose opening is followed by sign.
func (l *lexer) strip(data, sign string, isBlock bool) string {
	if strings.HasPrefix(sign, "-") {
		return strings.TrimRightFunc(data, isSpace)
	}
	if strings.HasPrefix(sign, "+") || !isBlock {
		return data
	}
	start := strings.LastIndexByte(data, '\n') + 1
	if (start > 0 || l.lineStart) && strings.TrimFunc(data[start:], isSpace) == "" {
		return data[:start]
	}
	return data
}

// closeTag skips n bytes of a tag and its end of width bytes, and the
// whitespace after it that the sign before the end or trim_blocks removes.
func (l *lexer) closeTag(n, width int, trim bool) {
	sign := byte(0)
	if n > 0 {
		sign = l.src[l.pos+n-1]
	}
	l.advance(n + width)
	l.after(sign, trim)
}

func (l *lexer) after(sign byte, trim bool) {
	rest := l.src[l.pos:]
	n := 0
	switch {
	case sign == '-':
		n = len(rest) - len(strings.TrimLeftFunc(rest, isSpace))
	case trim && sign != '+' && strings.HasPrefix(rest, "\n"):
		n = 1
	}
	l.lineStart = n > 0 && rest[n-1] == '\n'
	l.advance(n)
}

func (l *lexer) raw(trimLeft bool) error {
	if trimLeft {
		l.after('-', false)
	}
	rest := l.src[l.pos:]
	m := rawEnd.FindStringSubmatchIndex(rest)
	if m == nil {
		return raise("TemplateSyntaxError", "Missing end of raw directive")
	}
	if data := l.strip(rest[:m[0]], rest[m[2]:m[3]], true); data != "" {
		l.add(tokData, data)
	}
	sign := byte(0)
	if m[5] > m[4] {
		sign = rest[m[4]]
	}
	l.advance(m[1])
	l.after(sign, true)
	return nil
}

// code reads the tokens of one tag; brackets hide an end of tag inside them.
func (l *lexer) code(end kind, mark string) error {
	var open []byte
	for l.pos < len(l.src) {
		rest := l.src[l.pos:]
		if len(open) == 0 {
			if strings.HasPrefix(rest, mark) {
				l.add(end, mark)
				l.closeTag(0, 2, end == tokBlockEnd)
				return nil
			}
			if (rest[0] == '-' || rest[0] == '+' && end == tokBlockEnd) && strings.HasPrefix(rest[1:], mark) {
				l.add(end, mark)
				l.closeTag(1, 2, end == tokBlockEnd)
				return nil
			}
		}
		n, err := l.one(rest, &open)
		if err != nil {
			return err
		}
		l.advance(n)
	}
	return raise("TemplateSyntaxError", "unexpected end of template, expected %q", mark)
}

var closers = map[byte]byte{')': '(', ']': '[', '}': '{'}

// one adds the token that rest begins with, and returns its length.
func (l *lexer) one(rest string, open *[]byte) (int, error) {
	c, size := utf8.DecodeRuneInString(rest)
	switch {
	case isSpace(c):
		return size, nil
	case c == '\'' || c == '"':
		return l.quoted(rest, byte(c))
	case c >= '0' && c <= '9':
		if m := number.FindString(rest); m != "" && !l.afterDot() {
			l.add(tokFloat, m)
			return len(m), nil
		}
		m := integer.FindString(rest)
		l.add(tokInt, m)
		return len(m), nil
	case c == '_' || unicode.IsLetter(c):
		n := strings.IndexFunc(rest, func(c rune) bool {
			return c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.Is(unicode.Mn, c)
		})
		if n < 0 {
			n = len(rest)
		}
		l.add(tokName, rest[:n])
		return n, nil
	}
	for _, op := range operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		if strings.Contains("([{", op) {
			*open = append(*open, op[0])
		} else if want, ok := closers[op[0]]; ok {
			if len(*open) == 0 || (*open)[len(*open)-1] != want {
				return 0, raise("TemplateSyntaxError", "unexpected %q", op)
			}
			*open = (*open)[:len(*open)-1]
		}
		l.add(tokOp, op)
		return len(op), nil
	}
	return 0, raise("TemplateSyntaxError", "unexpected char %q", c)
}

// afterDot tells the number of x.0.5 from a float.
func (l *lexer) afterDot() bool { return l.pos > 0 && l.src[l.pos-1] == '.' }

func (l *lexer) quoted(rest string, quote byte) (int, error) {
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case quote:
			s, err := unescape(rest[1:i])
			l.add(tokString, s)
			return i + 1, err
		}
	}
	return 0, raise("TemplateSyntaxError", "unexpected char %q: the string does not end", quote)
}
