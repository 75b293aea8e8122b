package tokenizer

import (
	"errors"
	"fmt"
	"iter"
	"unicode/utf8"
)

// TrainOptions controls Train. The zero value gives 4,096 tokens.
type TrainOptions struct {
	// VocabSize is how many tokens to make at most, all of the below and the 256
	// bytes included. 0 means 4096; too few for the fixed ones is an error.
	VocabSize int `yaml:"vocab_size"`
	// MinFrequency is how often a pair must occur in the texts to be merged.
	// 0 means 2.
	MinFrequency int `yaml:"min_frequency"`
	// BOS, EOS and PAD are special tokens, ids 0, 1, 2. "" means <|bos|>,
	// <|endoftext|>, which llama.cpp knows for an end, and <|pad|>.
	BOS string `yaml:"bos"`
	EOS string `yaml:"eos"`
	PAD string `yaml:"pad"`
	// Tokens become one token each wherever they occur, within words too: class
	// labels, say. Their ids follow PAD's. None is fine.
	Tokens []string `yaml:"tokens"`
}

// withDefaults returns the options with zero values filled in.
func (o TrainOptions) withDefaults() TrainOptions {
	for _, d := range []struct {
		field *string
		value string
	}{{&o.BOS, "<|bos|>"}, {&o.EOS, "<|endoftext|>"}, {&o.PAD, "<|pad|>"}} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if o.VocabSize == 0 {
		o.VocabSize = 4096
	}
	if o.MinFrequency == 0 {
		o.MinFrequency = 2
	}
	return o
}

// Validate reports every option that Train would refuse.
func (o TrainOptions) Validate() error {
	o = o.withDefaults()
	var errs []error
	if o.MinFrequency < 0 {
		errs = append(errs, fmt.Errorf("min_frequency %d: want 1 or more", o.MinFrequency))
	}
	seen := make(map[string]bool)
	for _, token := range o.fixedTokens() {
		switch {
		case seen[token]:
			errs = append(errs, fmt.Errorf("token %q is named twice", token))
		default:
			if err := checkWholeToken(token); err != nil {
				errs = append(errs, err)
			}
		}
		seen[token] = true
	}
	if fixed := len(baseVocab(o)); o.VocabSize < fixed {
		errs = append(errs, fmt.Errorf("vocab_size %d: the bytes and the named tokens alone are %d", o.VocabSize, fixed))
	}
	return errors.Join(errs...)
}

func (o TrainOptions) fixedTokens() []string {
	return append([]string{o.BOS, o.EOS, o.PAD}, o.Tokens...)
}

// checkWholeToken refuses a token that a byte-level decoder would not give back
// as it is: its characters are also the names of bytes.
func checkWholeToken(token string) error {
	switch {
	case token == "":
		return errors.New("a token is empty")
	case !utf8.ValidString(token):
		return fmt.Errorf("token %q is not valid UTF-8", token)
	case byteLevelPiece(token, true) != token:
		return fmt.Errorf("token %q is how a byte-level vocabulary writes %q", token, byteLevelPiece(token, true))
	}
	if bytes, ok := fromByteLevel(token); ok && len(bytes) == 1 && bytes != token {
		return fmt.Errorf("token %q is how a byte-level vocabulary writes the byte 0x%02X", token, bytes[0])
	}
	return nil
}

// baseVocab is the vocabulary before any merge: named tokens, then bytes in the
// order of their characters. A byte that is also a named token has its id.
func baseVocab(o TrainOptions) []string {
	tokens := o.fixedTokens()
	named := make(map[string]bool, len(tokens))
	for _, t := range tokens {
		named[t] = true
	}
	for r, b := range runeBytes {
		if b >= 0 && !named[string(rune(r))] {
			tokens = append(tokens, string(rune(r)))
		}
	}
	return tokens
}

// Train makes a byte-level BPE of the texts: GPT-2's pre-tokenizer without a
// prefix space, every byte in the vocabulary, so that any text survives Encode
// and Decode. Encode with addSpecial puts BOS before a text. The same texts in
// any order give the same tokenizer: of equally frequent pairs the one with the
// lower ids is merged first. Texts with too few pairs give a smaller vocabulary
// than asked for.
func Train(texts iter.Seq[string], o TrainOptions) (*Tokenizer, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("train tokenizer: %w", err)
	}
	o = o.withDefaults()
	doc := newDocument{
		tokens: baseVocab(o),
		pre:    byteLevelObject(true), decoder: byteLevelObject(true),
		model: bpeObject(nil, false, false),
	}
	for id, token := range o.fixedTokens() {
		doc.added = append(doc.added, addedToken{ID: int32(id), Content: token, Special: id < 3})
	}
	doc.post = templateObject(&doc.added[0], nil)
	c := newPairCounter(doc.tokens)
	for word, n := range countWords(texts, newAddedTokens(doc.added, nil)) {
		c.addWord(word, n)
	}
	c.merge(o.VocabSize, int64(o.MinFrequency))
	doc.tokens, doc.merges = c.tokens, c.merges
	t, err := fromDocument(doc, settings{bos: o.BOS, eos: o.EOS, pad: o.PAD})
	if err != nil {
		return nil, fmt.Errorf("train tokenizer: %w", err)
	}
	return t, nil
}

// countWords counts the words that the model would see, in bytes.
func countWords(texts iter.Seq[string], added *addedTokens) map[string]int64 {
	counts := make(map[string]int64)
	for s := range texts {
		for _, p := range added.cut(text{s: lossy(s)}, nil) {
			for rest := p.s; rest != ""; {
				n := scanGPT2(rest)
				counts[rest[:n]]++
				rest = rest[n:]
			}
		}
	}
	return counts
}
