// Package spelling says what somebody may have meant by a word that is none of
// those that can stand in its place.
package spelling

import (
	"fmt"
	"slices"
	"strings"
)

// Unknown is the message for a word that is none of the candidates: it names
// the nearest one, or all if none is near. what says what the word should be.
func Unknown(what, word string, candidates []string) string {
	if len(word) > 60 {
		word = word[:60] + "…"
	}
	if n := nearest(word, candidates); n != "" {
		return fmt.Sprintf("unknown %s %q (did you mean %s?)", what, word, n)
	}
	list := slices.Sorted(slices.Values(candidates))
	return fmt.Sprintf("unknown %s %q: there are %s", what, word, strings.Join(list, ", "))
}

// nearest is the candidate most like word, or "" when none is close.
func nearest(word string, candidates []string) string {
	best, distance := "", max(2, len(word)/3)+1
	for _, c := range candidates {
		if d := editDistance(strings.ToLower(word), strings.ToLower(c)); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// editDistance is Levenshtein's: insertions, deletions and substitutions.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
