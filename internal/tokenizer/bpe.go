package tokenizer

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// bpe is byte pair encoding: a word starts as one symbol per character and the
// adjacent pair with the lowest rank is merged until no pair has a rank (Sennrich
// et al. 2016). It is safe for concurrent use.
type bpe struct {
	ids          map[string]int32
	merges       map[uint64]merge
	mergeList    [][2]string // as written, rank = index
	byteIDs      [256]int32  // of "<0xNN>", -1 if absent; used with byteFallback
	unk          int32       // -1: characters outside the vocabulary are dropped
	fuseUnk      bool
	byteFallback bool
	ignoreMerges bool
	prefix       string // of every symbol but the first of a word
	suffix       string // of the last symbol of a word
	cache        *wordCache[wordToken]
}

// wordToken is a token of a word.
type wordToken struct {
	id  int32
	end int32 // of its bytes in the word; it starts where the one before ends
}

// merge is what a pair of symbols becomes.
type merge struct {
	rank, id int32
}

func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// byteToken is the token that stands for one byte in a vocabulary with byte
// fallback.
func byteToken(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// lookupByteTokens returns the ids of the byte tokens, -1 where there is none.
func lookupByteTokens(ids map[string]int32) (t [256]int32) {
	for b := range t {
		t[b] = -1
		if id, ok := ids[byteToken(byte(b))]; ok {
			t[b] = id
		}
	}
	return t
}

// addMerges fills the merge table from the list. A pair listed twice keeps its
// last rank, as in the tokenizers library.
func (m *bpe) addMerges(list [][2]string) error {
	m.mergeList = list
	m.merges = make(map[uint64]merge, len(list))
	for rank, pair := range list {
		if !strings.HasPrefix(pair[1], m.prefix) {
			return fmt.Errorf("merges: entry %d: %q does not start with the continuing_subword_prefix %q", rank, pair[1], m.prefix)
		}
		merged := pair[0] + pair[1][len(m.prefix):]
		var ids [3]int32
		for i, token := range [...]string{pair[0], pair[1], merged} {
			id, ok := m.ids[token]
			if !ok {
				return fmt.Errorf("merges: entry %d (%q with %q): %q is not in the vocabulary", rank, pair[0], pair[1], token)
			}
			ids[i] = id
		}
		m.merges[pairKey(ids[0], ids[1])] = merge{rank: int32(rank), id: ids[2]}
	}
	return nil
}

// tokenize appends the tokens of one word to dst.
func (m *bpe) tokenize(dst []wordToken, word string) []wordToken {
	if word == "" {
		return dst
	}
	if tokens, ok := m.cache.get(word); ok {
		return append(dst, tokens...)
	}
	start := len(dst)
	dst = m.uncached(dst, word)
	m.cache.put(word, dst[start:])
	return dst
}

// uncached is tokenize without looking the word up among recent ones.
func (m *bpe) uncached(dst []wordToken, word string) []wordToken {
	if m.ignoreMerges {
		if id, ok := m.ids[word]; ok {
			return append(dst, wordToken{id, int32(len(word))})
		}
	}
	dst, _ = m.mergeAll(m.symbols(dst, word), len(dst))
	return dst
}

// symbols appends the token of each character of word. A character outside the
// vocabulary becomes its bytes' tokens, else the unknown token, else nothing.
func (m *bpe) symbols(dst []wordToken, word string) []wordToken {
	unknown := int32(-1) // where the unknown token that is yet to be written ends
	flush := func() {
		if unknown >= 0 {
			dst = append(dst, wordToken{m.unk, unknown})
			unknown = -1
		}
	}
	for i := 0; i < len(word); {
		start := i
		_, n := utf8.DecodeRuneInString(word[i:])
		symbol := word[i : i+n]
		if i > 0 && m.prefix != "" {
			symbol = m.prefix + symbol
		}
		i += n
		if i == len(word) && m.suffix != "" {
			symbol += m.suffix
		}
		if id, ok := m.ids[symbol]; ok {
			flush()
			dst = append(dst, wordToken{id, int32(i)})
			continue
		}
		if m.byteFallback && hasBytes(&m.byteIDs, symbol) {
			// A pending unknown token stays pending here: the library writes it
			// after the bytes, and its ids are what models were trained on.
			for j := range len(symbol) {
				dst = append(dst, wordToken{m.byteIDs[symbol[j]], int32(min(start+j+1, i))})
			}
			continue
		}
		if m.unk >= 0 {
			if !m.fuseUnk {
				flush()
			}
			unknown = int32(i)
		}
	}
	flush()
	return dst
}

// mergeAll merges the symbols tokens[start:] in place and returns tokens cut to
// what is left, and the rank of the last merge, -1 if there was none. The time is
// O(n log n) in the number of symbols, however long the word.
func (m *bpe) mergeAll(tokens []wordToken, start int) (merged []wordToken, last int32) {
	word := tokens[start:]
	switch {
	case len(word) < 2 || len(m.merges) == 0:
		return tokens, -1
	case len(word) <= shortWord:
		n, last := m.mergeShort(word)
		return tokens[:start+n], last
	}
	n, last := m.mergeLong(word)
	return tokens[:start+n], last
}

// shortWord is the number of symbols up to which looking at all pairs for each
// merge is faster than a queue.
const shortWord = 24

// mergeShort merges word in place and returns how many symbols are left, and the
// rank of the last merge.
func (m *bpe) mergeShort(word []wordToken) (n int, last int32) {
	var pairs [shortWord]merge // of symbol i with the next one; id -1 for none
	find := func(i int) {
		pairs[i].id = -1
		if to, ok := m.merges[pairKey(word[i].id, word[i+1].id)]; ok {
			pairs[i] = to
		}
	}
	last, n = -1, len(word)
	for i := range n - 1 {
		find(i)
	}
	for {
		best := -1
		for i := range n - 1 {
			if pairs[i].id >= 0 && (best < 0 || pairs[i].rank < pairs[best].rank) {
				best = i
			}
		}
		if best < 0 {
			return n, last
		}
		last = pairs[best].rank
		word[best] = wordToken{pairs[best].id, word[best+1].end}
		copy(word[best+1:n], word[best+2:n])
		copy(pairs[best:n-2], pairs[best+1:n-1])
		n--
		if best > 0 {
			find(best - 1)
		}
		if best < n-1 {
			find(best)
		}
	}
}

// mergeLong is mergeShort for words of any length.
func (m *bpe) mergeLong(word []wordToken) (n int, last int32) {
	last = -1
	list := newSymbolList(len(word))
	var queue mergeQueue
	push := func(left int32) {
		right := list.next[left]
		if right < 0 {
			return
		}
		if to, ok := m.merges[pairKey(word[left].id, word[right].id)]; ok {
			queue.push(candidate{rank: to.rank, left: left, result: to.id})
		}
	}
	for i := range len(word) - 1 {
		push(int32(i))
	}
	for len(queue) > 0 {
		c := queue.pop()
		right := list.next[c.left]
		if list.removed(c.left) || right < 0 {
			continue
		}
		// The pair may have changed since it was queued.
		to, ok := m.merges[pairKey(word[c.left].id, word[right].id)]
		if !ok || to.id != c.result {
			continue
		}
		last = to.rank
		word[c.left] = wordToken{c.result, word[right].end}
		list.remove(right)
		if prev := list.prev[c.left]; prev >= 0 {
			push(prev)
		}
		push(c.left)
	}
	for i := int32(0); i >= 0; i = list.next[i] {
		word[n] = word[i]
		n++
	}
	return n, last
}
