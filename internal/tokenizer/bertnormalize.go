package tokenizer

import "unicode"

// bertNormalizer is the cleaning of BERT's original tokenizer.
type bertNormalizer struct{ cleanText, chinese, stripAccents, lowercase bool }

// normalize takes text of ASCII in parts of its own if nobody asked for offsets:
// no character of it depends on those around.
func (n bertNormalizer) normalize(t text) text {
	if t.from != nil || !n.cleanText {
		return n.anyRunes(t)
	}
	out := make([]byte, 0, len(t.s)+len(t.s)/8)
	for at := 0; at < len(t.s); {
		if b := t.s[at]; isPlain(b) {
			out = append(out, cleanPlain(b, n.lowercase))
			at++
			continue
		}
		end := at + 1
		for end < len(t.s) && !isPlain(t.s[end]) {
			end++
		}
		out = append(out, n.anyRunes(text{s: t.s[at:end]}).s...)
		at = end
	}
	return text{s: string(out)}
}

// isPlain reports whether a byte is a character of ASCII that is not dropped.
func isPlain(b byte) bool { return b >= ' ' && b < 0x7F || b == '\t' || b == '\n' || b == '\r' }

func cleanPlain(b byte, lower bool) byte {
	switch {
	case b < ' ':
		return ' '
	case lower && b >= 'A' && b <= 'Z':
		return b | 0x20
	}
	return b
}

func (n bertNormalizer) anyRunes(t text) text {
	if n.cleanText {
		t = t.mapRunes(cleanBert)
	}
	if n.chinese {
		t = aroundChinese(t)
	}
	if n.stripAccents {
		t = unicodeForm{unicodeForms["NFD"]}.normalize(t)
		t = stripAccents{unicode.Mn}.normalize(t)
	}
	if n.lowercase {
		t = lowercase{}.normalize(t)
	}
	return t
}

// cleanBert drops control and format characters and makes white space spaces.
func cleanBert(r rune) rune {
	switch {
	case r >= ' ' && r < 0x7F:
		return r
	case unicode.IsSpace(r) && (r < 0x80 && r != '\v' && r != '\f' || r == 0xA0 || r > 0xFF):
		return ' '
	case r == 0, r == unicode.ReplacementChar, unicode.Is(unicode.C, r):
		return -1 // of U+000B, U+000C and U+0085 too: they are control characters first
	}
	return r
}

// aroundChinese writes a space on either side of each CJK ideograph.
func aroundChinese(t text) text {
	w := t.rewrite()
	for i, r := range t.s {
		n := runeLen(r)
		if !isChinese(r) {
			w.keep(i, i+n)
			continue
		}
		w.put(" ", i, i+n)
		w.keep(i, i+n)
		w.put(" ", i, i+n)
	}
	return w.text()
}

// isChinese has the ranges of the tokenizers library, which starts CJK
// Extension E at U+2B920 and not at U+2B820.
func isChinese(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r >= 0x4E00 && r <= 0x9FFF, r <= 0x4DBF, r >= 0xF900 && r <= 0xFAFF,
		r >= 0x20000 && r <= 0x2A6DF, r >= 0x2A700 && r <= 0x2B73F, r >= 0x2B740 && r <= 0x2B81F,
		r >= 0x2B920 && r <= 0x2CEAF, r >= 0x2F800 && r <= 0x2FA1F:
		return true
	}
	return false
}
