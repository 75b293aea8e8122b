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
// share, which it bounds by the words' lengths and counts.
type similarIndex struct {
	limit float64
	ids   map[string]int32
	texts [][]int32 // words in order, by text
	bags  [][]int32 // the same, sorted
	with  [][]int32 // texts that hold a word, by word
}

func newSimilarIndex(limit float64) *similarIndex {
	return &similarIndex{limit: limit, ids: map[string]int32{}}
}

// add keeps a text; its number is how many were kept before.
func (x *similarIndex) add(text string) {
	words := x.number(text)
	bag := slices.Sorted(slices.Values(words))
	n := int32(len(x.texts))
	x.texts, x.bags = append(x.texts, words), append(x.bags, bag)
	for len(x.with) < len(x.ids) {
		x.with = append(x.with, nil)
	}
	for _, w := range slices.Compact(slices.Clone(bag)) {
		x.with[w] = append(x.with[w], n)
	}
}

func (x *similarIndex) number(text string) []int32 {
	words := wordsOf(text)
	return numberWords(x.ids, words[:min(len(words), longestCompared)])
}

// find is the first kept text that is as similar as the limit, with the
// similarity; -1 for none.
func (x *similarIndex) find(text string) (int, float64) {
	words := x.number(text)
	if len(words) == 0 {
		return -1, 0
	}
	bag := slices.Sorted(slices.Values(words))
	for _, n := range x.candidates(bag) {
		other := x.bags[n]
		shared := sharedWords(bag, other)
		if f1(shared, len(bag), len(other)) < x.limit {
			continue
		}
		if f := f1(lcs(words, x.texts[n]), len(bag), len(other)); f >= x.limit {
			return int(n), f
		}
	}
	return -1, 0
}

// candidates are the texts, ascending, that can be similar enough. Such a text
// has m words with 2·min(n,m) ≥ limit·(n+m), so shares at least half of
// limit·(n+m) with the new one's n, m being least n·limit/(2−limit). If it shares
// s of n words it holds one of any n−s+1 of them: the rarest are looked up.
func (x *similarIndex) candidates(bag []int32) []int32 {
	n := float64(len(bag))
	least := n * x.limit / (2 - x.limit)
	share := int(math.Ceil(x.limit*(n+least)/2 - 1e-9))
	rare := slices.Clone(bag)
	sort.SliceStable(rare, func(i, j int) bool { return x.holding(rare[i]) < x.holding(rare[j]) })
	rare = slices.Compact(rare[:min(len(rare), len(rare)-share+1)])
	var found []int32
	for _, w := range rare {
		if int(w) >= len(x.with) {
			continue
		}
		for _, t := range x.with[w] {
			m := float64(len(x.bags[t]))
			if 2*min(n, m) >= x.limit*(n+m)-1e-9 {
				found = append(found, t)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (x *similarIndex) holding(word int32) int {
	if int(word) >= len(x.with) {
		return 0
	}
	return len(x.with[word])
}

// sharedWords is how many words two sorted bags share, each as often as both have it.
func sharedWords(a, b []int32) int {
	shared := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			shared, i, j = shared+1, i+1, j+1
		}
	}
	return shared
}
