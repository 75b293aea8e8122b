package quantize

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
)

const (
	typeNormal = int32(1) // tokenizer.ggml.token_type
	typeUnused = int32(5)
	// unusedScore lies under those of all tokens that text can become.
	unusedScore = float32(-1e6)
)

// vocabulary is the tokenizer's part of the metadata.
type vocabulary struct {
	keys  []gguf.KV
	notes []string
}

// vocabMetadata fills v up to the rows of the embedding and gives its keys.
func vocabMetadata(c *model.Config, v tokenizer.GGUFVocab) (*vocabulary, error) {
	if err := checkVocab(c, v); err != nil {
		return nil, fmt.Errorf("vocabulary: %w", err)
	}
	if v.Types == nil {
		v.Types = slices.Repeat([]int32{typeNormal}, len(v.Tokens))
	}
	if err := fillUp(c.VocabSize, &v); err != nil {
		return nil, fmt.Errorf("vocabulary: %w", err)
	}
	var out vocabulary
	key := func(name string, value any) { out.keys = append(out.keys, gguf.KV{Key: name, Value: value}) }
	key("tokenizer.ggml.model", v.Model)
	if v.Pre != "" {
		key("tokenizer.ggml.pre", v.Pre)
	}
	key("tokenizer.ggml.tokens", v.Tokens)
	key("tokenizer.ggml.token_type", v.Types)
	if v.Scores != nil {
		key("tokenizer.ggml.scores", v.Scores)
	}
	if v.Model == "gpt2" { // required, if empty
		key("tokenizer.ggml.merges", v.Merges)
	}
	out.specialTokens(c, v)
	key("tokenizer.ggml.add_bos_token", v.AddBOS)
	key("tokenizer.ggml.add_eos_token", v.AddEOS)
	if v.Model == "llama" {
		key("tokenizer.ggml.add_space_prefix", v.AddSpacePrefix)
	}
	if v.ChatTemplate != "" {
		key("tokenizer.chat_template", v.ChatTemplate)
	}
	return &out, nil
}

// vocabName is the general.name with which llama.cpp tokenizes as v does.
func vocabName(name string, v tokenizer.GGUFVocab) (string, error) {
	switch named := tokenizer.NamedPhi3(name); {
	case v.Phi3 && !named:
		return name + " (Phi-3)", nil
	case named && !v.Phi3:
		return "", fmt.Errorf("name: %q: llama.cpp drops spaces after the special tokens of a model named so, and this one's tokenizer does not", name)
	}
	return name, nil
}

// checkVocab refuses a vocabulary that readers would not take for this model.
func checkVocab(c *model.Config, v tokenizer.GGUFVocab) error {
	n := len(v.Tokens)
	switch {
	case v.Model != "gpt2" && v.Model != "llama":
		return fmt.Errorf("model %q: want gpt2 or llama", v.Model)
	case n == 0:
		return errors.New("it has no tokens")
	case n > c.VocabSize:
		return fmt.Errorf("%d tokens, the model has embeddings for %d", n, c.VocabSize)
	case v.Types != nil && len(v.Types) != n:
		return fmt.Errorf("%d token types for %d tokens", len(v.Types), n)
	case v.Scores != nil && len(v.Scores) != n:
		return fmt.Errorf("%d scores for %d tokens", len(v.Scores), n)
	case v.Model == "llama" && v.Scores == nil:
		return errors.New("no scores, which a llama vocabulary needs")
	}
	if v.EOS < 0 && len(c.EOS) == 0 {
		return errors.New("no token ends an answer: llama.cpp would take some other token for that")
	}
	if v.AddBOS && v.BOS < 0 || v.AddEOS && v.EOS < 0 {
		return errors.New("a text is to begin or end with a special token, and none is named")
	}
	for _, id := range []int32{v.BOS, v.EOS, v.PAD, v.UNK} {
		if id < -1 || int(id) >= n {
			return fmt.Errorf("special token %d of %d tokens", id, n)
		}
	}
	for id, token := range v.Tokens {
		if !utf8.ValidString(token) {
			return fmt.Errorf("token %d is not valid UTF-8: %q", id, token)
		}
	}
	return nil
}

// fillUp appends unused tokens until there are n.
func fillUp(n int, v *tokenizer.GGUFVocab) error {
	have := len(v.Tokens)
	if have == n {
		return nil
	}
	ids := make(map[string]int, have)
	for id, token := range v.Tokens {
		ids[token] = id
	}
	v.Tokens, v.Types, v.Scores = slices.Clone(v.Tokens), slices.Clone(v.Types), slices.Clone(v.Scores)
	for id := have; id < n; id++ {
		name := fmt.Sprintf("[PAD%d]", id)
		if taken, ok := ids[name]; ok {
			return fmt.Errorf("token %d is %s, the name that the unused token %d needs", taken, name, id)
		}
		v.Tokens = append(v.Tokens, name)
		v.Types = append(v.Types, typeUnused)
		if v.Scores != nil {
			v.Scores = append(v.Scores, unusedScore)
		}
	}
	return nil
}

// specialTokens adds the keys of token ids: the tokenizer's, and where it has
// none the configuration's. Readers stop at the tokens that end a text, a turn
// and a message; ends past those three have no key.
func (out *vocabulary) specialTokens(c *model.Config, v tokenizer.GGUFVocab) {
	id := func(key string, ids ...int32) {
		for _, id := range ids {
			if id >= 0 {
				out.keys = append(out.keys, gguf.KV{Key: "tokenizer.ggml." + key, Value: uint32(id)})
				return
			}
		}
	}
	id("bos_token_id", v.BOS, c.BOS)
	id("padding_token_id", v.PAD, c.PAD)
	id("unknown_token_id", v.UNK)
	var ends []int32
	for _, end := range append([]int32{v.EOS}, c.EOS...) {
		if end >= 0 && !slices.Contains(ends, end) {
			ends = append(ends, end)
		}
	}
	for i, key := range []string{"eos_token_id", "eot_token_id", "eom_token_id"} {
		if i < len(ends) {
			id(key, ends[i])
		}
	}
	if len(ends) > 3 {
		out.notes = append(out.notes, fmt.Sprintf("tokens %v end an answer too, which no key of the format says", ends[3:]))
	}
}
