package model

import (
	"cmp"
	"maps"
	"slices"

	"github.com/retort-ml/retort/internal/compute"
)

// FormatCount says how much of a model is in one format.
type FormatCount struct {
	Format  compute.Format
	Tensors int
	Values  int
	Bytes   int // as they are in memory, or in the mapped file
}

// Formats counts m's frozen and trained weights by the format in which they are
// kept, those with most bytes first: matrices, a tied one once, and as F32 norms
// and biases. Low-rank updates are left out. It works on outlines.
func (m *Model) Formats() []FormatCount {
	counts := map[compute.Format]*FormatCount{}
	add := func(f compute.Format, values, bytes int) {
		if counts[f] == nil {
			counts[f] = &FormatCount{Format: f}
		}
		counts[f].Tensors++
		counts[f].Values += values
		counts[f].Bytes += bytes
	}
	for w := range m.matrices() {
		add(w.Format, w.Out*w.In, w.Format.MatrixBytes(w.Out, w.In))
	}
	for _, g := range m.gains() {
		n := g.gain.Values.Shape().TotalSize()
		add(compute.F32, n, 4*n)
	}
	for _, mod := range m.modules() {
		if mod.part.Bias != nil {
			n := mod.part.Bias.Shape().TotalSize()
			add(compute.F32, n, 4*n)
		}
	}
	var list []FormatCount
	for _, f := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, *counts[f])
	}
	slices.SortStableFunc(list, func(a, b FormatCount) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return list
}
