package model

import (
	"fmt"
	"strings"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

func isGain(name string) bool { return strings.HasSuffix(name, "norm.weight") }

// Unfreeze makes every weight a Param, converting matrices to float32. Those
// that are float32 arrays already, not parts of a file, are trained themselves.
func (m *Model) Unfreeze() error {
	if m.LoRA != nil {
		return fmt.Errorf("train all weights: the model has low-rank updates: merge them first")
	}
	m.params, m.trainable = nil, 0
	names := &m.Config.family().names
	m.unfreezeTable(names.embed+".weight", m.Embed)
	gains := m.gains()
	last := len(gains) - 1
	for _, g := range gains[:last] {
		m.unfreezeGain(g)
	}
	for _, mod := range m.modules() {
		mod.part.Weight, mod.part.WeightParam = m.unfreezeMatrix(mod.name+".weight", mod.part.Weight)
		if mod.part.Bias != nil {
			mod.part.BiasParam = m.addParam(mod.name+".bias", mod.part.Bias)
		}
	}
	m.unfreezeGain(gains[last])
	if m.Head != m.Embed {
		m.unfreezeTable(names.head+".weight", m.Head)
	}
	return nil
}

func (m *Model) addParam(name string, values *tensor.Dense) *autodiff.Param {
	p := &autodiff.Param{Name: name, Value: values, Grad: m.dev.New(values.Shape()...)}
	m.params = append(m.params, p)
	m.trainable += values.Shape().TotalSize()
	return p
}

func (m *Model) unfreezeGain(g norm) { g.gain.Param = m.addParam(g.name+".weight", g.gain.Values) }

func (m *Model) unfreezeTable(name string, t *autodiff.Table) {
	t.Weight, t.Param = m.unfreezeMatrix(name, t.Weight)
}

func (m *Model) unfreezeMatrix(name string, w *compute.Weight) (*compute.Weight, *autodiff.Param) {
	if m.IsOutline() {
		p := &autodiff.Param{Name: name}
		m.params, m.trainable = append(m.params, p), m.trainable+w.Out*w.In
		return compute.Outline(compute.F32, w.Out, w.In), p
	}
	if a := w.Array(); a != nil {
		return w, m.addParam(name, a)
	}
	p := m.addParam(name, m.expand(w))
	return compute.SharedF32(p.Value), p
}

// expand copies w to a float32 array of the device.
func (m *Model) expand(w *compute.Weight) *tensor.Dense {
	a := m.dev.New(w.Out, w.In)
	values := m.dev.Host(compute.Of(a))
	for i := range w.Out {
		w.Row(values[i*w.In:(i+1)*w.In], i)
	}
	return a
}
