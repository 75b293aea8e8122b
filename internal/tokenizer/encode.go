package tokenizer

import "strings"

// Encode returns the ids of a text. With addSpecial the post-processor puts its
// tokens, such as BOS, around them. Special tokens written in the text become
// their ids either way, as in the tokenizers library. Parts of the text that
// are not valid UTF-8 count as U+FFFD.
func (t *Tokenizer) Encode(text string, addSpecial bool) []int32 {
	pieces := t.added.cut(lossy(text), t.normalizer)
	if t.pre != nil {
		pieces = cutPieces(t.pre, pieces)
	}
	ids := make([]int32, 0, len(text)/3+1)
	for _, p := range pieces {
		if p.id >= 0 {
			ids = append(ids, p.id)
		} else {
			ids = t.model.tokenize(ids, p.text)
		}
	}
	if addSpecial {
		ids = t.post.apply(ids)
	}
	return ids
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
