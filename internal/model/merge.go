package model

import (
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// Merge adds every low-rank update to its matrix, in float32, and removes the
// update: W + scale·B·A, for DoRA with every row scaled to its magnitude. What
// was trained whole stays as it is now. A tied head that is no longer the
// embedding gets a matrix of its own. Without updates Merge does nothing.
func (m *Model) Merge() {
	if m.LoRA == nil {
		return
	}
	for _, t := range m.allTargets() {
		slot := m.slot(t)
		if *slot == nil {
			continue
		}
		merged := m.merged(*slot, m.weightOf(t), t.embedding())
		if t.part != nil {
			t.part.Weight = merged
		} else {
			m.tableOf(t.name).Weight = merged
		}
		*slot = nil
	}
	m.freezeSaved()
	m.join()
	m.forgetParams()
}

// merged is w with the update u, in a matrix of its own.
func (m *Model) merged(u *autodiff.LoRA, w *compute.Weight, embedding bool) *compute.Weight {
	if m.IsOutline() {
		return compute.Outline(compute.F32, w.Out, w.In)
	}
	merged := m.expand(w)
	if embedding {
		// W[v,d] += scale·Σ_r A[r,v]·B[d,r]: an outer product of A with B's transpose.
		transposed := m.transpose(u.B)
		m.dev.MatMulOuter(compute.Of(merged), compute.Of(u.A.Value), transposed, u.Scale, true)
		return compute.SharedF32(merged)
	}
	// W[o,i] += scale·Σ_r B[o,r]·A[r,i]: the gradient product of B with A as the weight.
	m.dev.MatMulGrad(compute.Of(merged), compute.Of(u.B.Value), compute.SharedF32(u.A.Value), u.Scale, true)
	if u.Magnitude != nil {
		u.ScaleRows(m.dev, compute.Of(merged))
	}
	return compute.SharedF32(merged)
}

// transpose copies p's matrix (a,b) to one of (b,a).
func (m *Model) transpose(p *autodiff.Param) compute.Mat {
	rows, cols := p.Value.Shape()[0], p.Value.Shape()[1]
	out := compute.Of(m.dev.New(cols, rows))
	from, to := m.dev.Host(compute.Of(p.Value)), m.dev.Host(out)
	for i := range rows {
		for j := range cols {
			to[j*rows+i] = from[i*cols+j]
		}
	}
	return out
}
