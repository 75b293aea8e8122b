package tokenizer

import (
	"cmp"
	"slices"
	"sort"
)

// trie finds the prefixes of a text that are in a set of strings. The children
// of a node lie side by side, ordered by their bytes.
type trie struct {
	labels []byte  // the byte that leads to a node
	first  []int32 // of node i: its children are first[i] to first[i+1]
	values []int32 // -1 for a node that is no string of the set
}

// newTrie returns the trie of a set of strings and their values.
func newTrie(values map[string]int32) *trie {
	keys := make([]string, 0, len(values))
	for key := range values {
		if key != "" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	t := &trie{labels: []byte{0}, values: []int32{-1}}
	type group struct{ lo, hi, depth int } // keys that start alike
	groups := []group{{0, len(keys), 0}}
	for i := 0; i < len(groups); i++ {
		g := groups[i]
		t.first = append(t.first, int32(len(t.labels)))
		if g.lo < g.hi && len(keys[g.lo]) == g.depth {
			t.values[i] = values[keys[g.lo]]
			g.lo++
		}
		for g.lo < g.hi {
			b := keys[g.lo][g.depth]
			n := sort.Search(g.hi-g.lo, func(k int) bool { return keys[g.lo+k][g.depth] > b })
			t.labels, t.values = append(t.labels, b), append(t.values, -1)
			groups = append(groups, group{g.lo, g.lo + n, g.depth + 1})
			g.lo += n
		}
	}
	t.first = append(t.first, int32(len(t.labels)))
	return t
}

// child returns the node that a byte leads to, -1 for none.
func (t *trie) child(node int32, b byte) int32 {
	lo, hi := t.first[node], t.first[node+1]
	if hi-lo > 8 {
		i, ok := slices.BinarySearchFunc(t.labels[lo:hi], b, cmp.Compare[byte])
		if !ok {
			return -1
		}
		return lo + int32(i)
	}
	for i := lo; i < hi; i++ {
		if t.labels[i] == b {
			return i
		}
	}
	return -1
}

// longest returns the longest prefix of s in the set and its value, 0 and -1 if
// there is none.
func (t *trie) longest(s string) (n int, value int32) {
	value = -1
	node := int32(0)
	for i := range len(s) {
		if node = t.child(node, s[i]); node < 0 {
			break
		}
		if t.values[node] >= 0 {
			n, value = i+1, t.values[node]
		}
	}
	return n, value
}
