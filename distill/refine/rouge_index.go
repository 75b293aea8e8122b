package refine

import (
	"math"
	"slices"
	"sort"
)

// longestCompared is how many words of a text are compared.
const longestCompared = 2000

// similarIndex finds texts whose ROUGE-L with a new one reaches a limit. It
// gives exactly what comparing with every text would, and compares with few: a
// longest common subsequence is at most as long as the words that two texts
// share, and how many those can be follows from lengths and rare words.
type similarIndex struct {
	limit float64
	words map[string]int32
	nth   map[[2]int32]int32 // numbers of a word's 1st, 2nd, … occurrence in a text
	texts [][]int32          // words in order, by text
	sets  [][]int32          // their occurrences, sorted, by text
	with  [][]int32          // texts, by occurrence
	hits  []int32            // by text, zero between calls
}

func newSimilarIndex(limit float64) *similarIndex {
	return &similarIndex{limit: limit, words: map[string]int32{}, nth: map[[2]int32]int32{}}
}

// number gives a text's words as numbers, and the set of their occurrences: two
// texts share as many words as their sets have members in common.
func (x *similarIndex) number(text string) (words, set []int32) {
	all := wordsOf(text)
	words = numberWords(x.words, all[:min(len(all), longestCompared)])
	seen := map[int32]int32{}
	for _, w := range words {
		seen[w]++
		key := [2]int32{w, seen[w]}
		id, ok := x.nth[key]
		if !ok {
			id = int32(len(x.nth))
			x.nth[key] = id
			x.with = append(x.with, nil)
		}
		set = append(set, id)
	}
	slices.Sort(set)
	return words, set
}

// add keeps a text; its number is how many were kept before.
func (x *similarIndex) add(text string) {
	words, set := x.number(text)
	for _, o := range set {
		x.with[o] = append(x.with[o], int32(len(x.texts)))
	}
	x.texts, x.sets, x.hits = append(x.texts, words), append(x.sets, set), append(x.hits, 0)
}

// find is the first kept text that is as similar as the limit, with the
// similarity; -1 for none.
func (x *similarIndex) find(text string) (int, float64) {
	words, set := x.number(text)
	best, similarity := -1, 0.0
	if len(set) == 0 {
		return best, similarity
	}
	sequence := newSequence(words)
	for _, t := range x.candidates(set) {
		if best >= 0 && int(t) > best {
			continue
		}
		other := x.sets[t]
		if shared(set, other) < x.needed(len(set), len(other)) {
			continue
		}
		if f := f1(sequence.common(x.texts[t]), len(set), len(other)); f >= x.limit {
			best, similarity = int(t), f
		}
	}
	return best, similarity
}

// needed is how many words texts of n and m words must share to be similar.
func (x *similarIndex) needed(n, m int) int {
	return int(math.Ceil(x.limit*float64(n+m)/2 - 1e-9))
}

// candidates are the texts, in no order, that can be similar enough to a set of n
// occurrences. A text of m shares at most min(n,m) of them, so m is at least
// n·limit/(2−limit), and needed of that says how many it shares at least. A text
// that shares s of n has one of any n−s+1: the rarest of the set are looked up.
func (x *similarIndex) candidates(set []int32) []int32 {
	n := len(set)
	least := int(math.Ceil(float64(n)*x.limit/(2-x.limit) - 1e-9))
	rare := slices.Clone(set)
	sort.SliceStable(rare, func(i, j int) bool { return len(x.with[rare[i]]) < len(x.with[rare[j]]) })
	prefix := min(n, n-x.needed(n, least)+1)
	var touched []int32
	for i, o := range rare[:prefix] {
		for _, t := range x.with[o] {
			if x.hits[t] == 0 {
				m := len(x.sets[t])
				if needed := x.needed(n, m); needed > m || needed > n-i { // n-i are left to share
					continue
				}
				touched = append(touched, t)
			}
			x.hits[t]++
		}
	}
	found := touched[:0]
	for _, t := range touched {
		if int(x.hits[t])+n-prefix >= x.needed(n, len(x.sets[t])) {
			found = append(found, t)
		}
		x.hits[t] = 0
	}
	return found
}

// shared is how many members two sorted sets have in common.
func shared(a, b []int32) int {
	n := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			n, i, j = n+1, i+1, j+1
		}
	}
	return n
}
