package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// vocab is the two-way table of tokens, added tokens included.
type vocab struct {
	ids    map[string]int32
	tokens []string // by id; "" where known is false
	known  []bool   // false for an id that no token has
}

// maxHoles is how many more ids than tokens a vocabulary may span. Real ones
// leave a few out; a stray large id must not cost memory.
const maxHoles = 1 << 16

// newVocab builds the table. No two tokens may share an id.
func newVocab(ids map[string]int32) (vocab, error) {
	largest := int32(-1)
	for _, id := range ids {
		largest = max(largest, id)
	}
	if int(largest) >= len(ids)+maxHoles {
		return vocab{}, fmt.Errorf("vocabulary: the largest id is %d but there are only %d tokens", largest, len(ids))
	}
	v := vocab{ids: ids, tokens: make([]string, largest+1), known: make([]bool, largest+1)}
	for token, id := range ids {
		if v.known[id] {
			pair := []string{token, v.tokens[id]}
			slices.Sort(pair)
			return vocab{}, fmt.Errorf("vocabulary: tokens %q and %q both have id %d", pair[0], pair[1], id)
		}
		v.tokens[id], v.known[id] = token, true
	}
	return v, nil
}

func (v vocab) token(id int32) (string, bool) {
	if id < 0 || int(id) >= len(v.tokens) || !v.known[id] {
		return "", false
	}
	return v.tokens[id], true
}

// vocabJSON reads {"token": id, …} and, unlike a map, refuses a token that is
// listed twice.
type vocabJSON map[string]int32

// UnmarshalJSON decodes the object at once and, where that fails or loses an
// entry, again step by step to say which entry is at fault.
func (v *vocabJSON) UnmarshalJSON(data []byte) error {
	entries := countColons(data)
	ids := make(map[string]int32, entries)
	if err := json.Unmarshal(data, &ids); err != nil || len(ids) != entries {
		return explainVocab(data)
	}
	for token, id := range ids {
		if id < 0 {
			return fmt.Errorf("vocab: token %q: id %d is out of range", token, id)
		}
	}
	*v = ids
	return nil
}

// countColons counts the colons outside strings: the entries of an object that
// holds numbers only. data is valid JSON.
func countColons(data []byte) (n int) {
	inString := false
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			inString = !inString
		case '\\':
			i++ // only strings hold one, and what follows does not end them
		case ':':
			if !inString {
				n++
			}
		}
	}
	return n
}

// explainVocab returns what is wrong with the first faulty entry.
func explainVocab(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return errors.New("vocab: want an object of tokens and ids")
	}
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		key := fmt.Sprint(token)
		value, err := dec.Token()
		if err != nil {
			return err
		}
		number, ok := value.(json.Number)
		if !ok {
			return fmt.Errorf("vocab: token %q: id is %v, want a number", key, value)
		}
		if id, err := number.Int64(); err != nil || id < 0 || id > math.MaxInt32 {
			return fmt.Errorf("vocab: token %q: id %s is out of range", key, number)
		}
		if seen[key] {
			return fmt.Errorf("vocab: token %q is listed twice", key)
		}
		seen[key] = true
	}
	return errors.New("vocab: want an object of tokens and ids")
}
