package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizer changes text before it is cut. It is safe for concurrent use.
type normalizer interface {
	normalize(t text) text
}

// prepend writes a string before text that is not empty.
type prepend struct{ text string }

func (n prepend) normalize(t text) text {
	if t.s == "" {
		return t
	}
	w := t.rewrite()
	_, first := utf8.DecodeRuneInString(t.s)
	w.put(n.text, 0, first)
	w.keep(0, len(t.s))
	return w.text()
}

// replace writes by for every match of a pattern.
type replace struct {
	pattern pattern
	by      string
}

func (n replace) normalize(t text) text {
	if t.s == "" {
		return t
	}
	w := t.rewrite()
	for _, sp := range n.pattern.spans(t.s) {
		if sp.match {
			w.put(n.by, sp.start, sp.end)
		} else {
			w.keep(sp.start, sp.end)
		}
	}
	return w.text()
}

// lowercase maps each character on its own: Σ becomes σ at a word's end too.
type lowercase struct{}

func (lowercase) normalize(t text) text {
	w := t.rewrite()
	for i, r := range t.s {
		n := runeLen(r)
		switch l := unicode.ToLower(r); {
		case r == 'İ': // the only one whose full lower-case form is two characters
			w.put("i̇", i, i+n)
		case l == r:
			w.keep(i, i+n)
		default:
			w.put(string(l), i, i+n)
		}
	}
	return w.text()
}

// unicodeForm is one of Unicode's four normalization forms (UAX #15).
type unicodeForm struct{ form norm.Form }

func (n unicodeForm) normalize(t text) text {
	if n.form.IsNormalString(t.s) {
		return t
	}
	w := t.rewrite()
	var it norm.Iter
	it.InitString(n.form, t.s)
	var segment []byte
	for start := 0; !it.Done(); start = it.Pos() {
		segment = append(segment[:0], it.Next()...)
		for it.Pos() == start && !it.Done() { // a character may come in parts
			segment = append(segment, it.Next()...)
		}
		if end := it.Pos(); string(segment) == t.s[start:end] {
			w.keep(start, end)
		} else {
			n.put(&w, string(segment), start, end)
		}
	}
	return w.text()
}

// put writes out, the normal form of in.s[start:end]. As in the tokenizers
// library a character that was composed stands for the first of its parts.
func (n unicodeForm) put(w *rewriter, out string, start, end int) {
	if w.in.from == nil || start == end {
		w.put(out, start, end)
		return
	}
	decomposed := norm.NFD
	if n.form == norm.NFKC || n.form == norm.NFKD {
		decomposed = norm.NFKD
	}
	var parts []origin // in in.s, of each character of the decomposed text
	for i, r := range w.in.s[start:end] {
		for range decomposed.String(string(r)) {
			parts = append(parts, origin{start + i, start + i + runeLen(r)})
		}
	}
	at := 0
	for _, r := range out {
		from := parts[min(at, len(parts)-1)]
		w.put(string(r), from.start, from.end)
		at += utf8.RuneCountInString(decomposed.String(string(r)))
	}
}

var unicodeForms = map[string]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD}

// strip removes white space from the ends.
type strip struct{ left, right bool }

func (n strip) normalize(t text) text {
	start, end := 0, len(t.s)
	if n.left {
		start = run(t.s, unicode.IsSpace)
	}
	if n.right {
		end = max(start, len(strings.TrimRightFunc(t.s, unicode.IsSpace)))
	}
	return t.cut(start, end)
}

// stripAccents removes the characters of some category of marks.
type stripAccents struct{ marks *unicode.RangeTable }

func (n stripAccents) normalize(t text) text {
	return t.mapRunes(func(r rune) rune {
		if r >= 0x300 && unicode.Is(n.marks, r) {
			return -1
		}
		return r
	})
}

// nmt is the cleaning that SentencePiece does for translation.
type nmt struct{}

func (nmt) normalize(t text) text {
	return t.mapRunes(func(r rune) rune {
		switch {
		case r >= 1 && r <= 8, r == 0x0B, r >= 0x0E && r <= 0x1F, r == 0x7F, r == 0x8F, r == 0x9F:
			return -1
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, r >= 0x200B && r <= 0x200F,
			r == 0x2028, r == 0x2029, r == '▁', r == 0xFEFF, r == 0xFFFD:
			return ' '
		}
		return r
	})
}

// byteLevelNormalizer writes bytes as characters.
type byteLevelNormalizer struct{}

func (byteLevelNormalizer) normalize(t text) text { return byteLevelText(t) }

// normalizers run one after the other.
type normalizers []normalizer

func (n normalizers) normalize(t text) text {
	for _, one := range n {
		t = one.normalize(t)
	}
	return t
}
