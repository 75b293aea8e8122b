package refine

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"strings"
)

// longestJSON is the longest text, in bytes, that is searched for JSON.
const longestJSON = 1 << 20

// onlyJSON is the one JSON value that a text is: the text without white space
// around it, or without the ``` or ```json fence that is all there is around it.
// What it says about text that is no JSON is for people.
func onlyJSON(text string) (string, error) {
	if len(text) > longestJSON {
		return "", errors.New("longer than 1 MiB")
	}
	text = strings.TrimSpace(text)
	if inside, ok := strings.CutPrefix(text, "```"); ok {
		inside, closed := strings.CutSuffix(inside, "```")
		if !closed {
			return "", errors.New("a ``` fence that is not closed, or text after it")
		}
		inside = strings.TrimPrefix(strings.TrimPrefix(inside, "json"), "JSON")
		text = strings.TrimSpace(inside)
	}
	d := json.NewDecoder(strings.NewReader(text))
	var value json.RawMessage
	if err := d.Decode(&value); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return "", errors.New("no JSON: it ends too early")
		}
		return "", errors.New("no JSON: " + err.Error())
	}
	if d.InputOffset() != int64(len(text)) {
		return "", errors.New("text after the JSON value")
	}
	return text, nil
}

// jsonValues gives the outermost JSON values of a text that begin with open, {
// or [, whatever stands around them. Of a text longer than 1 MiB it reads the
// end. Unclosed brackets cost time: after reading 4 times the longest text it
// stops.
func jsonValues(text string, open byte) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		text := []byte(text[max(0, len(text)-longestJSON):])
		for budget := int64(4 * longestJSON); budget > 0; {
			i := bytes.IndexByte(text, open)
			if i < 0 {
				return
			}
			text = text[i:]
			var value json.RawMessage
			d := json.NewDecoder(bytes.NewReader(text))
			if err := d.Decode(&value); err != nil {
				budget -= bytesRead(err, len(text))
				text = text[1:]
				continue
			}
			if !yield(value) {
				return
			}
			text = text[d.InputOffset():]
		}
	}
}

// bytesRead is how far a decoder came in n bytes before it failed.
func bytesRead(err error, n int) int64 {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Offset
	}
	return int64(n)
}

// lastObject decodes the last JSON object of a text that is one of those
// wanted into v, which ok judges. It says whether there is one.
func lastObject[T any](text string, ok func(T) bool) (last T, found bool) {
	for value := range jsonValues(text, '{') {
		var v T
		if json.Unmarshal(value, &v) == nil && ok(v) {
			last, found = v, true
		}
	}
	return last, found
}
