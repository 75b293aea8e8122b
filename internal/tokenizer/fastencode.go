package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// fastEncoder does for byte-level BPE and for WordPiece what pre-tokenizer and
// model do, without a list of the words and a copy of each: known words are
// looked up by their own bytes, not by how the vocabulary writes these.
type fastEncoder struct {
	cuts      []cutter
	tokenize  func(dst []wordToken, word string) []wordToken
	byteLevel bool // it takes bytes as characters
	cache     *wordCache[int32]
}

// cutter cuts a text into words, none of them empty.
type cutter interface {
	each(s string, emit func(word string))
}

// newFastEncoder returns nil for any other kind of tokenizer.
func newFastEncoder(pre preTokenizer, m model) *fastEncoder {
	steps, ok := pre.(preTokenizers)
	if !ok {
		steps = preTokenizers{pre}
	}
	f := &fastEncoder{}
	useRegex := false
	switch m := m.(type) {
	case *bpe:
		if len(steps) == 0 {
			return nil
		}
		last, ok := steps[len(steps)-1].(byteLevel)
		if !ok || last.addPrefixSpace {
			return nil
		}
		steps, useRegex = steps[:len(steps)-1], last.useRegex
		f.tokenize, f.byteLevel = m.uncached, true
	case *wordPiece:
		f.tokenize = m.tokenize
	default:
		return nil
	}
	for _, step := range steps {
		c, ok := asCutter(step)
		if !ok {
			return nil
		}
		f.cuts = append(f.cuts, c)
	}
	if useRegex {
		f.cuts = append(f.cuts, pattern{scan: scanGPT2})
	}
	f.cache = newWordCache[int32]()
	return f
}

func asCutter(step preTokenizer) (cutter, bool) {
	switch step := step.(type) {
	case split:
		// A scanner leaves no gaps, so what is isolated is all there is.
		ok := !step.invert && step.behavior == isolated || step.pattern.scan != nil && step.invert && step.behavior == removed
		return step.pattern, ok
	case splitRunes:
		return step, step.behavior == isolated || step.behavior == removed
	case digits:
		return step, true
	}
	return nil, false
}

// each calls emit for each match and for what lies between.
func (p pattern) each(s string, emit func(string)) {
	switch {
	case p.scan != nil:
		for s != "" {
			n := p.scan(s)
			emit(s[:n])
			s = s[n:]
		}
	case p.re != nil:
		done := 0
		p.re.spans(s, func(start, end int) {
			if done < start {
				emit(s[done:start])
			}
			if start < end {
				emit(s[start:end])
			}
			done = end
		})
		if done < len(s) {
			emit(s[done:])
		}
	default:
		for _, sp := range p.spans(s) {
			emit(s[sp.start:sp.end])
		}
	}
}

func (t splitRunes) each(s string, emit func(string)) {
	done := 0
	for i, r := range s {
		if !t.in(r) {
			continue
		}
		if done < i {
			emit(s[done:i])
		}
		if done = i + runeLen(r); t.behavior == isolated {
			emit(s[i:done])
		}
	}
	if done < len(s) {
		emit(s[done:])
	}
}

func (t digits) each(s string, emit func(string)) {
	for s != "" {
		n := run(s, func(r rune) bool { return !unicode.IsNumber(r) })
		if n == 0 {
			n = run(s, unicode.IsNumber)
			if t.individual {
				_, n = utf8.DecodeRuneInString(s)
			}
		}
		emit(s[:n])
		s = s[n:]
	}
}

func (f *fastEncoder) encode(ids []int32, pieces []piece) []int32 {
	var tokens []wordToken
	var chars []byte
	emit := func(word string) {
		if known, ok := f.cache.get(word); ok {
			ids = append(ids, known...)
			return
		}
		if f.byteLevel {
			chars = appendByteLevel(chars[:0], word)
			tokens = f.tokenize(tokens[:0], string(chars))
		} else {
			tokens = f.tokenize(tokens[:0], word)
		}
		start := len(ids)
		for _, t := range tokens {
			ids = append(ids, t.id)
		}
		f.cache.put(word, ids[start:])
	}
	for i := len(f.cuts) - 1; i >= 0; i-- {
		c, next := f.cuts[i], emit
		emit = func(word string) { c.each(word, next) }
	}
	for _, p := range pieces {
		if p.id >= 0 {
			ids = append(ids, p.id)
		} else {
			emit(p.s)
		}
	}
	return ids
}
