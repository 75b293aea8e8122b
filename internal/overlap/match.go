package overlap

import (
	"maps"
	"slices"
)

// Match says that a text shares runs of words with a benchmark item.
type Match struct {
	Item   int
	ID     string
	Shared int     // different runs that both have
	OfItem float64 // Shared by the item's different runs
	OfText float64 // share of the text's runs, place by place, that the item has
	Span   string  // the longest stretch of the text made of shared runs
}

// Match gives the items that share a run with the text, in order.
func (ix *Index) Match(text string) []Match {
	hashes, spans := itemWords(text)
	found := map[int32]*shared{}
	for _, n := range ix.lengths() {
		of := ix.runs[n]
		for at, h := range grams(nil, hashes, n, false) {
			for _, item := range of[h] {
				s := found[item]
				if s == nil {
					s = &shared{runs: map[uint64]struct{}{}, last: -2}
					found[item] = s
				}
				s.add(at, h)
			}
		}
	}
	var out []Match
	for _, i := range slices.Sorted(maps.Keys(found)) {
		s, it := found[i], ix.items[i]
		out = append(out, Match{
			Item:   int(i),
			ID:     it.id,
			Shared: len(s.runs),
			OfItem: float64(len(s.runs)) / float64(it.runs),
			OfText: float64(s.places) / float64(len(hashes)-it.words+1),
			Span:   text[spans[s.longest.from].from:spans[s.longest.to+it.words-1].to],
		})
	}
	return out
}

// Contaminated applies the rule of the options to what Match gave: any match,
// or one with MinShare of an item's runs.
func (ix *Index) Contaminated(matches []Match) bool {
	return slices.ContainsFunc(matches, func(m Match) bool { return m.OfItem >= ix.o.MinShare })
}

// shared is what a text has of one item.
type shared struct {
	runs    map[uint64]struct{}
	places  int
	from    int  // where the stretch under way began, in runs
	last    int  // the last place
	longest span // first and last place of the longest stretch
}

func (s *shared) add(at int, h uint64) {
	s.runs[h] = struct{}{}
	if at != s.last+1 {
		s.from = at
	}
	s.places, s.last = s.places+1, at
	if s.places == 1 || at-s.from > s.longest.to-s.longest.from {
		s.longest = span{s.from, at}
	}
}
