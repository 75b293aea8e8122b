package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// piece is a part of a text on its way to ids: text, or an added token.
type piece struct {
	text
	id    int32 // of an added token; -1 for text
	first bool  // it starts where the whole text starts
}

// preTokenizer cuts text into words, each of which the model then sees alone.
// Pieces that are added tokens, and empty pieces, never reach it. It is safe for
// concurrent use.
type preTokenizer interface {
	words(p piece) []piece
}

// cutPieces replaces every piece of text by its words.
func cutPieces(t preTokenizer, in []piece) []piece {
	out := make([]piece, 0, len(in))
	for _, p := range in {
		if p.id >= 0 {
			out = append(out, p)
			continue
		}
		for _, w := range t.words(p) {
			if w.s != "" {
				out = append(out, w)
			}
		}
	}
	return out
}

func cutSpans(p piece, spans []span) []piece {
	out := make([]piece, len(spans))
	for i, s := range spans {
		out[i] = piece{text: p.cut(s.start, s.end), id: -1, first: p.first && s.start == 0}
	}
	return out
}

// byteLevel writes bytes as characters, after cutting with GPT-2's regular
// expression if useRegex.
type byteLevel struct{ addPrefixSpace, useRegex bool }

func (t byteLevel) words(p piece) []piece {
	if t.addPrefixSpace && !strings.HasPrefix(p.s, " ") {
		p.text = prepend{" "}.normalize(p.text)
	}
	words := []piece{p}
	if t.useRegex {
		words = cutSpans(p, pattern{scan: scanGPT2}.spans(p.s))
	}
	for i := range words {
		words[i].text = byteLevelText(words[i].text)
	}
	return words
}

// split cuts at the matches of a pattern, or if invert at what lies between them.
type split struct {
	pattern  pattern
	source   string // the regular expression, "" for a literal
	behavior behavior
	invert   bool
}

func (t split) words(p piece) []piece {
	spans := t.pattern.spans(p.s)
	if t.invert {
		for i := range spans {
			spans[i].match = !spans[i].match
		}
	}
	return cutSpans(p, t.behavior.apply(spans))
}

// splitRunes cuts at characters of a class.
type splitRunes struct {
	in       func(rune) bool
	behavior behavior
}

func (t splitRunes) words(p piece) []piece {
	return cutSpans(p, t.behavior.apply(runeSpans(p.s, t.in)))
}

// digits cuts at numbers, or at each of their characters.
type digits struct{ individual bool }

func (t digits) words(p piece) []piece {
	b := contiguous
	if t.individual {
		b = isolated
	}
	return splitRunes{unicode.IsNumber, b}.words(p)
}

// whitespace keeps runs of word characters and runs of other characters that
// are not white space: \w+|[^\w\s]+.
type whitespace struct{}

func (whitespace) words(p piece) []piece {
	var spans []span
	for i := 0; i < len(p.s); {
		if n := run(p.s[i:], unicode.IsSpace); n > 0 {
			i += n
			continue
		}
		n := run(p.s[i:], isWordRune)
		if n == 0 {
			n = run(p.s[i:], func(r rune) bool { return !isWordRune(r) && !unicode.IsSpace(r) })
		}
		spans = append(spans, span{i, i + n, true})
		i += n
	}
	return cutSpans(p, spans)
}

func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf { // symbols too
		return r > ' ' && r < 0x7F && !(r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z')
	}
	return unicode.Is(unicode.P, r)
}

// metaspace writes spaces as a visible character and cuts before each if split.
type metaspace struct {
	replacement string // one character
	scheme      prependScheme
	split       bool
}

// prependScheme tells which pieces that do not start with the replacement get
// one put before.
type prependScheme string

const (
	prependAlways prependScheme = "always"
	prependFirst  prependScheme = "first" // the piece at the start of the text
	prependNever  prependScheme = "never"
)

func (t metaspace) words(p piece) []piece {
	p.text = replace{pattern{literal: " "}, t.replacement}.normalize(p.text)
	prepends := t.scheme == prependAlways || t.scheme == prependFirst && p.first
	if prepends && !strings.HasPrefix(p.s, t.replacement) {
		p.text = prepend{t.replacement}.normalize(p.text)
	}
	if !t.split {
		return []piece{p}
	}
	return cutSpans(p, mergedWithNext.apply(pattern{literal: t.replacement}.spans(p.s)))
}

// preTokenizers cut one after the other.
type preTokenizers []preTokenizer

func (t preTokenizers) words(p piece) []piece {
	words := []piece{p}
	for _, one := range t {
		words = cutPieces(one, words)
	}
	return words
}
