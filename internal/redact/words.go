package redact

import (
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// wordFinder finds whole words and phrases of a list in one pass over a text,
// however many there are: the automaton of Aho and Corasick (Efficient String
// Matching, 1975) over folded runes. Between words and what is not, texts and
// entries have the symbol edge, so that only whole words match.
type wordFinder struct {
	// The nodes of a trie in the order of their depth: the children of node n are
	// those from first[n] to first[n+1], sorted by label.
	label []rune
	first []int32
	fail  []int32 // the node of the longest proper suffix that is in the trie
	match []int32 // 1 + the entry that ends here or at a suffix, the longest; 0 for none
	size  []int32 // of entries: symbols
	kind  []int32 // of entries
	most  int     // symbols of the longest entry
}

type wordEntry struct {
	text string
	kind int
}

// maxWordBytes keeps the positions that must be remembered few.
const maxWordBytes = 1000

const edge = rune(-1)

func hasWordRune(s string) bool {
	for _, r := range s {
		if isWordRune(r) {
			return true
		}
	}
	return false
}

func isWordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '_' || isAlnum(byte(r))
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

// standsAlone tells whether a rune is of a script without spaces between words:
// there is an edge on both sides of it.
func standsAlone(r rune) bool {
	return r >= 0xe00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// foldCase returns the least rune that differs from r in case only.
func foldCase(r rune) rune {
	if r < utf8.RuneSelf {
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}

// symbols calls yield for the symbols of text with the bytes they stand for. A
// run of white space is one space.
func symbols(text string, yield func(symbol rune, start, end int)) {
	word, alone := false, false // the rune before
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		start := i
		i += size
		isWord := isWordRune(r)
		isAlone := isWord && standsAlone(r)
		if word != isWord || word && (alone || isAlone) {
			yield(edge, start, start)
		}
		word, alone = isWord, isAlone
		if unicode.IsSpace(r) {
			for i < len(text) {
				r, size := utf8.DecodeRuneInString(text[i:])
				if !unicode.IsSpace(r) {
					break
				}
				i += size
			}
			r = ' '
		}
		yield(foldCase(r), start, i)
	}
	if word {
		yield(edge, len(text), len(text))
	}
}

func newWordFinder(entries []wordEntry) *wordFinder {
	type pattern struct {
		symbols []rune
		kind    int
	}
	patterns := make([]pattern, len(entries))
	for i, e := range entries {
		symbols(strings.TrimSpace(e.text), func(s rune, _, _ int) { patterns[i].symbols = append(patterns[i].symbols, s) })
		patterns[i].kind = e.kind
	}
	slices.SortStableFunc(patterns, func(a, b pattern) int { return slices.Compare(a.symbols, b.symbols) })
	w := &wordFinder{label: []rune{0}, match: []int32{0}}
	for _, p := range patterns {
		w.size, w.kind = append(w.size, int32(len(p.symbols))), append(w.kind, int32(p.kind))
		w.most = max(w.most, len(p.symbols))
	}
	// Node n holds the patterns of ranges[n], which agree in its first depth symbols.
	type extent struct{ from, to, depth int }
	ranges := []extent{{0, len(patterns), 0}}
	for n := 0; n < len(ranges); n++ {
		w.first = append(w.first, int32(len(ranges)))
		r := ranges[n]
		for r.from < r.to && len(patterns[r.from].symbols) == r.depth {
			if w.match[n] == 0 {
				w.match[n] = int32(r.from + 1)
			}
			r.from++
		}
		for from := r.from; from < r.to; {
			symbol := patterns[from].symbols[r.depth]
			to := from + 1
			for to < r.to && patterns[to].symbols[r.depth] == symbol {
				to++
			}
			ranges = append(ranges, extent{from, to, r.depth + 1})
			w.label, w.match = append(w.label, symbol), append(w.match, 0)
			from = to
		}
	}
	w.first = append(w.first, int32(len(ranges)))
	w.link()
	return w
}

// link sets fail, and match of the nodes where only a suffix is an entry.
func (w *wordFinder) link() {
	w.fail = make([]int32, len(w.label))
	for n := range w.label {
		for child := w.first[n]; child < w.first[n+1]; child++ {
			if n > 0 {
				w.fail[child] = w.next(w.fail[n], w.label[child])
			}
			if w.match[child] == 0 {
				w.match[child] = w.match[w.fail[child]]
			}
		}
	}
}

// next is the node after symbol at node n.
func (w *wordFinder) next(n int32, symbol rune) int32 {
	for {
		from, to := int(w.first[n]), int(w.first[n+1])
		at := from + sort.Search(to-from, func(i int) bool { return w.label[from+i] >= symbol })
		if at < to && w.label[at] == symbol {
			return int32(at)
		}
		if n == 0 {
			return 0
		}
		n = w.fail[n]
	}
}

// find calls add for the longest entry that ends at each place of text.
func (w *wordFinder) find(text string, add func(start, end, kind int)) {
	starts := make([]int, w.most) // of the last symbols, in a ring
	node, count := int32(0), 0
	symbols(text, func(symbol rune, start, end int) {
		starts[count%w.most] = start
		count++
		node = w.next(node, symbol)
		if m := w.match[node]; m > 0 {
			add(starts[(count-int(w.size[m-1]))%w.most], end, int(w.kind[m-1]))
		}
	})
}
