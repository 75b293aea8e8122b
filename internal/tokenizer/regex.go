package tokenizer

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Regular expressions in tokenizer.json are Oniguruma's, with Unicode classes.
// Go's are RE2: no look-around, and \s, \w and \d are ASCII. compileRegex
// rewrites what differs and refuses what it cannot express.

// unicodeClass holds the members of a class as they are written inside [ ].
var unicodeClass = map[byte]string{
	's': `\t\n\x{0B}\f\r\x{85}\p{Z}`,
	'd': `\p{Nd}`,
	'w': `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}`,
}

func compileRegex(pattern string) (*regexp.Regexp, error) {
	translated, err := translateRegex(pattern)
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile(translated)
	if err != nil {
		return nil, err
	}
	if re.MatchString("") {
		return nil, errors.New("it matches the empty string")
	}
	return re, nil
}

func translateRegex(p string) (string, error) {
	var b strings.Builder
	inClass := false
	for i := 0; i < len(p); i++ {
		rest := p[i:]
		switch c := p[i]; {
		case c == '\\':
			text, n, err := translateEscape(rest, inClass)
			if err != nil {
				return "", err
			}
			b.WriteString(text)
			i += n - 1
		case inClass && c == '[':
			return "", errors.New("a class within a class is not supported")
		case inClass && strings.HasPrefix(rest, "&&"):
			return "", errors.New("intersection of classes is not supported")
		case inClass:
			inClass = c != ']'
			b.WriteByte(c)
		case c == '[':
			inClass = true
			b.WriteByte(c)
			if strings.HasPrefix(rest, "[]") || strings.HasPrefix(rest, "[^]") {
				return "", errors.New("a class that starts with ] is not supported")
			}
		case c == '^' || c == '$':
			b.WriteString("(?m:" + string(c) + ")") // lines, as in Oniguruma
		case strings.HasPrefix(rest, "(?"):
			if err := checkGroup(rest); err != nil {
				return "", err
			}
			b.WriteByte(c)
		case strings.HasPrefix(rest, "{,"):
			return "", errors.New("a repetition without lower bound is not supported")
		case isPossessive(rest):
			return "", errors.New("a possessive quantifier is not supported")
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// checkGroup accepts (?: and (?i: only; every other group looks around, names
// something or changes what . and $ mean.
func checkGroup(rest string) error {
	if strings.HasPrefix(rest, "(?:") || strings.HasPrefix(rest, "(?i:") {
		return nil
	}
	return fmt.Errorf("the group %.4q is not supported", rest)
}

// isPossessive reports whether rest starts with a quantifier that gives nothing back.
func isPossessive(rest string) bool {
	return len(rest) >= 2 && strings.IndexByte("*+?", rest[0]) >= 0 && rest[1] == '+'
}

// translateEscape rewrites the escape at the start of rest and returns its
// length there.
func translateEscape(rest string, inClass bool) (text string, n int, err error) {
	if len(rest) < 2 {
		return "", 0, errors.New("it ends with a backslash")
	}
	switch c := rest[1]; {
	case unicodeClass[c] != "":
		if inClass {
			return unicodeClass[c], 2, nil
		}
		return "[" + unicodeClass[c] + "]", 2, nil
	case unicodeClass[c|0x20] != "" && c < 'a':
		if inClass {
			return "", 0, fmt.Errorf("%q within a class is not supported", rest[:2])
		}
		return "[^" + unicodeClass[c|0x20] + "]", 2, nil
	case c == 'p' || c == 'P':
		end := strings.IndexByte(rest, '}')
		if len(rest) < 3 || rest[2] != '{' || end < 0 {
			return "", 0, fmt.Errorf("%q without {…} is not supported", rest[:2])
		}
		return rest[:end+1], end + 1, nil
	case c == 'x':
		if len(rest) > 2 && rest[2] == '{' {
			return rest[:2], 2, nil
		}
		if len(rest) < 4 {
			return "", 0, errors.New("the escape \\x is cut off")
		}
		return rest[:4], 4, nil
	case c == 'u':
		if len(rest) < 6 {
			return "", 0, errors.New("the escape \\u is cut off")
		}
		return `\x{` + rest[2:6] + "}", 6, nil
	case strings.IndexByte("tnrfv", c) >= 0:
		return rest[:2], 2, nil
	case c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z':
		return "", 0, fmt.Errorf("the escape %q is not supported", rest[:2])
	}
	return rest[:2], 2, nil // an escaped punctuation mark
}
