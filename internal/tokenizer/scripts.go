package tokenizer

import "unicode"

// unicodeScripts cuts where the script changes. Spaces and characters that no
// script has go with what is before them, and those at the start of a text are
// dropped, as in the tokenizers library. The kana count as Han.
type unicodeScripts struct{}

func (unicodeScripts) words(p piece) []piece {
	var spans []span
	last := "" // the script of the last character that has one
	for i, r := range p.s {
		script := scriptOf(r)
		if script == "" || script == last {
			continue
		}
		if len(spans) > 0 {
			spans[len(spans)-1].end = i
		}
		spans = append(spans, span{i, len(p.s), true})
		last = script
	}
	return cutSpans(p, spans)
}

// scriptOf returns the name of a character's script, "" for none.
func scriptOf(r rune) string {
	switch {
	case r == ' ':
		return ""
	case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
		return "Latin"
	case r < 0x80:
		return "Common"
	case r == 'ー', unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
		return "Han"
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return ""
}
