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
	cache        *wordCache
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

// tokenize appends the ids of one word to dst.
func (m *bpe) tokenize(dst []int32, word string) []int32 {
	if word == "" {
		return dst
	}
	if m.ignoreMerges {
		if id, ok := m.ids[word]; ok {
			return append(dst, id)
		}
	}
	if ids, ok := m.cache.get(word); ok {
		return append(dst, ids...)
	}
	start := len(dst)
	dst, _ = m.mergeAll(m.symbols(dst, word), start)
	m.cache.put(word, dst[start:])
	return dst
}

// symbols appends the id of each character of word. A character outside the
// vocabulary becomes its bytes' tokens, else the unknown token, else nothing.
func (m *bpe) symbols(dst []int32, word string) []int32 {
	unkPending := false
	for i := 0; i < len(word); {
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
			if unkPending {
				dst = append(dst, m.unk)
				unkPending = false
			}
			dst = append(dst, id)
			continue
		}
		if m.byteFallback && m.hasBytes(symbol) {
			// A pending unknown token stays pending here: the library writes it
			// after the bytes, and its ids are what models were trained on.
			for j := range len(symbol) {
				dst = append(dst, m.byteIDs[symbol[j]])
			}
			continue
		}
		if m.unk >= 0 {
			if unkPending && !m.fuseUnk {
				dst = append(dst, m.unk)
			}
			unkPending = true
		}
	}
	if unkPending {
		dst = append(dst, m.unk)
	}
	return dst
}

func (m *bpe) hasBytes(s string) bool {
	for i := range len(s) {
		if m.byteIDs[s[i]] < 0 {
			return false
		}
	}
	return true
}

// mergeAll merges the symbols ids[start:] in place and returns ids cut to what
// is left, and the rank of the last merge, -1 if there was none. The time is
// O(n log n) in the number of symbols, however long the word.
func (m *bpe) mergeAll(ids []int32, start int) (merged []int32, last int32) {
	last = -1
	word := ids[start:]
	if len(word) < 2 || len(m.merges) == 0 {
		return ids, last
	}
	list := newSymbolList(len(word))
	var queue mergeQueue
	push := func(left int32) {
		right := list.next[left]
		if right < 0 {
			return
		}
		if to, ok := m.merges[pairKey(word[left], word[right])]; ok {
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
		to, ok := m.merges[pairKey(word[c.left], word[right])]
		if !ok || to.id != c.result {
			continue
		}
		last = to.rank
		word[c.left] = c.result
		list.remove(right)
		if prev := list.prev[c.left]; prev >= 0 {
			push(prev)
		}
		push(c.left)
	}
	n := 0
	for i := int32(0); i >= 0; i = list.next[i] {
		word[n] = word[i]
		n++
	}
	return ids[:start+n], last
}
