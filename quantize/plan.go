package quantize

import (
	"fmt"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
)

// plan says what a file will hold.
type plan struct {
	tensors []*plannedTensor
	notes   []string
}

// newPlan chooses the format of every tensor of m.
func newPlan(m *model.Model, target compute.Format, pure bool) (*plan, error) {
	list, err := m.GGUFTensors()
	if err != nil {
		return nil, err
	}
	p := &plan{notes: []string{}}
	var odd []string
	for _, g := range list {
		if g.Vector != nil {
			p.tensors = append(p.tensors, vectorTensor(m, g))
			continue
		}
		t, err := matrixTensor(g)
		if err != nil {
			return nil, err
		}
		head := g.Matrix == m.Head.Weight
		t.format = formatIn(target, pure, t.cols, head)
		if target == compute.Q4_0 && !pure && head {
			p.notes = append(p.notes, fmt.Sprintf("%s is Q8_0, as it makes the logits; pure would make it Q4_0", g.Name))
		}
		if t.format == compute.F16 && target != compute.F16 {
			odd = append(odd, g.Name)
		}
		p.tensors = append(p.tensors, t)
	}
	if len(odd) > 0 {
		p.notes = append(p.notes, fmt.Sprintf("F16, as their rows are not whole blocks of %d values: %s",
			target.BlockValues(), strings.Join(odd, ", ")))
	}
	return p, nil
}

// matrixTensor refuses a matrix that has lost something already: what a
// Summary said of it would be of the wrong source.
func matrixTensor(g model.GGUFTensor) (*plannedTensor, error) {
	w := g.Matrix
	if w.Format.BlockValues() > 1 {
		return nil, fmt.Errorf("tensor %s is %s already: quantize the model that it was made from", g.Name, w.Format)
	}
	return &plannedTensor{name: g.Name, rows: w.Out, cols: w.In,
		source: func(dst []float32, i int) { w.Row(dst, g.Row(i)) }}, nil
}

func vectorTensor(m *model.Model, g model.GGUFTensor) *plannedTensor {
	values := m.Device().Host(compute.Of(g.Vector))
	return &plannedTensor{name: g.Name, format: compute.F32, rows: 1, cols: len(values), vector: true,
		source: func(dst []float32, _ int) {
			for i := range dst {
				dst[i] = values[g.Row(i)]
			}
		}}
}

// quantized tells whether any tensor is in blocks.
func (p *plan) quantized() bool {
	return slices.ContainsFunc(p.tensors, func(t *plannedTensor) bool { return t.format.BlockValues() > 1 })
}
