package model_test

import (
	"reflect"
	"testing"

	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
)

func TestVocabDefaults(t *testing.T) {
	none := tokenizer.GGUFVocab{Tokens: []string{"a", "b", "c"}, BOS: -1, EOS: -1, PAD: -1, UNK: -1}
	with := func(change func(v *tokenizer.GGUFVocab)) tokenizer.GGUFVocab {
		v := none
		change(&v)
		return v
	}
	cases := []struct {
		name string
		meta map[string]any
		want tokenizer.GGUFVocab
	}{
		{"gpt2", map[string]any{"model": "gpt2"}, with(func(v *tokenizer.GGUFVocab) { v.Model = "gpt2" })},
		{"llama", map[string]any{"model": "llama"}, with(func(v *tokenizer.GGUFVocab) {
			v.Model, v.BOS, v.EOS, v.UNK, v.AddBOS, v.AddSpacePrefix = "llama", 1, 2, 0, true, true
		})},
		{"llama-bpe", map[string]any{"model": "gpt2", "pre": "llama-bpe"}, with(func(v *tokenizer.GGUFVocab) {
			v.Model, v.Pre, v.AddBOS = "gpt2", "llama-bpe", true
		})},
		{"t5", map[string]any{"model": "t5", "remove_extra_whitespaces": true, "precompiled_charsmap": []int8{-1, 2}}, with(func(v *tokenizer.GGUFVocab) {
			v.Model, v.EOS, v.UNK, v.PAD, v.AddEOS, v.RemoveExtraSpaces, v.Charsmap = "t5", 1, 2, 0, true, true, []byte{255, 2}
		})},
		{"bert", map[string]any{"model": "bert", "seperator_token_id": uint32(2)}, with(func(v *tokenizer.GGUFVocab) {
			v.Model, v.BOS, v.UNK, v.SEP, v.PAD, v.AddBOS = "bert", 101, 100, 2, 0, true
		})},
		{"given", map[string]any{"model": "llama", "add_bos_token": false, "add_space_prefix": false, "add_eos_token": true, "bos_token_id": uint32(0),
			"scores": []float32{1, 2, 3}, "token_type": []int32{1, 3, 6}, "merges": []string{"a b"}}, with(func(v *tokenizer.GGUFVocab) {
			v.Model, v.BOS, v.EOS, v.UNK, v.AddEOS = "llama", 0, 2, 0, true
			v.Scores, v.Types, v.Merges = []float32{1, 2, 3}, []int32{1, 3, 6}, []string{"a b"}
		})},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := &ggufFile{}
			f.set("tokenizer.ggml.tokens", none.Tokens)
			for key, v := range c.meta {
				f.set("tokenizer.ggml."+key, v)
			}
			got, err := model.Vocab(f.write(t))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("Vocab = %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestVocabRefuses(t *testing.T) {
	cases := []struct {
		name string
		meta map[string]any
		want string
	}{
		{"none", nil, "it has no vocabulary"},
		{"llama.cpp's name for none", map[string]any{"tokenizer.ggml.model": "no_vocab"}, "it has no vocabulary"},
		{"types of another kind", map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.token_type": []uint32{1}}, "tokenizer.ggml.token_type: is []uint32"},
		{"id outside", map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.eos_token_id": uint32(0)}, "tokenizer.ggml.eos_token_id: 0: the vocabulary has 0"},
		{"flag as number", map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.add_bos_token": uint8(1)}, "tokenizer.ggml.add_bos_token: is uint8"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := &ggufFile{}
			for key, v := range c.meta {
				f.set(key, v)
			}
			path := f.write(t)
			_, err := model.Vocab(path)
			fails(t, err, c.want, path)
		})
	}
}
