package distill

import (
	"fmt"
	"strings"
)

// LabelDistributions returns, per example in the order of their first rows, its
// ID and the share that each label has in the weights of its answers, as
// NewClassObjective takes them. label says which label an answer names, by its
// index below labels, and false for an answer that names none: it counts for
// nothing. An example that no answer names a label of is an error.
func LabelDistributions(rows []Row, labels int, label func(answer string) (int, bool)) (ids []string, shares [][]float64, err error) {
	index := map[string]int{}
	for i := range rows {
		r := &rows[i]
		at, known := index[r.ID]
		if !known {
			at = len(ids)
			index[r.ID] = at
			ids, shares = append(ids, r.ID), append(shares, make([]float64, labels))
		}
		n, ok := label(strings.TrimSpace(r.Answer))
		switch {
		case !ok || r.Target == TargetRationale:
		case n < 0 || n >= labels:
			return nil, nil, fmt.Errorf("row %d (%s): label %d of %d", i, r.ID, n, labels)
		default:
			shares[at][n] += float64(r.Weight)
		}
	}
	for i, row := range shares {
		total := 0.0
		for _, w := range row {
			total += w
		}
		if !(total > 0) {
			return nil, nil, fmt.Errorf("example %s: none of its answers names a label", ids[i])
		}
		for j := range row {
			row[j] /= total
		}
	}
	return ids, shares, nil
}
