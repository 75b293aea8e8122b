package tokenizer

import "unicode/utf8"

// origin is the part of the original text, in bytes, that one byte of a text on
// its way to the model stands for.
type origin struct{ start, end int }

// text is a part of the text on its way to the model.
type text struct {
	s    string
	from []origin // by byte; nil if nobody asked for offsets
}

// withOrigins returns s as an original: each byte stands for its whole character.
func withOrigins(s string) text {
	from := make([]origin, len(s))
	for i := 0; i < len(s); {
		_, n := utf8.DecodeRuneInString(s[i:])
		for j := i; j < i+n; j++ {
			from[j] = origin{i, i + n}
		}
		i += n
	}
	return text{s, from}
}

func (t text) cut(start, end int) text {
	c := text{s: t.s[start:end]}
	if t.from != nil {
		c.from = t.from[start:end]
	}
	return c
}

// span returns the part of the original that t.s[start:end] stands for. An empty
// part stands where it lies.
func (t text) span(start, end int) origin {
	switch {
	case len(t.from) == 0:
		return origin{}
	case start < end:
		return origin{t.from[start].start, t.from[end-1].end}
	case start < len(t.from):
		return origin{t.from[start].start, t.from[start].start}
	}
	at := t.from[len(t.from)-1].end
	return origin{at, at}
}

// rewriter makes a text out of another one, from left to right. As long as all
// is kept it copies nothing.
type rewriter struct {
	in      text
	kept    int // in.s[:kept] is the output so far, if not changed
	changed bool
	out     []byte
	from    []origin
}

func (t text) rewrite() rewriter { return rewriter{in: t} }

// keep writes in.s[start:end] as it is.
func (w *rewriter) keep(start, end int) {
	if !w.changed && start == w.kept {
		w.kept = end
		return
	}
	w.change()
	w.out = append(w.out, w.in.s[start:end]...)
	if w.in.from != nil {
		w.from = append(w.from, w.in.from[start:end]...)
	}
}

// put writes s, which stands for in.s[start:end].
func (w *rewriter) put(s string, start, end int) {
	w.change()
	w.out = append(w.out, s...)
	if w.in.from != nil {
		o := w.in.span(start, end)
		for range len(s) {
			w.from = append(w.from, o)
		}
	}
}

// change ends the time in which nothing had to be copied.
func (w *rewriter) change() {
	if w.changed {
		return
	}
	w.changed = true
	w.out = append(make([]byte, 0, len(w.in.s)+len(w.in.s)/8+8), w.in.s[:w.kept]...)
	if w.in.from != nil {
		w.from = append(make([]origin, 0, cap(w.out)), w.in.from[:w.kept]...)
	}
}

// text returns what was written.
func (w *rewriter) text() text {
	if !w.changed {
		return w.in.cut(0, w.kept)
	}
	return text{string(w.out), w.from}
}

// mapRunes writes each character as to gives it: itself, another one, or nothing
// for -1.
func (t text) mapRunes(to func(rune) rune) text {
	w := t.rewrite()
	for i, r := range t.s {
		n := runeLen(r)
		switch m := to(r); m {
		case r:
			w.keep(i, i+n)
		case -1:
		default:
			w.put(string(m), i, i+n)
		}
	}
	return w.text()
}
