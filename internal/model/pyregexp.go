package model

import (
	"fmt"
	"regexp"
	"strings"
)

// pyRegexp compiles a regular expression of Python's re module, in which PEFT's
// configurations are written. What this engine does not have (lookaround,
// backreferences, conditions) and what Python does not have is an error.
func pyRegexp(pattern string) (*regexp.Regexp, error) {
	translated, err := fromPython(pattern)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", pattern, err)
	}
	re, err := regexp.Compile(translated)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: not supported here: %w", pattern, err)
	}
	return re, nil
}

// fromPython writes what Go writes in another way, and refuses what only Go has.
func fromPython(pattern string) (string, error) {
	var out strings.Builder
	class := -1 // where the character class began
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '\\' && i+1 < len(pattern):
			i++
			escape, err := pyEscape(pattern[i])
			if err != nil {
				return "", err
			}
			out.WriteString(escape)
			continue
		case class >= 0:
			if c == ']' && i > class+1 && pattern[class+1:i] != "^" {
				class = -1
			} else if c == '[' { // Go would read [:alpha:]
				out.WriteByte('\\')
			}
		case c == '[':
			class = i
		case strings.HasPrefix(pattern[i:], "{,") && openRepeat(pattern[i:]):
			out.WriteString("{0")
			continue
		case strings.HasPrefix(pattern[i:], "(?U") || strings.HasPrefix(pattern[i:], "(?<") && !strings.ContainsAny(pattern[i+3:min(i+4, len(pattern))], "=!"):
			return "", fmt.Errorf("Python has no group %q", pattern[i:min(i+4, len(pattern))])
		}
		out.WriteByte(c)
	}
	return out.String(), nil
}

// pyEscape is Go's form of a backslash and c.
func pyEscape(c byte) (string, error) {
	switch {
	case c == 'Z':
		return `\z`, nil
	case strings.IndexByte("zpPQECG", c) >= 0:
		return "", fmt.Errorf(`Python has no escape \%c`, c)
	case c >= '1' && c <= '9':
		return "", fmt.Errorf(`backreference \%c is not supported here`, c)
	}
	return `\` + string(rune(c)), nil
}

// openRepeat tells whether s begins with a repetition such as {,3}.
func openRepeat(s string) bool {
	digits := strings.TrimLeft(s[2:], "0123456789")
	return strings.HasPrefix(digits, "}")
}
