package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// component is one typed object of tokenizer.json, such as a normalizer.
type component struct {
	where string // path in the file, as "pre_tokenizer.pretokenizers[1]"
	kind  string // its "type"; "" if the object has none
	raw   json.RawMessage
	depth int // of Sequences around it
}

// maxDepth bounds Sequences within Sequences. Real files have two; each level
// is decoded again with all that is in it.
const maxDepth = 8

// isNull reports whether a part of the file is absent or null.
func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || string(raw) == "null"
}

func newComponent(where string, raw json.RawMessage) (component, error) {
	kind, err := typeOf(raw)
	if err != nil {
		return component{}, fmt.Errorf("%s: %w", where, err)
	}
	return component{where: where, kind: kind, raw: raw}, nil
}

// typeOf returns the "type" of an object, "" if it has none. It reads no further
// than that key, which comes first in most files: a model may be megabytes long.
func typeOf(raw json.RawMessage) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return "", errors.New("want an object")
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return "", err
		}
		if key == "type" {
			var kind string
			if err := dec.Decode(&kind); err != nil {
				return "", fmt.Errorf("type: %w", err)
			}
			return kind, nil
		}
		var skipped json.RawMessage
		if err := dec.Decode(&skipped); err != nil {
			return "", err
		}
	}
	return "", nil
}

// decode reads the component's fields into a struct that names all of them: a
// field that it does not name is an error, because it may change the ids.
func (c component) decode(into any) error {
	if err := strictJSON(c.raw, into); err != nil {
		return c.errorf("%w", err)
	}
	return nil
}

func (c component) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %s: %w", c.where, c.kind, fmt.Errorf(format, args...))
}

// unknown is the error for a type that is not implemented.
func (c component) unknown() error {
	if c.kind == "" {
		return fmt.Errorf("%s: the object has no type", c.where)
	}
	return fmt.Errorf("%s: type %q is not supported", c.where, c.kind)
}

// children opens the list of components of a Sequence.
func (c component) children(field string, list []json.RawMessage) ([]component, error) {
	if c.depth == maxDepth {
		return nil, c.errorf("more than %d levels of Sequence", maxDepth)
	}
	out := make([]component, len(list))
	for i, raw := range list {
		child, err := newComponent(fmt.Sprintf("%s.%s[%d]", c.where, field, i), raw)
		if err != nil {
			return nil, err
		}
		child.depth = c.depth + 1
		out[i] = child
	}
	return out, nil
}

// strictJSON decodes exactly one JSON value and refuses fields that the target
// does not have.
func strictJSON(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("more data after the JSON value")
	}
	return nil
}

// oneRune returns the only character of a field that must hold exactly one.
func (c component) oneRune(field, value string) (rune, error) {
	if r := []rune(value); len(r) == 1 {
		return r[0], nil
	}
	return 0, c.errorf("%s: %q: want one character", field, value)
}
