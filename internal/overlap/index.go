package overlap

import (
	"errors"
	"maps"
	"math"
	"slices"

	"github.com/zeebo/xxh3"
)

// maxItems is how many items a run of words names. A run of more is
// boilerplate, and naming each of them for each text would be quadratic: the
// text still matches the first ones.
const maxItems = 64

// Index holds the runs of words of benchmark items, about 50 bytes a run, by
// 64-bit hashes: with g runs in it and w words asked for, some answer is wrong
// with a probability of g·w/2^64. Words are compared in NFKC and lower case,
// and punctuation is ignored. Add all items, then Match from any goroutine.
type Index struct {
	o     IndexOptions
	items []item
	runs  map[int]map[uint64][]int32 // by words a run, by hash: items in order
	short int                        // items too short to be looked for
}

type item struct {
	id    string
	words int // a run; 0: too short
	runs  int // different ones
}

// NewIndex makes an empty Index.
func NewIndex(o IndexOptions) (*Index, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Index{o: o.withDefaults(), runs: map[int]map[uint64][]int32{}}, nil
}

// AddItem adds a benchmark item; the first has index 0. Ids are for people and
// need not differ.
func (ix *Index) AddItem(id, text string) error {
	if len(ix.items) == math.MaxInt32 {
		return errors.New("more benchmark items than 2147483647")
	}
	hashes, _ := itemWords(text)
	n := min(ix.o.N, len(hashes))
	if n < ix.o.MinWords {
		ix.short++
		ix.items = append(ix.items, item{id: id})
		return nil
	}
	runs := grams(nil, hashes, n, false)
	slices.Sort(runs)
	runs = slices.Compact(runs)
	of := ix.runs[n]
	if of == nil {
		of = map[uint64][]int32{}
		ix.runs[n] = of
	}
	for _, h := range runs {
		if len(of[h]) < maxItems {
			of[h] = append(of[h], int32(len(ix.items)))
		}
	}
	ix.items = append(ix.items, item{id, n, len(runs)})
	return nil
}

// Items is how many items were added, and how many of them are too short to be
// looked for.
func (ix *Index) Items() (all, short int) { return len(ix.items), ix.short }

// lengths are the words a run that some item has, in order.
func (ix *Index) lengths() []int { return slices.Sorted(maps.Keys(ix.runs)) }

// itemWords gives a hash of each word and where it is in the text.
func itemWords(text string) ([]uint64, []span) {
	var hashes []uint64
	var spans []span
	for w := range words(text, false) {
		hashes = append(hashes, xxh3.HashString(similar.apply(text[w.from:w.to])))
		spans = append(spans, w)
	}
	return hashes, spans
}
