package safetensors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// encoding/json keeps the last of duplicate keys and reads null as anything,
// in silence, so headers and indexes are read token by token.

// newDecoder returns a decoder of text, which is one complete JSON value.
func newDecoder(text []byte) (*json.Decoder, error) {
	var whole json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil {
		return nil, fmt.Errorf("JSON: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return dec, nil
}

// readObject reads an object: it calls field, which reads the value, for each
// key, and refuses duplicates.
func readObject(dec *json.Decoder, field func(key string) error) error {
	if err := readDelim(dec, '{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for dec.More() {
		key, err := readString(dec)
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("duplicate key %q", key)
		}
		seen[key] = true
		if err := field(key); err != nil {
			return err
		}
	}
	return readDelim(dec, '}')
}

// readStrings reads an object of strings into m.
func readStrings(dec *json.Decoder, m map[string]string) error {
	return readObject(dec, func(key string) (err error) {
		if m[key], err = readString(dec); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
		return nil
	})
}

// readSizes reads an array of non-negative integers.
func readSizes(dec *json.Decoder) ([]int, error) {
	if err := readDelim(dec, '['); err != nil {
		return nil, err
	}
	sizes := []int{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		number, ok := token.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%v is not a number", token)
		}
		n, err := strconv.ParseUint(number.String(), 10, 64)
		if err != nil || n > math.MaxInt {
			return nil, fmt.Errorf("%s is not a size", number)
		}
		sizes = append(sizes, int(n))
	}
	return sizes, readDelim(dec, ']')
}

func readString(dec *json.Decoder) (string, error) {
	token, err := dec.Token()
	if err != nil {
		return "", err
	}
	s, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("%v is not a string", token)
	}
	return s, nil
}

func readDelim(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("%v in place of %v", token, want)
	}
	return nil
}
