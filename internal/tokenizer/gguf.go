package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// GGUFVocab is the vocabulary of a GGUF file: the values of its
// tokenizer.ggml.* keys (ggml-org/ggml, docs/gguf.md) under the same names.
//
// Where a file lacks a key, llama.cpp has defaults that the reader of the file
// must fill in: for the model "llama" UNK 0, BOS 1, EOS 2, AddBOS and
// AddSpacePrefix true; for "bert" UNK 100, BOS 101, SEP 102, PAD 0 and AddBOS true;
// for "t5" PAD 0, EOS 1, UNK 2 and AddEOS true; for "gpt2" AddBOS as [PreAddsBOS]
// says; else -1 and false.
type GGUFVocab struct {
	// Model is "gpt2" (byte-level BPE), "llama" (SentencePiece BPE), "bert"
	// (WordPiece) or "t5" (SentencePiece Unigram).
	Model             string
	Pre               string    // pre-tokenizer of a gpt2 vocabulary, "" for the others
	Tokens            []string  // by id
	Types             []int32   // by id, see the constants; nil means all are normal
	Scores            []float32 // by id, of a llama or t5 vocabulary
	Merges            []string  // "a b" by rank, of a gpt2 vocabulary
	BOS, EOS          int32     // ids; -1 for none, as for PAD and UNK
	PAD, UNK          int32
	AddBOS, AddEOS    bool
	AddSpacePrefix    bool   // of a llama or t5 vocabulary: text starts with a space
	SEP               int32  // of a bert vocabulary: the token after a text; ignored for the others
	RemoveExtraSpaces bool   // of a t5 vocabulary: spaces at the ends, and all but one within
	Charsmap          []byte // of a t5 vocabulary: SentencePiece's compiled normalization
	ChatTemplate      string // "" for none
	Phi3              bool   // of a file whose general.name NamedPhi3 accepts: see there
}

// Token types of GGUF.
const (
	typeNormal      = 1
	typeUnknown     = 2
	typeControl     = 3
	typeUserDefined = 4
	typeUnused      = 5
	typeByte        = 6
)

// escapedSpace is how SentencePiece writes a space.
const escapedSpace = "▁"

// GGUF returns what a GGUF file must contain so that llama.cpp gives the same
// ids for the same text, or an error that names the part of the tokenizer which
// llama.cpp would not apply.
//
// Two differences are accepted, since no key can express them and common models
// have them: llama.cpp does not apply the normalizer NFC, so text must be in that
// form already; and a Metaspace pre-tokenizer puts no space before text that
// starts with one, and with prepend_scheme "first" none after a special token,
// where llama.cpp does.
func (t *Tokenizer) GGUF() (GGUFVocab, error) {
	v := GGUFVocab{
		BOS: t.bos, EOS: t.eos, PAD: t.pad, UNK: t.unk,
		ChatTemplate: t.settings.chatTemplate,
	}
	err := t.ggufTokens(&v)
	if err == nil {
		switch m := t.model.(type) {
		case *scored:
			err = t.ggufScored(&v, m)
		case *bpe:
			if decodesBytes(t.decoder) {
				err = t.ggufByteLevel(&v, m)
			} else {
				err = t.ggufLlama(&v, m)
			}
		default:
			err = fmt.Errorf("models of the kind %T are not supported", m)
		}
	}
	if err != nil {
		return GGUFVocab{}, fmt.Errorf("tokenizer for GGUF: %w", err)
	}
	return v, nil
}

// decodesBytes reports whether the decoder is ByteLevel.
func decodesBytes(d decoder) bool {
	if list, ok := d.(decoders); ok && len(list) == 1 {
		d = list[0]
	}
	_, ok := d.(byteLevelDecoder)
	return ok
}

func isNFC(n normalizer) bool {
	form, ok := n.(unicodeForm)
	return ok && form.form == norm.NFC
}

// ggufTokens fills in the tokens, their types, and what goes around a text.
func (t *Tokenizer) ggufTokens(v *GGUFVocab) error {
	v.Phi3 = t.stripsAsPhi3()
	var ok bool
	if v.AddBOS, v.AddEOS, ok = t.addsAround(); !ok {
		return errors.New("post_processor: it adds more than BOS before a text and EOS after it")
	}
	v.Tokens = slices.Clone(t.vocab.tokens)
	v.Types = make([]int32, len(v.Tokens))
	for id := range v.Tokens {
		a, added := t.added.byID[int32(id)]
		switch {
		case !t.vocab.known[id]:
			v.Types[id] = typeUnused
			v.Tokens[id] = fmt.Sprintf("[PAD%d]", id)
			if _, taken := t.vocab.ids[v.Tokens[id]]; taken {
				return fmt.Errorf("vocabulary: no token has id %d and its place holder %s is a token", id, v.Tokens[id])
			}
		case !added:
			v.Types[id] = typeNormal
		case a.LStrip || a.RStrip && !v.Phi3 || a.SingleWord:
			return fmt.Errorf("added token %q: lstrip, rstrip and single_word cannot be expressed", a.Content)
		case a.Normalized && t.normalizer != nil && !isNFC(t.normalizer):
			return fmt.Errorf("added token %q: looking for it in normalized text cannot be expressed", a.Content)
		case a.Special:
			v.Types[id] = typeControl
		default:
			v.Types[id] = typeUserDefined
		}
	}
	return nil
}

func (t *Tokenizer) ggufByteLevel(v *GGUFVocab, m *bpe) error {
	v.Model = "gpt2"
	if t.normalizer != nil && !isNFC(t.normalizer) {
		return errors.New("normalizer: llama.cpp applies none to a byte-level vocabulary")
	}
	if m.prefix != "" || m.suffix != "" {
		return errors.New("model: continuing_subword_prefix and end_of_word_suffix cannot be expressed")
	}
	for b, r := range byteRunes {
		// Without an unknown token such a byte is dropped, here and there.
		if _, ok := m.ids[string(r)]; !ok && m.unk >= 0 {
			return fmt.Errorf("model: no token for the byte 0x%02X, and llama.cpp would not write unk_token for it", b)
		}
	}
	pre, ok := recognizePre(t.pre)
	if !ok {
		return errors.New("pre_tokenizer: llama.cpp has none that cuts in the same way")
	}
	v.Pre = pre.names[0]
	if pre.ignoreMerges != m.ignoreMerges {
		if token, ok := t.unreachable(m); ok {
			return fmt.Errorf("model: ignore_merges is %t but llama.cpp sets it to %t for %s, which changes the token %q",
				m.ignoreMerges, pre.ignoreMerges, v.Pre, token)
		}
	}
	v.Merges = make([]string, len(m.mergeList))
	for i, pair := range m.mergeList {
		if strings.Contains(pair[0]+pair[1], " ") {
			return fmt.Errorf("model: merge %d: a token with a space cannot be expressed", i)
		}
		v.Merges[i] = pair[0] + " " + pair[1]
	}
	return nil
}

// unreachable returns a token that the merges do not make of its own text.
func (t *Tokenizer) unreachable(m *bpe) (string, bool) {
	var ids []wordToken
	for id, token := range t.vocab.tokens {
		if _, added := t.added.byID[int32(id)]; added || !t.vocab.known[id] {
			continue
		}
		if ids, _ = m.mergeAll(m.symbols(ids[:0], token), 0); len(ids) != 1 {
			return token, true
		}
	}
	return "", false
}
