package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/tokenizer"
)

// Vocab reads the tokenizer's keys of the GGUF file at path, with llama.cpp's
// defaults for those that are missing. A file without a vocabulary is an error.
func Vocab(path string) (v tokenizer.GGUFVocab, err error) {
	f, err := gguf.Open(path)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if v, err = readVocab(f.Metadata()); err != nil {
		return v, fmt.Errorf("read %s: %w", path, err)
	}
	if v.Model == "" || v.Model == noVocab {
		return v, fmt.Errorf("read %s: it has no vocabulary", path)
	}
	return v, nil
}

const (
	vocabPrefix = "tokenizer.ggml."
	noVocab     = "no_vocab" // llama.cpp's tokenizer.ggml.model of a file without one
)

// readVocab reads the vocabulary; without one, Model is empty or noVocab.
func readVocab(meta gguf.Metadata) (tokenizer.GGUFVocab, error) {
	r := vocabReader{meta: meta}
	v := tokenizer.GGUFVocab{
		Model:        value[string](&r, vocabPrefix+"model", ""),
		Pre:          value[string](&r, vocabPrefix+"pre", ""),
		Tokens:       value[[]string](&r, vocabPrefix+"tokens", nil),
		Types:        value[[]int32](&r, vocabPrefix+"token_type", nil),
		Scores:       value[[]float32](&r, vocabPrefix+"scores", nil),
		Merges:       value[[]string](&r, vocabPrefix+"merges", nil),
		ChatTemplate: value[string](&r, "tokenizer.chat_template", ""),
		Phi3:         tokenizer.NamedPhi3(value[string](&r, "general.name", "")),
	}
	v.BOS, v.EOS, v.PAD, v.UNK = -1, -1, -1, -1
	switch v.Model {
	case "llama":
		v.BOS, v.EOS, v.UNK, v.AddBOS, v.AddSpacePrefix = 1, 2, 0, true, true
	case "bert":
		v.BOS, v.UNK, v.SEP, v.PAD, v.AddBOS = 101, 100, 102, 0, true
	case "t5":
		v.EOS, v.UNK, v.PAD, v.AddEOS = 1, 2, 0, true
	case "gpt2":
		v.AddBOS = tokenizer.PreAddsBOS(v.Pre)
	}
	v.BOS = r.id("bos_token_id", v.BOS, len(v.Tokens))
	v.EOS = r.id("eos_token_id", v.EOS, len(v.Tokens))
	v.PAD = r.id("padding_token_id", v.PAD, len(v.Tokens))
	v.UNK = r.id("unknown_token_id", v.UNK, len(v.Tokens))
	if v.Model == "bert" {
		v.SEP = r.id("seperator_token_id", v.SEP, len(v.Tokens)) // the format's spelling
	}
	v.AddBOS = value(&r, vocabPrefix+"add_bos_token", v.AddBOS)
	v.AddEOS = value(&r, vocabPrefix+"add_eos_token", v.AddEOS)
	v.AddSpacePrefix = value(&r, vocabPrefix+"add_space_prefix", v.AddSpacePrefix)
	v.RemoveExtraSpaces = value(&r, vocabPrefix+"remove_extra_whitespaces", false)
	v.Charsmap = r.bytes("precompiled_charsmap")
	return v, r.err
}

// endTokens are the tokens that end an answer: the end of a text, and of a turn
// or message where the file names one.
func endTokens(meta gguf.Metadata, v tokenizer.GGUFVocab) ([]int32, error) {
	r := vocabReader{meta: meta}
	var ids []int32
	for _, id := range []int32{v.EOS, r.id("eot_token_id", -1, len(v.Tokens)), r.id("eom_token_id", -1, len(v.Tokens))} {
		if id >= 0 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, r.err
}

// vocabReader reads keys and keeps the first error.
type vocabReader struct {
	meta gguf.Metadata
	err  error
}

// value is the value of key, or otherwise if it is missing.
func value[T gguf.Value](r *vocabReader, key string, otherwise T) T {
	v, ok, err := gguf.Get[T](r.meta, key)
	if r.err == nil {
		r.err = err
	}
	if !ok {
		return otherwise
	}
	return v
}

// bytes is the value of a key that is an array of unsigned or of signed bytes.
func (r *vocabReader) bytes(key string) []byte {
	if signed, ok, err := gguf.Get[[]int8](r.meta, vocabPrefix+key); ok && err == nil {
		out := make([]byte, len(signed))
		for i, b := range signed {
			out[i] = byte(b)
		}
		return out
	}
	return value[[]uint8](r, vocabPrefix+key, nil)
}

// id is the token id of a key, one of n tokens.
func (r *vocabReader) id(key string, otherwise int32, n int) int32 {
	id, ok, err := r.meta.Int(vocabPrefix + key)
	if err == nil && ok && (id < 0 || id >= int64(n)) {
		err = fmt.Errorf("metadata %s%s: %d: the vocabulary has %d tokens", vocabPrefix, key, id, n)
	}
	if r.err == nil {
		r.err = err
	}
	if !ok || err != nil {
		return otherwise
	}
	return int32(id)
}
