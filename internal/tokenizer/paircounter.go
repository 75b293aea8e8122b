package tokenizer

import (
	"cmp"
	"container/heap"
	"slices"
)

// pairCounter merges the most frequent pair of symbols again and again, keeping
// the counts of all pairs up to date instead of counting anew.
type pairCounter struct {
	tokens  []string // by id
	ids     map[string]int32
	byteIDs [256]int32
	words   []countedWord
	counts  map[uint64]int64
	where   map[uint64][]int32 // words that had the pair when it was noted
	queue   pairQueue
	merges  [][2]string
}

type countedWord struct {
	symbols []int32
	count   int64
}

// maxTrainWord is the number of symbols at which a word is cut for counting.
// Text without spaces would otherwise cost time with the square of its length.
const maxTrainWord = 256

func newPairCounter(tokens []string) *pairCounter {
	c := &pairCounter{
		tokens: slices.Clone(tokens), ids: make(map[string]int32),
		counts: make(map[uint64]int64), where: make(map[uint64][]int32),
	}
	for id, t := range tokens {
		c.ids[t] = int32(id)
	}
	for b := range c.byteIDs {
		c.byteIDs[b] = c.ids[string(byteRunes[b])]
	}
	return c
}

// addWord adds a word, in bytes, that occurs n times.
func (c *pairCounter) addWord(word string, n int64) {
	for len(word) > 0 {
		part := word[:min(len(word), maxTrainWord)]
		word = word[len(part):]
		if len(part) < 2 {
			continue
		}
		symbols := make([]int32, len(part))
		for i := range len(part) {
			symbols[i] = c.byteIDs[part[i]]
		}
		at := int32(len(c.words))
		c.words = append(c.words, countedWord{symbols, n})
		for i := range len(symbols) - 1 {
			c.count(pairKey(symbols[i], symbols[i+1]), n, at)
		}
	}
}

// count changes a pair's count and, when it grows, notes the word it is in.
func (c *pairCounter) count(pair uint64, by int64, word int32) {
	c.counts[pair] += by
	if by < 0 {
		return
	}
	if list := c.where[pair]; len(list) == 0 || list[len(list)-1] != word {
		c.where[pair] = append(list, word)
	}
}

// merge makes tokens until there are vocabSize or no pair occurs minCount times.
func (c *pairCounter) merge(vocabSize int, minCount int64) {
	for pair, n := range c.counts {
		c.queue = append(c.queue, countedPair{pair, n})
	}
	heap.Init(&c.queue)
	for len(c.queue) > 0 && len(c.tokens) < vocabSize {
		top := c.queue[0]
		if now := c.counts[top.pair]; now != top.count { // counts only fall once queued
			c.queue[0].count = now
			heap.Fix(&c.queue, 0)
			continue
		}
		if top.count < minCount {
			return
		}
		heap.Pop(&c.queue)
		left, right := int32(top.pair>>32), int32(uint32(top.pair))
		merged := c.tokens[left] + c.tokens[right]
		if _, exists := c.ids[merged]; exists {
			// A second way to a token would make pairs that were merged before come
			// up again, and the characters of a named token must not become it.
			continue
		}
		id := int32(len(c.tokens))
		c.ids[merged] = id
		c.tokens = append(c.tokens, merged)
		c.merges = append(c.merges, [2]string{c.tokens[left], c.tokens[right]})
		c.replace(top.pair, left, right, id)
	}
}

// replace writes id for the pair in every word that has it.
func (c *pairCounter) replace(pair uint64, left, right, id int32) {
	where := c.where[pair]
	delete(c.where, pair)
	grown := make(map[uint64]bool)
	for _, at := range where {
		w := &c.words[at]
		old := w.symbols
		out := old[:0]
		for i := 0; i < len(old); i++ {
			if i+1 == len(old) || old[i] != left || old[i+1] != right {
				out = append(out, old[i])
				continue
			}
			if n := len(out); n > 0 {
				c.count(pairKey(out[n-1], left), -w.count, at)
				c.count(pairKey(out[n-1], id), w.count, at)
				grown[pairKey(out[n-1], id)] = true
			}
			if i+2 < len(old) {
				c.count(pairKey(right, old[i+2]), -w.count, at)
				c.count(pairKey(id, old[i+2]), w.count, at)
				grown[pairKey(id, old[i+2])] = true
			}
			out = append(out, id)
			i++
		}
		w.symbols = out
	}
	delete(c.counts, pair)
	for p := range grown {
		if n := c.counts[p]; n > 0 {
			heap.Push(&c.queue, countedPair{p, n})
		}
	}
}

type countedPair struct {
	pair  uint64
	count int64
}

// pairQueue is a heap: highest count first, then lowest pair of ids.
type pairQueue []countedPair

func (q pairQueue) Len() int { return len(q) }

func (q pairQueue) Less(i, j int) bool {
	if q[i].count != q[j].count {
		return q[i].count > q[j].count
	}
	return cmp.Less(q[i].pair, q[j].pair)
}

func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

func (q *pairQueue) Push(x any) { *q = append(*q, x.(countedPair)) }

func (q *pairQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
