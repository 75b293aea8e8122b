package quantize

import (
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
)

// Outline gives the matrices of m, which is an outline, the formats that they
// have in the file that WriteGGUF makes of such a model.
func Outline(m *model.Model, o Options) error {
	target, err := o.format()
	if err != nil {
		return err
	}
	convert := func(w *compute.Weight) *compute.Weight {
		return compute.Outline(formatIn(target, o.Pure, w.In, w == m.Head.Weight), w.Out, w.In)
	}
	for _, part := range m.Linears() {
		part.Weight = convert(part.Weight)
	}
	tables := []*autodiff.Table{m.Embed}
	if m.Head != m.Embed {
		tables = append(tables, m.Head)
	}
	for _, t := range tables {
		t.Weight = convert(t.Weight)
	}
	return nil
}

// formatIn is the format of a matrix with rows of cols values in a file of the
// target format; head says that it makes the logits.
func formatIn(target compute.Format, pure bool, cols int, head bool) compute.Format {
	if target == compute.Q4_0 && !pure && head {
		target = compute.Q8_0
	}
	if cols%target.BlockValues() != 0 {
		return compute.F16
	}
	return target
}
