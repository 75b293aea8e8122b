package datasets

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"
)

// members yields the keys and values of a JSON object, which must be valid, in
// their order. Values are as they are written.
func members(object []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		at := skipSpace(object, 0) + 1
		for {
			if at = skipSpace(object, at); at >= len(object) || object[at] == '}' {
				return
			}
			if object[at] == ',' {
				at++
				continue
			}
			end := skipString(object, at)
			key := unquote(object[at:end])
			at = skipSpace(object, end) + 1 // the colon
			at = skipSpace(object, at)
			end = skipValue(object, at)
			if !yield(key, object[at:end]) {
				return
			}
			at = end
		}
	}
}

// elements yields the values of a JSON array, which must be valid.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		at := skipSpace(array, 0) + 1
		for {
			if at = skipSpace(array, at); at >= len(array) || array[at] == ']' {
				return
			}
			if array[at] == ',' {
				at++
				continue
			}
			end := skipValue(array, at)
			if !yield(array[at:end]) {
				return
			}
			at = end
		}
	}
}

func skipSpace(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\n' || b[at] == '\t' || b[at] == '\r') {
		at++
	}
	return at
}

// skipString is where the string that begins at at ends.
func skipString(b []byte, at int) int {
	for at++; at < len(b); {
		n := bytes.IndexByte(b[at:], '"')
		if n < 0 {
			return len(b)
		}
		at += n + 1
		slashes := 0
		for b[at-2-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return at
		}
	}
	return at
}

// skipValue is where the value that begins at at ends.
func skipValue(b []byte, at int) int {
	for depth := 0; at < len(b); {
		switch b[at] {
		case '"':
			at = skipString(b, at)
		case '{', '[':
			depth++
			at++
			continue
		case '}', ']':
			if depth == 0 {
				return at // of a number or word before it
			}
			depth--
			at++
		case ',', ':', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return at
			}
			at++
			continue
		default:
			for at < len(b) && !strings.ContainsRune(",:]} \n\t\r", rune(b[at])) {
				at++
			}
		}
		if depth == 0 {
			return at
		}
	}
	return at
}

// unquote is the text of a JSON string, which must be valid.
func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return text
}

// appendQuoted appends a text as a JSON string.
func appendQuoted(b []byte, text string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, text[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(b, text[start:]...), '"')
}

// jsonCell is a JSON value as a cell: strings decoded, numbers and booleans as
// they are written, lists and objects as JSON.
func jsonCell(raw []byte) cell {
	switch raw[0] {
	case '{', '[':
		c := textCell(string(raw))
		if c.state == cellText {
			c.state = cellJSON
		}
		return c
	case 'n':
		return cell{state: cellNull}
	case '"':
		return jsonString(raw)
	}
	return cell{text: string(raw), number: raw[0] != 't' && raw[0] != 'f'}
}

func jsonString(raw []byte) cell {
	text := unquote(raw)
	if bytes.IndexByte(raw, '\\') >= 0 && replaced(text, raw) {
		return cell{state: cellInvalidUTF8}
	}
	return textCell(text)
}

// replaced tells whether decoding raw put replacement characters for bytes that
// are not UTF-8, or for halves of surrogate pairs, where raw has none.
func replaced(text string, raw []byte) bool {
	const mark = "\uFFFD"
	written := bytes.Count(raw, []byte(mark)) + bytes.Count(bytes.ToLower(raw), []byte(`\ufffd`))
	return strings.Count(text, mark) > written
}
