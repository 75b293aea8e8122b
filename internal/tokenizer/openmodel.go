package tokenizer

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// model turns one word into ids. It is safe for concurrent use.
type model interface {
	// tokenize appends the tokens of a word to dst.
	tokenize(dst []wordToken, word string) []wordToken
	// digest writes what tokenize depends on besides the vocabulary.
	digest(w io.Writer)
}

// modelVocab is a model together with its part of the vocabulary.
type modelVocab struct {
	model model
	ids   map[string]int32
	unk   string // the unknown token, "" for none
}

func parseModel(raw json.RawMessage) (modelVocab, error) {
	if isNull(raw) {
		return modelVocab{}, fmt.Errorf("model: missing")
	}
	c, err := newComponent("model", raw)
	if err != nil {
		return modelVocab{}, err
	}
	if c.kind == "" {
		c.kind = kindOfModel(raw)
	}
	switch c.kind {
	case "BPE":
		return openBPE(c)
	case "Unigram":
		return openUnigram(c)
	case "WordPiece":
		return openWordPiece(c)
	case "WordLevel":
		return openWordLevel(c)
	}
	return modelVocab{}, c.unknown()
}

// kindOfModel tells a model of an old file, which has no type, by the fields that
// no other has.
func kindOfModel(raw json.RawMessage) string {
	var has struct {
		Merges   json.RawMessage `json:"merges"`
		UnkID    json.RawMessage `json:"unk_id"`
		MaxChars json.RawMessage `json:"max_input_chars_per_word"`
	}
	switch err := json.Unmarshal(raw, &has); {
	case err != nil:
	case !isNull(has.Merges):
		return "BPE"
	case !isNull(has.UnkID):
		return "Unigram"
	case !isNull(has.MaxChars):
		return "WordPiece"
	}
	return ""
}

func openBPE(c component) (modelVocab, error) {
	var f struct {
		Type         string     `json:"type"`
		Dropout      *float64   `json:"dropout"`
		UnkToken     *string    `json:"unk_token"`
		Prefix       string     `json:"continuing_subword_prefix"`
		Suffix       string     `json:"end_of_word_suffix"`
		FuseUnk      bool       `json:"fuse_unk"`
		ByteFallback bool       `json:"byte_fallback"`
		IgnoreMerges bool       `json:"ignore_merges"`
		Vocab        vocabJSON  `json:"vocab"`
		Merges       mergesJSON `json:"merges"`
	}
	if err := c.decode(&f); err != nil {
		return modelVocab{}, err
	}
	switch {
	case f.Dropout != nil && *f.Dropout != 0:
		return modelVocab{}, c.errorf("dropout %g: random tokenization is not supported", *f.Dropout)
	case f.Vocab == nil:
		return modelVocab{}, c.errorf("the vocab is missing")
	}
	m := &bpe{
		ids: f.Vocab, byteIDs: lookupByteTokens(f.Vocab), unk: -1, fuseUnk: f.FuseUnk,
		byteFallback: f.ByteFallback, ignoreMerges: f.IgnoreMerges,
		prefix: f.Prefix, suffix: f.Suffix, cache: newWordCache[wordToken](),
	}
	out := modelVocab{model: m, ids: f.Vocab}
	if f.UnkToken != nil {
		id, ok := f.Vocab[*f.UnkToken]
		if !ok {
			return modelVocab{}, c.errorf("unk_token %q is not in the vocabulary", *f.UnkToken)
		}
		m.unk, out.unk = id, *f.UnkToken
	}
	if err := m.addMerges(f.Merges); err != nil {
		return modelVocab{}, c.errorf("%w", err)
	}
	return out, nil
}

// mergesJSON reads merges written as "a b" or, since tokens may hold spaces, as
// ["a","b"].
type mergesJSON [][2]string

// UnmarshalJSON reads a list of either form.
func (m *mergesJSON) UnmarshalJSON(data []byte) error {
	var lines []string
	if json.Unmarshal(data, &lines) == nil {
		list := make(mergesJSON, 0, len(lines))
		for i, line := range lines {
			left, right, ok := strings.Cut(line, " ")
			switch {
			case strings.HasPrefix(line, "#version"):
			case !ok || strings.Contains(right, " "):
				return fmt.Errorf("merges: entry %d: %.60q: want two tokens", i, line)
			default:
				list = append(list, [2]string{left, right})
			}
		}
		*m = list
		return nil
	}
	var pairs [][]string
	if err := json.Unmarshal(data, &pairs); err != nil {
		return fmt.Errorf("merges: want a list of \"a b\" or of pairs: %w", err)
	}
	list := make(mergesJSON, len(pairs))
	for i, pair := range pairs {
		if len(pair) != 2 {
			return fmt.Errorf("merges: entry %d: %.60q: want two tokens", i, pair)
		}
		list[i] = [2]string(pair)
	}
	*m = list
	return nil
}
