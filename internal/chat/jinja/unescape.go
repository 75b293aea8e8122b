package jinja

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

var simpleEscapes = map[byte]string{'\\': "\\", '\'': "'", '"': "\"", 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v", '\n': ""}

// unescape reads the backslash escapes of a Python string literal; an unknown
// one stays as it is.
func unescape(s string) (string, error) {
	if !strings.Contains(s, "\\") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			i++
			continue
		}
		c := s[i+1]
		if e, ok := simpleEscapes[c]; ok {
			b.WriteString(e)
			i += 2
			continue
		}
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
		switch {
		case digits > 0:
			if i+2+digits > len(s) {
				return "", raise("TemplateSyntaxError", "truncated \\%cXX escape", c)
			}
			n, err := strconv.ParseUint(s[i+2:i+2+digits], 16, 32)
			if err != nil || !utf8.ValidRune(rune(n)) {
				return "", raise("TemplateSyntaxError", "%q is no character", s[i:i+2+digits])
			}
			b.WriteRune(rune(n))
			i += 2 + digits
		case c >= '0' && c <= '7':
			end := i + 1
			n := rune(0)
			for ; end < len(s) && end < i+4 && s[end] >= '0' && s[end] <= '7'; end++ {
				n = n*8 + rune(s[end]-'0')
			}
			b.WriteRune(n)
			i = end
		case c == 'N':
			return "", raise("TemplateSyntaxError", "\\N{name} escapes are not supported")
		default:
			b.WriteByte('\\')
			i++
		}
	}
	return b.String(), nil
}
