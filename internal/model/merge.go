package model

import (
	"fmt"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// Merge adds every low-rank update to its matrix, in float32, and removes the
// update: W + scale·B·A, for DoRA with every row scaled to its magnitude. What
// was trained whole stays as it is now. A tied head that is no longer the
// embedding gets a matrix of its own. Without updates Merge does nothing. An
// update with a bias of a layer that has none is an error, and m as before: as
// in PEFT, a model is not given biases that its architecture has not.
func (m *Model) Merge() error {
	if err := m.Mergeable(); err != nil || m.LoRA == nil {
		return err
	}
	for _, t := range m.allTargets() {
		slot := m.slot(t)
		if *slot == nil {
			continue
		}
		merged := m.merged(*slot, m.weightOf(t), t.embedding())
		if t.part != nil {
			m.addUpdateBias(*slot, t.part)
			t.part.Weight = merged
		} else {
			m.tableOf(t.name).Weight = merged
		}
		*slot = nil
	}
	m.freezeSaved()
	m.join()
	m.forgetParams()
	return nil
}

// Mergeable is the error that Merge would return.
func (m *Model) Mergeable() error {
	for _, t := range m.allTargets() {
		u := *m.slot(t)
		if u != nil && u.Bias != nil && (t.part == nil || t.part.Bias == nil) {
			return fmt.Errorf("merge: lora_bias: layer %s has no bias to which its update's could be added", t.name)
		}
	}
	return nil
}

// addUpdateBias adds an update's bias to the layer's own, in a vector of its own.
func (m *Model) addUpdateBias(u *autodiff.LoRA, p *autodiff.Part) {
	if u.Bias != nil && !m.IsOutline() {
		p.Bias = sumOfBiases(m.dev, u, p.Bias)
	}
}

// sumOfBiases is a layer's bias with that of its update.
func sumOfBiases(dev compute.Device, u *autodiff.LoRA, bias *tensor.Dense) *tensor.Dense {
	sum := dev.New(bias.Shape()...)
	values, own, update := dev.Host(compute.Of(sum)), dev.Host(compute.Of(bias)), dev.Host(compute.Of(u.Bias.Value))
	for i := range values {
		values[i] = own[i] + u.Scale*update[i]
	}
	return sum
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
	} else {
		// W[o,i] += scale·Σ_r B[o,r]·A[r,i]: the gradient product of B with A as the weight.
		m.dev.MatMulGrad(compute.Of(merged), compute.Of(u.B.Value), compute.SharedF32(u.A.Value), u.Scale, true)
	}
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
