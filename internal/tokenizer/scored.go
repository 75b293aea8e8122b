package tokenizer

import (
	"math"
	"slices"
	"unicode/utf8"
)

// scored merges by the scores of the merged tokens: of all adjacent pairs whose
// text together is a token, the one with the highest score is merged first, the
// leftmost of equals. This is how llama.cpp tokenizes with a vocabulary of the
// kind "llama" (SentencePiece BPE). A symbol that is no token in the end becomes
// its bytes' tokens. It is safe for concurrent use.
type scored struct {
	ids     map[string]int32
	scores  []float32 // by id
	ranks   []int32   // by id: 0 for the highest score, equal for equal scores
	byteIDs [256]int32
	unk     int32 // for a byte without a token; -1: such bytes are dropped
	cache   *wordCache[wordToken]
	// wholeUnknown: symbols in a row of which a byte has no token are one unknown
	// token, as in SentencePiece without byte fallback.
	wholeUnknown bool
}

// newScored ranks the scores, one for each id. NaN ranks last.
func newScored(ids map[string]int32, scores []float32, unk int32) *scored {
	order := make([]int32, len(scores))
	for i := range order {
		order[i] = int32(i)
	}
	value := func(id int32) float64 {
		if v := float64(scores[id]); !math.IsNaN(v) {
			return v
		}
		return math.Inf(-1)
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		switch va, vb := value(a), value(b); {
		case va > vb:
			return -1
		case va < vb:
			return 1
		}
		return 0
	})
	m := &scored{ids: ids, scores: scores, ranks: make([]int32, len(scores)), byteIDs: lookupByteTokens(ids), unk: unk, cache: newWordCache[wordToken]()}
	rank := int32(0)
	for i, id := range order {
		if i > 0 && value(id) != value(order[i-1]) {
			rank++
		}
		m.ranks[id] = rank
	}
	return m
}

// tokenize appends the tokens of one word to dst.
func (m *scored) tokenize(dst []wordToken, word string) []wordToken {
	if word == "" {
		return dst
	}
	if tokens, ok := m.cache.get(word); ok {
		return append(dst, tokens...)
	}
	start := len(dst)
	spans, _ := m.merge(word)
	end := int32(0)
	for _, s := range spans {
		end += int32(len(s))
		if id, ok := m.ids[s]; ok {
			dst = append(dst, wordToken{id, end})
			continue
		}
		if m.wholeUnknown && !hasBytes(&m.byteIDs, s) {
			if n := len(dst); n > start && dst[n-1].id == m.unk {
				dst[n-1].end = end
			} else {
				dst = append(dst, wordToken{m.unk, end})
			}
			continue
		}
		for i := range len(s) {
			at := end - int32(len(s)-i-1)
			if id := m.byteIDs[s[i]]; id >= 0 {
				dst = append(dst, wordToken{id, at})
			} else if m.unk >= 0 {
				dst = append(dst, wordToken{m.unk, at})
			}
		}
	}
	m.cache.put(word, dst[start:])
	return dst
}

// merge cuts a word that is not empty into what is left after all merges. last
// is the length of the left part of the last merge, 0 if there was none.
func (m *scored) merge(word string) (spans []string, last int) {
	starts := make([]int32, 0, len(word)+1) // symbol i is word[starts[i]:ends[i]]
	for i := 0; i < len(word); {
		starts = append(starts, int32(i))
		_, n := utf8.DecodeRuneInString(word[i:])
		i += n
	}
	ends := append(slices.Clone(starts[1:]), int32(len(word)))
	list := newSymbolList(len(starts))
	var queue mergeQueue
	push := func(left int32) {
		right := list.next[left]
		if right < 0 {
			return
		}
		text := word[starts[left]:ends[right]]
		if id, ok := m.ids[text]; ok {
			queue.push(candidate{rank: m.ranks[id], left: left, result: int32(len(text))})
		}
	}
	for i := range len(starts) - 1 {
		push(int32(i))
	}
	for len(queue) > 0 {
		c := queue.pop()
		right := list.next[c.left]
		if list.removed(c.left) || right < 0 || ends[right]-starts[c.left] != c.result {
			continue
		}
		last = int(ends[c.left] - starts[c.left])
		ends[c.left] = ends[right]
		list.remove(right)
		if prev := list.prev[c.left]; prev >= 0 {
			push(prev)
		}
		push(c.left)
	}
	for i := int32(0); i >= 0; i = list.next[i] {
		spans = append(spans, word[starts[i]:ends[i]])
	}
	return spans, last
}
