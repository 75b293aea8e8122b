package tokenizer

import "encoding/base64"

// steps describes SentencePiece's normalization and its decoding as tokenizer.json
// has them: the rules, then spaces at the ends and double ones out, then the
// dummy prefix, then spaces written as ▁.
func (m *spmModel) steps(doc *newDocument, everyPiece bool) {
	replacing := func(pattern object, by string) object {
		return object{"type": "Replace", "pattern": pattern, "content": by}
	}
	var normalize []object
	if len(m.charsmap) > 0 {
		charsmap := base64.StdEncoding.EncodeToString(m.charsmap)
		normalize = append(normalize, object{"type": "Precompiled", "precompiled_charsmap": charsmap})
	}
	if m.removeExtraSpaces {
		normalize = append(normalize, replacing(object{"Regex": `\A +| +\z`}, ""), replacing(object{"Regex": ` {2,}`}, " "))
	}
	space := " "
	if m.escapeSpaces {
		space = escapedSpace
	}
	decode := []object{{"type": "ByteFallback"}, {"type": "Fuse"}}
	if m.escapeSpaces {
		decode = append([]object{replacing(object{"String": escapedSpace}, " ")}, decode...)
	}
	if m.dummyPrefix {
		if everyPiece {
			normalize = append(normalize, object{"type": "Prepend", "prepend": space})
		} else {
			doc.pre = object{"type": "Metaspace", "replacement": space, "prepend_scheme": prependFirst, "split": false}
		}
		decode = append(decode, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	if m.escapeSpaces {
		normalize = append(normalize, replacing(object{"String": " "}, space))
	}
	if len(normalize) > 0 {
		doc.normalizer = object{"type": "Sequence", "normalizers": normalize}
	}
	doc.decoder = object{"type": "Sequence", "decoders": decode}
}

// rules applies a charsmap as SentencePiece does: at each place the rule for the
// longest prefix.
type rules struct{ charsmap }

func (n rules) normalize(t text) text {
	if len(n.units) == 0 {
		return t
	}
	w := t.rewrite()
	for i := 0; i < len(t.s); {
		size, by := n.longest(t.s[i:])
		if size > 0 {
			w.put(by, i, i+size)
			i += size
			continue
		}
		for size = 1; i+size < len(t.s) && t.s[i+size]&0xC0 == 0x80; size++ {
		}
		w.keep(i, i+size)
		i += size
	}
	return w.text()
}

// longestRules puts rules in place of precompiled, which is how the tokenizers
// library applies the same charsmap.
func longestRules(n normalizer) normalizer {
	list, ok := n.(normalizers)
	if !ok {
		return n
	}
	out := make(normalizers, len(list))
	for i, one := range list {
		if p, ok := one.(precompiled); ok {
			one = rules{p.rules}
		}
		out[i] = one
	}
	return out
}
