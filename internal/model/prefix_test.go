package model

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/random"
)

// sequence makes n tokens that follow from the names alone: one name's tokens
// after those of the names before.
func sequence(parts ...any) []int32 {
	var s []int32
	for i := 0; i < len(parts); i += 2 {
		rng := random.Stream(4, parts[i].(string))
		for range parts[i+1].(int) {
			s = append(s, int32(rng.IntN(11)))
		}
	}
	return s
}

func ownLast(sequences [][]int32) func(i int) int {
	return func(i int) int { return len(sequences[i]) - 1 }
}

func TestSchedule(t *testing.T) {
	for _, c := range []struct {
		name      string
		sequences [][]int32
		shared    []int // of each sequence, in the order given
	}{
		{"none", nil, nil},
		{"one", [][]int32{sequence("a", 99)}, []int{0}},
		{"strangers", [][]int32{sequence("b", 50), sequence("a", 50)}, []int{0, 0}},
		{"a beginning", [][]int32{sequence("p", 40, "a", 30), sequence("p", 40, "b", 30)}, []int{0, 40}},
		{"one too short", [][]int32{sequence("p", 15, "a", 30), sequence("p", 15, "b", 30)}, []int{0, 0}},
		{"just long enough", [][]int32{sequence("p", 16, "a", 30), sequence("p", 16, "b", 30)}, []int{0, 16}},
		{"the same", [][]int32{sequence("p", 50), sequence("p", 50), sequence("p", 50)}, []int{0, 34, 34}},
		{"the same, too short", [][]int32{sequence("p", 31), sequence("p", 31)}, []int{0, 0}},
		{"one is the beginning of the other", [][]int32{sequence("p", 50), sequence("p", 50, "a", 90)}, []int{0, 34}},
		{"little of their own", [][]int32{sequence("p", 50, "a", 3), sequence("p", 50, "b", 3)}, []int{0, 37}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSchedule(c.sequences, ownLast(c.sequences))
			checkSchedule(t, s, c.sequences, ownLast(c.sequences))
			got := make([]int, len(c.sequences))
			for k, i := range s.order {
				got[k] = s.shared[k]
				if c.shared != nil && c.shared[len(c.shared)-1] == 0 && i != k {
					t.Errorf("order %v with nothing to share", s.order)
				}
			}
			if !slices.Equal(got, c.shared) && len(got)+len(c.shared) > 0 {
				t.Errorf("shared %v, want %v", got, c.shared)
			}
		})
	}
	limited := [][]int32{sequence("p", 60, "a", 30), sequence("p", 60, "b", 30)}
	if s := newSchedule(limited, func(i int) int { return 25 + i }); s.shared[1] != 25 {
		t.Errorf("%d shared where rows from 25 on are asked for", s.shared[1])
	}
}

// Two levels: a system prompt, and examples within it.
func TestScheduleOfNestedBeginnings(t *testing.T) {
	var list [][]int32
	for _, parts := range [][]any{
		{"sys", 100, "x", 50, "1", 20}, {"sys", 100, "y", 50, "2", 20}, {"other", 70},
		{"sys", 100, "x", 50, "3", 20}, {"sys", 100, "y", 50, "4", 20}, {"sys", 100, "5", 20},
	} {
		list = append(list, sequence(parts...))
	}
	s := newSchedule(list, ownLast(list))
	checkSchedule(t, s, list, ownLast(list))
	rows := 0
	for k, i := range s.order {
		rows += len(list[i]) - s.shared[k]
	}
	if want := 100 + 2*50 + 5*20 + 70; rows != want {
		t.Errorf("%d rows to compute, want %d", rows, want)
	}
}

// checkSchedule checks what a feed relies on.
func checkSchedule(t *testing.T, s schedule, sequences [][]int32, own func(i int) int) {
	t.Helper()
	if !slices.Equal(slices.Sorted(slices.Values(s.order)), makeRange(len(sequences))) {
		t.Fatalf("order %v of %d", s.order, len(sequences))
	}
	var ends []int // of the parts of the place before
	for k, i := range s.order {
		n, q := s.shared[k], sequences[i]
		if n > 0 && !slices.Equal(q[:n], sequences[s.order[k-1]][:n]) {
			t.Fatalf("place %d shares %d tokens it does not have", k, n)
		}
		if n > 0 && (n < minPiece || n > own(i) || len(q)-n < minPiece) {
			t.Fatalf("place %d shares %d of %d tokens, its own are from %d on", k, n, len(q), own(i))
		}
		if n > 0 && !slices.Contains(ends, n) {
			t.Fatalf("place %d shares %d tokens, the one before has parts to %v", k, n, ends)
		}
		ends = slices.DeleteFunc(ends, func(end int) bool { return end > n })
		for _, cut := range s.cuts[k] {
			if cut < n+minPiece || cut > len(q)-minPiece {
				t.Fatalf("place %d of %d tokens after %d is cut at %v", k, len(q), n, s.cuts[k])
			}
			n = cut
			ends = append(ends, cut)
		}
	}
}

func makeRange(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// randomTree makes sequences that branch off one another anywhere.
func randomTree(rng *rand.Rand, n, longest int) [][]int32 {
	var list [][]int32
	for range n {
		var s []int32
		if len(list) > 0 && rng.IntN(5) > 0 {
			from := list[rng.IntN(len(list))]
			s = slices.Clone(from[:rng.IntN(len(from)+1)])
		}
		for range 1 + rng.IntN(longest) {
			s = append(s, int32(rng.IntN(11)))
		}
		list = append(list, s[:min(len(s), longest)])
	}
	return list
}

func TestScheduleOfRandomTrees(t *testing.T) {
	rng := random.Stream(6, "trees")
	for range 300 {
		list := randomTree(rng, rng.IntN(40), 150)
		own := ownLast(list)
		s := newSchedule(list, own)
		checkSchedule(t, s, list, own)
		// A perfect plan computes each different beginning once; ours may repeat
		// less than two pieces for each sequence.
		different := map[string]bool{}
		rows := 0
		for k, i := range s.order {
			rows += len(list[i]) - s.shared[k]
			var key []byte
			for _, id := range list[i] {
				key = append(key, byte(id))
				different[string(key)] = true
			}
		}
		if most := len(different) + 2*minPiece*len(list); rows > most {
			t.Fatalf("%d rows of %d different beginnings, %d sequences", rows, len(different), len(list))
		}
	}
}
