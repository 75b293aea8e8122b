package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// BPE by merges and BPE by scores are the same only for some vocabularies. What
// decides is each token's own text: whether two symbols meet and become token T
// depends on the merges within T alone, so they meet in any text in the way in
// which they meet in T. Hence one merge per token, the last in its own text, is
// all that ever makes it, and two models that cut every token's text alike cut
// every text alike.

// ggufScored writes back a vocabulary that came from GGUF.
func (t *Tokenizer) ggufScored(v *GGUFVocab, m *scored) error {
	v.Model, v.Scores = "llama", slices.Clone(m.scores)
	t.llamaTypes(v)
	return t.spacePrefix(v)
}

// ggufLlama gives a Llama-style BPE the scores with which llama.cpp merges in
// the same order.
func (t *Tokenizer) ggufLlama(v *GGUFVocab, m *bpe) error {
	v.Model = "llama"
	t.llamaTypes(v)
	if err := t.spacePrefix(v); err != nil {
		return err
	}
	if err := checkLlamaModel(m); err != nil {
		return err
	}
	v.Scores = make([]float32, len(v.Tokens))
	for id, token := range t.vocab.tokens {
		// Tokens that no merge makes come after those that one does.
		v.Scores[id] = -float32(len(m.mergeList) + id)
		if rank, ok := m.lastMerge(token); ok {
			v.Scores[id] = -float32(rank)
		}
	}
	merging := *m
	merging.ignoreMerges, merging.cache = false, newWordCache[wordToken]()
	s := newScored(t.vocab.ids, v.Scores, t.unk)
	if err := t.sameIDs(&merging, s); err != nil || !m.ignoreMerges {
		return err
	}
	return t.sameIDs(m, s)
}

// checkLlamaModel refuses what merging by score cannot express.
func checkLlamaModel(m *bpe) error {
	switch {
	case m.prefix != "" || m.suffix != "":
		return errors.New("model: continuing_subword_prefix and end_of_word_suffix cannot be expressed")
	case !m.byteFallback:
		return errors.New("model: it is neither byte-level nor has byte_fallback, and llama.cpp always falls back to bytes")
	case len(m.mergeList) >= 1<<24:
		return fmt.Errorf("model: %d merges cannot be told apart by float32 scores", len(m.mergeList))
	}
	for b, id := range m.byteIDs {
		if id < 0 {
			return fmt.Errorf("model: there is no token %s", byteToken(byte(b)))
		}
	}
	for i, pair := range m.mergeList {
		for _, token := range pair {
			if _, isByte := parseByteToken(token); isByte {
				return fmt.Errorf("model: merge %d is of the byte token %s, which llama.cpp never merges", i, token)
			}
		}
	}
	return nil
}

// lastMerge returns the rank of the merge that completes a token when its own
// text is tokenized; ok is false if none does.
func (m *bpe) lastMerge(token string) (rank int32, ok bool) {
	ids, last := m.mergeAll(m.symbols(nil, token), 0)
	return last, len(ids) == 1 && last >= 0
}

// llamaTypes marks the unknown token and the byte tokens.
func (t *Tokenizer) llamaTypes(v *GGUFVocab) {
	for id, token := range v.Tokens {
		if _, isByte := parseByteToken(token); isByte && v.Types[id] == typeNormal {
			v.Types[id] = typeByte
		}
	}
	if t.unk >= 0 {
		v.Types[t.unk] = typeUnknown
	}
}

// spacePrefix finds out how spaces are escaped and whether text gets one before
// it, and refuses what else happens to text before the model.
func (t *Tokenizer) spacePrefix(v *GGUFVocab) error {
	steps, ok := t.normalizer.(normalizers)
	if !ok && t.normalizer != nil {
		steps = normalizers{t.normalizer}
	}
	escapes := false
	for i, step := range steps {
		switch step := step.(type) {
		case prepend:
			v.AddSpacePrefix = true
			ok = i == 0 && step.text == escapedSpace
		case replace:
			escapes = true
			ok = step.pattern.literal == " " && step.by == escapedSpace
		default:
			ok = false
		}
		if !ok {
			return errors.New("normalizer: llama.cpp does no more than to prepend a space and to write spaces as ▁")
		}
	}
	switch pre := t.pre.(type) {
	case nil:
	case metaspace:
		if err := t.checkMetaspace(pre); err != nil {
			return err
		}
		escapes = true
		v.AddSpacePrefix = v.AddSpacePrefix || pre.scheme != prependNever
	default:
		return errors.New("pre_tokenizer: llama.cpp has none for a vocabulary of this kind")
	}
	if !escapes {
		return errors.New("normalizer: llama.cpp writes spaces as ▁, and this tokenizer does not")
	}
	return nil
}

// checkMetaspace accepts one that cuts nowhere where a token could be.
func (t *Tokenizer) checkMetaspace(m metaspace) error {
	if m.replacement != escapedSpace {
		return fmt.Errorf("pre_tokenizer: Metaspace: llama.cpp writes spaces as ▁, not as %q", m.replacement)
	}
	if !m.split {
		return nil
	}
	for id, token := range t.vocab.tokens {
		if _, added := t.added.byID[int32(id)]; !added && strings.LastIndex(token, escapedSpace) > 0 {
			return fmt.Errorf("pre_tokenizer: Metaspace: it cuts before spaces and llama.cpp does not, which changes the token %q", token)
		}
	}
	return nil
}

// sameIDs reports a token whose text the two models cut differently.
func (t *Tokenizer) sameIDs(merging *bpe, scoring *scored) error {
	var a, b []wordToken
	for id, token := range t.vocab.tokens {
		if _, added := t.added.byID[int32(id)]; added {
			continue // its text never reaches the model
		}
		a, b = merging.tokenize(a[:0], token), scoring.tokenize(b[:0], token)
		if !slices.Equal(a, b) {
			return fmt.Errorf("model: merging by rank and by score differ for the text of the token %q", token)
		}
	}
	return nil
}
