package recipes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong in a recipe.
type Fault struct {
	File    string
	Line    int // 1-based; 0 when no line is to blame
	Path    string
	Message string
}

// Error is file:line: path: message.
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	return b.String() + f.Message
}

// Faults are all that is wrong in a recipe, by line.
type Faults []Fault

// Error lists the faults, one a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

func (f Faults) sorted() Faults {
	slices.SortStableFunc(f, func(a, b Fault) int { return a.Line - b.Line })
	return f
}

// IsFault tells whether err says that a recipe, not the work, is wrong.
func IsFault(err error) bool {
	var f Faults
	return errors.As(err, &f)
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

// unknown is the message for a word that is none of the candidates.
func unknown(what, word string, candidates []string) string {
	if len(word) > 60 {
		word = word[:60] + "…"
	}
	if n := nearest(word, candidates); n != "" {
		return fmt.Sprintf("unknown %s %q (did you mean %s?)", what, word, n)
	}
	list := slices.Sorted(slices.Values(candidates))
	return fmt.Sprintf("unknown %s %q: there are %s", what, word, strings.Join(list, ", "))
}
