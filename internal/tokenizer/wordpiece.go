package tokenizer

import (
	"fmt"
	"io"
	"unicode/utf8"
)

// wordPiece cuts a word into the longest pieces of the vocabulary, from left to
// right, of which all but the first are written with a prefix. A word that
// cannot be cut so, or is too long, is the unknown token (Schuster and Nakajima
// 2012, as BERT does it). It is safe for concurrent use.
type wordPiece struct {
	starts, others *trie // pieces that start a word; the others, without prefix
	prefix         string
	unk            int32
	maxChars       int // longer words are unknown
}

func newWordPiece(ids map[string]int32, prefix string, unk int32, maxChars int) *wordPiece {
	m := &wordPiece{starts: newTrie(ids), prefix: prefix, unk: unk, maxChars: maxChars}
	others := ids
	if prefix != "" {
		others = make(map[string]int32)
		for token, id := range ids {
			if len(token) > len(prefix) && token[:len(prefix)] == prefix {
				others[token[len(prefix):]] = id
			}
		}
	}
	m.others = newTrie(others)
	return m
}

func (m *wordPiece) tokenize(dst []wordToken, word string) []wordToken {
	if word == "" {
		return dst
	}
	start := len(dst)
	unknown := wordToken{m.unk, int32(len(word))}
	if len(word) > m.maxChars && utf8.RuneCountInString(word) > m.maxChars {
		return append(dst, unknown)
	}
	pieces := m.starts
	for at := 0; at < len(word); {
		n, id := pieces.longest(word[at:])
		if n == 0 {
			return append(dst[:start], unknown)
		}
		at += n
		dst = append(dst, wordToken{id, int32(at)})
		pieces = m.others
	}
	return dst
}

func (m *wordPiece) digest(w io.Writer) {
	fmt.Fprintf(w, "wordpiece %d %d %q\n", m.unk, m.maxChars, m.prefix)
}

func openWordPiece(c component) (modelVocab, error) {
	f := struct {
		Type     string    `json:"type"`
		UnkToken string    `json:"unk_token"`
		Prefix   string    `json:"continuing_subword_prefix"`
		MaxChars int       `json:"max_input_chars_per_word"`
		Vocab    vocabJSON `json:"vocab"`
	}{UnkToken: "[UNK]", Prefix: "##", MaxChars: 100}
	if err := c.decode(&f); err != nil {
		return modelVocab{}, err
	}
	unk, err := c.unknownToken(f.Vocab, f.UnkToken)
	if err != nil {
		return modelVocab{}, err
	}
	if f.MaxChars < 0 {
		return modelVocab{}, c.errorf("max_input_chars_per_word %d: want a count", f.MaxChars)
	}
	return modelVocab{newWordPiece(f.Vocab, f.Prefix, unk, f.MaxChars), f.Vocab, f.UnkToken}, nil
}

// unknownToken returns the id of the unknown token of a model that needs one.
func (c component) unknownToken(ids vocabJSON, token string) (int32, error) {
	if ids == nil {
		return 0, c.errorf("the vocab is missing")
	}
	id, ok := ids[token]
	if !ok {
		return 0, c.errorf("unk_token %q is not in the vocabulary", token)
	}
	return id, nil
}

// wordLevel knows whole words only. It is safe for concurrent use.
type wordLevel struct {
	ids map[string]int32
	unk int32
}

func (m *wordLevel) tokenize(dst []wordToken, word string) []wordToken {
	if word == "" {
		return dst
	}
	id, ok := m.ids[word]
	if !ok {
		id = m.unk
	}
	return append(dst, wordToken{id, int32(len(word))})
}

func (m *wordLevel) digest(w io.Writer) { fmt.Fprintf(w, "wordlevel %d\n", m.unk) }

func openWordLevel(c component) (modelVocab, error) {
	f := struct {
		Type     string    `json:"type"`
		UnkToken string    `json:"unk_token"`
		Vocab    vocabJSON `json:"vocab"`
	}{UnkToken: "<unk>"}
	if err := c.decode(&f); err != nil {
		return modelVocab{}, err
	}
	unk, err := c.unknownToken(f.Vocab, f.UnkToken)
	if err != nil {
		return modelVocab{}, err
	}
	return modelVocab{&wordLevel{f.Vocab, unk}, f.Vocab, f.UnkToken}, nil
}
