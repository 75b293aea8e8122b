package overlap

// maxExamples bounds the pairs that a Tally keeps for people.
const maxExamples = 20

// Tally counts the matches of many texts with an Index, in both directions.
// Add in order for the same examples each time. Not safe for concurrent use.
type Tally struct {
	Texts        int    // texts added
	Matching     int    // that share a run with an item
	Contaminated int    // that the rule of the options drops
	Items        int    // items that share a run with a text; only the first 64 of a run that more have
	ItemsWhole   int    // items of which one text has every run
	Examples     []Pair // the best of each contaminated text, for the first 20

	ix    *Index
	found []byte // by item: the bits below
}

const (
	itemFound = 1 << iota
	itemWhole
)

// Pair is a text and an item with what they share.
type Pair struct {
	Text int // index of the text
	Match
}

// NewTally counts for an Index that has all its items.
func NewTally(ix *Index) *Tally {
	return &Tally{ix: ix, found: make([]byte, len(ix.items))}
}

// Add counts what Match gave for a text and says whether the rule drops it.
func (t *Tally) Add(text int, matches []Match) bool {
	t.Texts++
	if len(matches) == 0 {
		return false
	}
	t.Matching++
	best := matches[0]
	for _, m := range matches {
		if m.OfItem > best.OfItem {
			best = m
		}
		if t.found[m.Item]&itemFound == 0 {
			t.Items++
		}
		t.found[m.Item] |= itemFound
		if m.OfItem == 1 && t.found[m.Item]&itemWhole == 0 {
			t.ItemsWhole++
			t.found[m.Item] |= itemWhole
		}
	}
	drop := t.ix.Contaminated(matches)
	if drop {
		t.Contaminated++
		if len(t.Examples) < maxExamples {
			t.Examples = append(t.Examples, Pair{text, best})
		}
	}
	return drop
}

// Found says whether any text added shares a run with an item.
func (t *Tally) Found(item int) bool { return t.found[item]&itemFound != 0 }
