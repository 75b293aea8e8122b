package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// FromGGUF returns the tokenizer that llama.cpp makes of a vocabulary. As in
// [Tokenizer.Encode] special tokens in a text are always found, which llama.cpp
// does only on request.
func FromGGUF(v GGUFVocab) (*Tokenizer, error) {
	t, err := fromGGUF(v)
	if err != nil {
		return nil, fmt.Errorf("tokenizer from GGUF: %w", err)
	}
	return t, nil
}

func fromGGUF(v GGUFVocab) (*Tokenizer, error) {
	ids, err := v.check()
	if err != nil {
		return nil, err
	}
	doc := newDocument{tokens: v.Tokens, added: v.addedTokens()}
	if doc.post, err = v.postProcessor(); err != nil {
		return nil, err
	}
	if v.Model == "bert" {
		if v.Tokens, err = v.wordPieces(); err != nil {
			return nil, err
		}
		doc.tokens, doc.added = v.Tokens, v.addedTokens()
	}
	s := settings{
		bos: v.name(v.BOS), eos: v.name(v.EOS), pad: v.name(v.PAD), unk: v.name(v.UNK),
		chatTemplate: v.ChatTemplate,
	}
	switch v.Model {
	case "gpt2":
		if err := v.byteLevelDocument(&doc); err != nil {
			return nil, err
		}
		return fromDocument(doc, s)
	case "llama":
		if len(v.Scores) != len(v.Tokens) {
			return nil, fmt.Errorf("%d scores for %d tokens", len(v.Scores), len(v.Tokens))
		}
		m := newScored(ids, slices.Clone(v.Scores), v.UNK)
		v.llamaDocument(&doc, m)
		t, err := fromDocument(doc, s)
		if err != nil {
			return nil, err
		}
		t.setModel(m)
		return t, nil
	case "bert":
		if err := v.wordPieceDocument(&doc); err != nil {
			return nil, err
		}
		return fromDocument(doc, s)
	case "t5":
		return v.unigram(s, doc.post)
	}
	return nil, fmt.Errorf("model %q is not supported", v.Model)
}

func fromDocument(doc newDocument, s settings) (*Tokenizer, error) {
	source, err := doc.encode()
	if err != nil {
		return nil, err
	}
	return parse(source, s)
}

// check validates the arrays against each other and returns the ids by token.
func (v GGUFVocab) check() (map[string]int32, error) {
	if len(v.Tokens) == 0 {
		return nil, errors.New("it has no tokens")
	}
	if v.Types != nil && len(v.Types) != len(v.Tokens) {
		return nil, fmt.Errorf("%d token types for %d tokens", len(v.Types), len(v.Tokens))
	}
	ids := make(map[string]int32, len(v.Tokens))
	for id, token := range v.Tokens {
		if !utf8.ValidString(token) {
			return nil, fmt.Errorf("token %d is not valid UTF-8: %q", id, token)
		}
		if other, twice := ids[token]; twice {
			return nil, fmt.Errorf("tokens %d and %d are both %q", other, id, token)
		}
		ids[token] = int32(id)
	}
	for _, named := range []struct {
		role string
		id   int32
	}{{"BOS", v.BOS}, {"EOS", v.EOS}, {"PAD", v.PAD}, {"UNK", v.UNK}} {
		if named.id < -1 || int(named.id) >= len(v.Tokens) {
			return nil, fmt.Errorf("%s is token %d of %d", named.role, named.id, len(v.Tokens))
		}
	}
	return ids, nil
}

// name returns the token with an id that check has seen, "" for -1.
func (v GGUFVocab) name(id int32) string {
	if id < 0 {
		return ""
	}
	return v.Tokens[id]
}

// addedTokens are those that are found in text as a whole.
func (v GGUFVocab) addedTokens() []addedToken {
	var out []addedToken
	for id, kind := range v.Types {
		if kind == typeControl || kind == typeUnknown || kind == typeUserDefined {
			out = append(out, addedToken{ID: int32(id), Content: v.Tokens[id], Special: kind != typeUserDefined,
				RStrip: v.Phi3 && !slices.Contains(phi3Keeps, v.Tokens[id])})
		}
	}
	return out
}

