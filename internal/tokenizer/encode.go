package tokenizer

import "strings"

// Token is one token of a text.
type Token struct {
	ID    int32
	Piece string // as it is written in the vocabulary
	// Start and End are the bytes of the text that the token stands for, in whole
	// characters: tokens that share a character have the same ones. Both are 0
	// for a token that the post-processor adds.
	Start, End int
}

// Encode returns the ids of a text. With addSpecial the post-processor puts its
// tokens, such as BOS, around them. Special tokens written in the text become
// their ids either way, as in the tokenizers library. Parts of the text that
// are not valid UTF-8 count as U+FFFD.
func (t *Tokenizer) Encode(s string, addSpecial bool) []int32 {
	ids := make([]int32, 0, len(s)/3+3)
	if addSpecial {
		return t.post.around(ids, func(ids []int32) []int32 { return t.encode(ids, s) })
	}
	return t.encode(ids, s)
}

// encode appends the ids of a text.
func (t *Tokenizer) encode(ids []int32, s string) []int32 {
	pieces := t.added.cut(text{s: lossy(s)}, t.normalizer)
	if t.fast != nil {
		return t.fast.encode(ids, pieces)
	}
	if t.pre != nil {
		pieces = cutPieces(t.pre, pieces)
	}
	var words []wordToken
	for _, p := range pieces {
		if p.id >= 0 {
			ids = append(ids, p.id)
			continue
		}
		words = t.tokenize(words[:0], p.s)
		for _, w := range words {
			ids = append(ids, w.id)
		}
	}
	return ids
}

// EncodeTokens is Encode with the pieces and where in the text they come from,
// through normalization too. A part that is not valid UTF-8 is one character. A
// ByteLevel or RoBERTa post-processor with trim_offsets leaves the spaces at a
// token's ends out. It is slower than Encode.
func (t *Tokenizer) EncodeTokens(s string, addSpecial bool) []Token {
	pieces := t.added.cut(lossyText(s), t.normalizer)
	if t.pre != nil {
		pieces = cutPieces(t.pre, pieces)
	}
	var tokens []Token
	add := func(id int32, o origin) {
		piece, _ := t.vocab.token(id)
		tokens = append(tokens, Token{id, piece, o.start, o.end})
	}
	var words []wordToken
	for _, p := range pieces {
		if p.id >= 0 {
			add(p.id, p.span(0, len(p.s)))
			continue
		}
		words = t.tokenize(words[:0], p.s)
		start := 0
		for _, w := range words {
			end := max(int(w.end), start)
			add(w.id, p.span(start, end))
			start = end
		}
	}
	if t.trim != nil {
		t.trim.apply(tokens)
	}
	if !addSpecial || t.post == nil {
		return tokens
	}
	var out []Token
	for _, part := range t.post {
		if part.text {
			out = append(out, tokens...)
			continue
		}
		for _, id := range part.ids {
			piece, _ := t.vocab.token(id)
			out = append(out, Token{ID: id, Piece: piece})
		}
	}
	return out
}

// Decode returns the text of ids, without special tokens if skipSpecial. Ids
// that no token has are left out. Bytes that form no character become U+FFFD.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	return t.decode(ids, skipSpecial, false)
}

// decode keeps incomplete characters as they are if stream.
func (t *Tokenizer) decode(ids []int32, skipSpecial, stream bool) string {
	in := make([]fragment, 0, len(ids))
	for _, id := range ids {
		token, ok := t.vocab.token(id)
		if !ok {
			continue
		}
		a, added := t.added.byID[id]
		if skipSpecial && a.Special {
			continue
		}
		in = append(in, fragment{text: token, added: added})
	}
	separator := ""
	if t.decoder != nil {
		in = t.decoder.decode(in, stream)
	} else {
		separator = " "
	}
	var b strings.Builder
	for i, f := range in {
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(f.text)
	}
	return b.String()
}
