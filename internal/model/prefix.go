package model

import "slices"

// minPiece is the fewest tokens that a piece of a longer sequence has. Shorter
// ones do not pay, and a device may sum few rows in another way: with pieces of
// this length a row's bytes do not depend on where its sequence was cut.
const minPiece = 16

// schedule is an order of sequences in which those that begin alike follow one
// another, so that each takes its beginning from the one before. The beginnings
// are a tree; the order visits it depth first, and so only one path of it, at
// most as long as one sequence, has to be in memory besides what is under way.
type schedule struct {
	order  []int   // indices of the sequences
	shared []int   // by place in order: tokens taken from the place before
	cuts   [][]int // by place in order: lengths at which later places will branch off
}

// newSchedule plans sequences of which own(i) ≤ tokens may come from another:
// the later ones are needed as rows of sequence i itself.
func newSchedule(sequences [][]int32, own func(i int) int) schedule {
	s := schedule{order: make([]int, len(sequences)), shared: make([]int, len(sequences)), cuts: make([][]int, len(sequences))}
	for i := range s.order {
		s.order[i] = i
	}
	if len(sequences) < 2 {
		return s
	}
	sorted := slices.Clone(s.order)
	slices.SortStableFunc(sorted, func(a, b int) int { return slices.Compare(sequences[a], sequences[b]) })
	common := commonWithLast(sequences, sorted, own)
	if slices.Max(common) > 0 {
		s.order = sorted
		s.branch(common)
	}
	return s
}

// commonWithLast returns how many tokens each place of the order can share with
// the place before it.
func commonWithLast(sequences [][]int32, order []int, own func(i int) int) []int {
	common := make([]int, len(order))
	for k := 1; k < len(order); k++ {
		a, b := order[k-1], order[k]
		n := min(own(a), own(b), len(sequences[a])-minPiece, len(sequences[b])-minPiece)
		if n < minPiece {
			continue
		}
		same := 0
		for same < n && sequences[a][same] == sequences[b][same] {
			same++
		}
		if same >= minPiece {
			common[k] = same
		}
	}
	return common
}

// branch finds the nodes of the tree: a run of places whose common values are
// at least n, with n among them, shares n tokens. It becomes a node if that is
// minPiece more than the node above has.
func (s *schedule) branch(common []int) {
	lower := make([]int, len(common)) // the next place with a smaller value
	var waiting []int
	for k := len(common) - 1; k >= 0; k-- {
		for len(waiting) > 0 && common[waiting[len(waiting)-1]] >= common[k] {
			waiting = waiting[:len(waiting)-1]
		}
		lower[k] = len(common)
		if len(waiting) > 0 {
			lower[k] = waiting[len(waiting)-1]
		}
		waiting = append(waiting, k)
	}
	path := []int{0} // lengths of the nodes above the place
	for k := range common {
		for path[len(path)-1] > common[k] {
			path = path[:len(path)-1]
		}
		s.shared[k] = path[len(path)-1]
		var begun []int // nodes whose first place is k, longest first
		for j := k + 1; j < len(common) && common[j] > common[k]; j = lower[j] {
			begun = append(begun, common[j])
		}
		for _, n := range slices.Backward(begun) {
			if n >= path[len(path)-1]+minPiece {
				path = append(path, n)
				s.cuts[k] = append(s.cuts[k], n)
			}
		}
	}
}