func (v GGUFVocab) postProcessor() (any, error) {
	var bos, eos *addedToken
	if v.AddBOS {
		if v.BOS < 0 {
			return nil, errors.New("a BOS token is to be added and none is named")
		}
		bos = &addedToken{ID: v.BOS, Content: v.Tokens[v.BOS]}
	}
	if v.AddEOS {
		if v.EOS < 0 {
			return nil, errors.New("an EOS token is to be added and none is named")
		}
		eos = &addedToken{ID: v.EOS, Content: v.Tokens[v.EOS]}
	}
	if bos == nil && eos == nil {
		return nil, nil
	}
	return templateObject(bos, eos), nil
}

// byteLevelDocument describes a vocabulary of the kind "gpt2".
func (v GGUFVocab) byteLevelDocument(doc *newDocument) error {
	pre, ok := findPre(v.Pre)
	if !ok {
		return fmt.Errorf("pre-tokenizer %q is not supported", v.Pre)
	}
	doc.pre, doc.decoder = pre.object(), byteLevelObject(true)
	doc.model = bpeObject(nil, false, pre.ignoreMerges)
	for rank, line := range v.Merges {
		// A token may start with a space, so the first place for the space
		// between the two is the second byte.
		at := -1
		if len(line) > 1 {
			at = strings.IndexByte(line[1:], ' ')
		}
		if at < 0 {
			return fmt.Errorf("merge %d: %q: want two tokens", rank, line)
		}
		doc.merges = append(doc.merges, [2]string{line[:at+1], line[at+2:]})
	}
	return nil
}

// bpeObject is the model without its vocabulary and merges.
func bpeObject(unk *string, byteFallback, ignoreMerges bool) object {
	return object{
		"dropout": nil, "unk_token": unk, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
		"fuse_unk": byteFallback, "byte_fallback": byteFallback, "ignore_merges": ignoreMerges,
	}
}

// llamaDocument describes a vocabulary of the kind "llama" with the merges that
// come closest to m: Write checks that they do the same.
func (v GGUFVocab) llamaDocument(doc *newDocument, m *scored) {
	escape := object{"type": "Replace", "pattern": object{"String": " "}, "content": escapedSpace}
	decode := []object{
		{"type": "Replace", "pattern": object{"String": escapedSpace}, "content": " "},
		{"type": "ByteFallback"}, {"type": "Fuse"},
	}
	normalize := []object{escape}
	if v.AddSpacePrefix {
		normalize = []object{{"type": "Prepend", "prepend": escapedSpace}, escape}
		decode = append(decode, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	doc.normalizer = object{"type": "Sequence", "normalizers": normalize}
	doc.decoder = object{"type": "Sequence", "decoders": decode}
	var unk *string
	if v.UNK >= 0 {
		unk = &v.Tokens[v.UNK]
	}
	doc.model = bpeObject(unk, true, false)
	doc.merges = m.derivedMerges()
}

// derivedMerges returns the merge that makes each token of its own text, best
// score first. Where the scores are equal, or a part is no token, the list
// cannot say the same as the scores.
func (m *scored) derivedMerges() [][2]string {
	type derived struct {
		id   int32
		pair [2]string
	}
	var all []derived
	for token, id := range m.ids {
		if token == "" {
			continue
		}
		spans, left := m.merge(token)
		if len(spans) != 1 || left == 0 {
			continue
		}
		pair := [2]string{token[:left], token[left:]}
		_, leftKnown := m.ids[pair[0]]
		_, rightKnown := m.ids[pair[1]]
		if leftKnown && rightKnown {
			all = append(all, derived{id, pair})
		}
	}
	slices.SortFunc(all, func(a, b derived) int {
		if d := m.ranks[a.id] - m.ranks[b.id]; d != 0 {
			return int(d)
		}
		return int(a.id - b.id)
	})
	out := make([][2]string, len(all))
	for i, d := range all {
		out[i] = d.pair
	}
	return out
}

// checkMerges reports whether the merges in t's tokenizer.json cut text as m does.
func (t *Tokenizer) checkMerges(m *scored) error {
	written, err := Parse(t.source)
	if err != nil {
		return err
	}
	merging := written.model.(*bpe) // llamaDocument wrote it
	for i, pair := range merging.mergeList[:max(len(merging.mergeList)-1, 0)] {
		next := merging.mergeList[i+1]
		a, b := pair[0]+pair[1], next[0]+next[1]
		if m.ranks[m.ids[a]] == m.ranks[m.ids[b]] {
			return fmt.Errorf("tokens %q and %q have the same score, which merges cannot express", a, b)
		}
	}
	if merging.byteFallback {
		for b, id := range m.byteIDs {
			if id < 0 {
				return fmt.Errorf("there is no token %s", byteToken(byte(b)))
			}
		}
	}
	return t.sameIDs(merging, m)
}
