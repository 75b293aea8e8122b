package tokenizer

import (
	"errors"
	"fmt"
	"strings"
)

// wordPieces returns the tokens of a bert vocabulary as BERT writes them. GGUF
// has ▁ before pieces that start a word and nothing before the others.
func (v GGUFVocab) wordPieces() ([]string, error) {
	tokens := make([]string, len(v.Tokens))
	ids := make(map[string]int, len(v.Tokens))
	for id, token := range v.Tokens {
		if !strings.HasPrefix(token, "[") || !strings.HasSuffix(token, "]") {
			start, ok := strings.CutPrefix(token, escapedSpace)
			if token = start; !ok {
				token = "##" + token
			}
		}
		if other, twice := ids[token]; twice {
			return nil, fmt.Errorf("tokens %d and %d are both the piece %q", other, id, token)
		}
		tokens[id], ids[token] = token, id
	}
	return tokens, nil
}

// wordPieceDocument describes a vocabulary of the kind "bert", whose tokens are
// BERT's already. llama.cpp takes all of them for uncased ones.
func (v GGUFVocab) wordPieceDocument(doc *newDocument) error {
	if v.UNK < 0 {
		return errors.New("a bert vocabulary needs an unknown token")
	}
	doc.post = nil
	if v.AddBOS {
		if v.BOS < 0 || v.SEP < 0 || int(v.SEP) >= len(v.Tokens) {
			return fmt.Errorf("tokens %d and %d are to be put around a text, of %d tokens", v.BOS, v.SEP, len(v.Tokens))
		}
		cls := &addedToken{ID: v.BOS, Content: v.Tokens[v.BOS]}
		doc.post = templateObject(cls, &addedToken{ID: v.SEP, Content: v.Tokens[v.SEP]})
	}
	doc.normalizer = object{
		"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true,
	}
	doc.pre = object{"type": "BertPreTokenizer"}
	doc.decoder = object{"type": "WordPiece", "prefix": "##", "cleanup": true}
	doc.model = wordPieceObject(orderedVocab(v.Tokens), v.Tokens[v.UNK])
	return nil
}

// unigram returns the tokenizer of a vocabulary of the kind "t5". llama.cpp
// writes a space before a text, and before what follows a special token, if it is
// asked to or if it joins spaces.
func (v GGUFVocab) unigram(s settings, post any) (*Tokenizer, error) {
	switch {
	case len(v.Scores) != len(v.Tokens):
		return nil, fmt.Errorf("%d scores for %d tokens", len(v.Scores), len(v.Tokens))
	case v.UNK < 0:
		return nil, errors.New("a t5 vocabulary needs an unknown token")
	case v.Types == nil:
		return nil, errors.New("a t5 vocabulary needs token types")
	}
	m := &spmModel{
		kind: spmUnigram, pieces: v.Tokens, scores: v.Scores, types: v.Types,
		unk: v.UNK, bos: v.BOS, eos: v.EOS, pad: v.PAD, charsmap: v.Charsmap,
		dummyPrefix: v.AddSpacePrefix || v.RemoveExtraSpaces, removeExtraSpaces: v.RemoveExtraSpaces, escapeSpaces: true,
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return m.tokenizer(s, post, true)
}
