package redact

import (
	"strconv"
	"strings"
)

// A placeholder is [KIND_N]: the kind in capitals and a number from 1, without
// leading zeros. Models change the case, escape for Markdown, or write a space or
// a dash for an underscore; parsePlaceholder reads all these.

const maxNumberDigits = 9

func writePlaceholder(kind string, n int) string {
	return "[" + strings.ToUpper(kind) + "_" + strconv.Itoa(n) + "]"
}

// parsePlaceholder reads a placeholder at the start of text, in the form that
// Redact writes or in one that a model makes of it. It returns the
// canonical form and its length in text, 0 if there is none. Neither form can
// begin within the other, so that whatever surrounds a placeholder that Redact
// wrote, it is read as written.
func parsePlaceholder(text string) (canonical string, length int) {
	closing := "]"
	i := 1
	switch {
	case strings.HasPrefix(text, `\[`):
		i, closing = 2, `\]`
	case !strings.HasPrefix(text, "["):
		return "", 0
	}
	var name [maxKindBytes + 1 + maxNumberDigits]byte
	n := 0
	for ; i < len(text) && n < len(name); i++ {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '\\' && i+1 < len(text) && text[i+1] == '_':
			i++
			c = '_'
		case c == '_', c == '-', c == ' ':
			c = '_'
		default:
			goto end
		}
		name[n] = c
		n++
	}
end:
	if !strings.HasPrefix(text[i:], closing) || !isPlaceholderName(string(name[:n])) {
		return "", 0
	}
	return "[" + string(name[:n]) + "]", i + len(closing)
}

// isPlaceholderName tells whether name is a kind and a number.
func isPlaceholderName(name string) bool {
	at := strings.LastIndexByte(name, '_')
	if at <= 0 {
		return false
	}
	number := name[at+1:]
	return number != "" && len(number) <= maxNumberDigits && number[0] != '0' &&
		strings.Trim(number, "0123456789") == ""
}

// placeholderKind returns the kind in a canonical placeholder.
func placeholderKind(canonical string) string {
	return strings.ToLower(canonical[1:strings.LastIndexByte(canonical, '_')])
}

// eachPlaceholder calls found for every placeholder in text, from left to right.
func eachPlaceholder(text string, found func(canonical string, start, end int)) {
	for i := 0; i < len(text); {
		step := strings.IndexAny(text[i:], `[\`)
		if step < 0 {
			return
		}
		i += step
		canonical, length := parsePlaceholder(text[i:])
		if length == 0 {
			i++
			continue
		}
		found(canonical, i, i+length)
		i += length
	}
}
