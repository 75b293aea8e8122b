package recipes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/spelling"
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

// unknown is the message for a word that is none of the candidates.
func unknown(what, word string, candidates []string) string {
	return spelling.Unknown(what, word, candidates)
}
