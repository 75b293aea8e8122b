package redact

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// mostDepth is how deep JSON may be nested: no request of a person is deeper.
const mostDepth = 200

// protocol are the names by which servers read a conversation and its tools. They
// and the values of role and type stay, whatever a word list says.
var protocol = map[string]bool{"role": true, "content": true, "type": true, "text": true, "name": true, "function": true,
	"arguments": true, "tool_calls": true, "tool_call_id": true, "id": true, "refusal": true, "reasoning_content": true,
	"description": true, "parameters": true, "properties": true, "required": true, "items": true, "enum": true, "input": true, "input_schema": true}

// isProtocol tells whether the string is a name of the protocol, not a text.
func (p *jsonString) isProtocol(decoded string) bool {
	if p.isKey {
		return protocol[decoded]
	}
	name := p.name()
	return name == "role" || name == "type"
}

// RedactJSON is Redact for a JSON text: it redacts all strings in it, also the
// keys of objects, but for the names of the protocol, and leaves every other byte as it is. The key of a value, of
// an array too, says what the value is: under "password" every string is one.
// Numbers stay. The error says where the text is not JSON.
func (s *Scope) RedactJSON(text string) (string, error) {
	if err := checkJSON(text); err != nil {
		return "", fmt.Errorf("redact JSON: %w", err)
	}
	s.mu.Lock()
	call := s.texts
	s.texts++
	s.mu.Unlock()
	var out strings.Builder
	at := 0
	eachString(text, func(p *jsonString) {
		decoded, origin := p.decode(text)
		if p.isProtocol(decoded) {
			return
		}
		name := ""
		if !p.isKey {
			name = p.name()
		}
		spans := s.r.find(name, decoded)
		if len(spans) == 0 {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if p.isKey { // no finding may show it
			p.path[len(p.path)-1].shown = s.replaceAll(spans, decoded, nil)
		}
		f := Finding{Text: call, Field: p.pointer(), Key: p.isKey}
		s.replaceAll(spans, decoded, func(found span, placeholder string) {
			out.WriteString(text[at:origin(found.start)])
			out.WriteString(placeholder)
			at = origin(found.end)
			s.record(f, found, placeholder)
		})
	})
	out.WriteString(text[at:])
	return out.String(), nil
}

// RestoreJSON is Restore for a JSON text: originals are written as parts of JSON
// strings. Where RedactJSON replaced an escaped character, the restored text may
// write it in another way; the strings are equal.
func (s *Scope) RestoreJSON(text string) (string, error) {
	if err := checkJSON(text); err != nil {
		return "", fmt.Errorf("restore JSON: %w", err)
	}
	var out strings.Builder
	at := 0
	eachString(text, func(p *jsonString) {
		decoded, origin := p.decode(text)
		s.mu.Lock()
		defer s.mu.Unlock()
		eachPlaceholder(decoded, func(canonical string, start, end int) {
			if e, ok := s.byName[canonical]; ok {
				out.WriteString(text[at:origin(start)])
				writeEscaped(&out, e.original)
				at = origin(end)
			}
		})
	})
	out.WriteString(text[at:])
	return out.String(), nil
}

// checkJSON returns the error of a text that is not one JSON value.
func checkJSON(text string) error {
	if json.Valid([]byte(text)) {
		return checkDepth(text)
	}
	var any json.RawMessage
	err := json.Unmarshal([]byte(text), &any)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("byte %d: %w", syntax.Offset, err)
	}
	return err
}

// checkDepth refuses JSON that is nested deeper than mostDepth.
func checkDepth(text string) error {
	depth, inside := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '{' || c == '[':
			if depth++; depth > mostDepth {
				return fmt.Errorf("byte %d: nested deeper than %d", i, mostDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// jsonString is a string of a JSON text, with what surrounds it.
type jsonString struct {
	start, end int // between the quotes
	isKey      bool
	path       []container
}

// container is an object or array that is being read, and where in it.
type container struct {
	object bool
	key    string
	shown  string // key as findings have it
	index  int
}

// eachString calls yield for every string of a valid JSON text, in order. The
// value that yield gets is good until it returns.
func eachString(text string, yield func(*jsonString)) {
	p := &jsonString{}
	key := false // the next string is a key
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			p.path = append(p.path, container{object: text[i] == '{'})
			key = text[i] == '{'
		case '}', ']':
			p.path = p.path[:len(p.path)-1]
		case ',':
			if top := &p.path[len(p.path)-1]; top.object {
				key = true
			} else {
				top.index++
			}
		case '"':
			end := i + 1
			for text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			p.start, p.end, p.isKey = i+1, end, key
			if key {
				top := &p.path[len(p.path)-1]
				top.key, _ = p.decode(text)
				top.shown = top.key
				key = false
			}
			yield(p)
			i = end
		}
	}
}

// name returns the key that the string is the value of, itself or in arrays.
func (p *jsonString) name() string {
	for i := len(p.path) - 1; i >= 0; i-- {
		if p.path[i].object {
			return p.path[i].key
		}
	}
	return ""
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// pointer returns the JSON pointer (RFC 6901) of the string, or of its value.
func (p *jsonString) pointer() string {
	var out strings.Builder
	for _, c := range p.path {
		out.WriteByte('/')
		if c.object {
			out.WriteString(pointerEscapes.Replace(c.shown))
		} else {
			out.WriteString(strconv.Itoa(c.index))
		}
	}
	return out.String()
}

// decode returns the string without escapes, and where each byte of it, or its
// end, lies in the JSON text.
func (p *jsonString) decode(text string) (decoded string, origin func(int) int) {
	raw := text[p.start:p.end]
	first := strings.IndexByte(raw, '\\')
	if first < 0 {
		return raw, func(i int) int { return p.start + i }
	}
	out := []byte(raw[:first])
	at := make([]int32, first, len(raw)+1)
	for i := range at {
		at[i] = int32(i)
	}
	for i := first; i < len(raw); {
		n, size := len(out), 1
		if raw[i] != '\\' {
			out = append(out, raw[i])
		} else {
			var r rune
			r, size = unescape(raw[i:])
			out = utf8.AppendRune(out, r)
		}
		for ; n < len(out); n++ {
			at = append(at, int32(i))
		}
		i += size
	}
	at = append(at, int32(len(raw)))
	return string(out), func(i int) int { return p.start + int(at[i]) }
}

// unescape reads the escape at the start of a valid JSON string's rest. Half
// of a surrogate pair is the replacement character, as in encoding/json.
func unescape(raw string) (r rune, size int) {
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if raw[1] != 'u' {
		return rune(to[strings.IndexByte(from, raw[1])]), 2
	}
	r = hexRune(raw[2:6])
	if utf16.IsSurrogate(r) {
		if len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' {
			if pair := utf16.DecodeRune(r, hexRune(raw[8:12])); pair != utf8.RuneError {
				return pair, 12
			}
		}
		return utf8.RuneError, 6
	}
	return r, 6
}

func hexRune(s string) rune {
	n, _ := strconv.ParseUint(s, 16, 16) // the text is valid
	return rune(n)
}

// writeEscaped writes s as a part of a JSON string.
func writeEscaped(out *strings.Builder, s string) {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out.WriteByte('\\')
			out.WriteByte(c)
		case c == '\n':
			out.WriteString(`\n`)
		case c < ' ':
			fmt.Fprintf(out, `\u%04x`, c)
		default:
			out.WriteByte(c)
		}
	}
}
