package model

import (
	"fmt"
	"strings"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// savedModule is trained whole beside low-rank updates: a table, a norm or a
// linear layer, of which one field is set, or the name alone for a table.
type savedModule struct {
	name string
	part *autodiff.Part
	gain *autodiff.Gain
}

// savedModules are the modules whose paths end in one of names, which is
// PEFT's rule: norm means every norm whose name ends so. With strict, a name
// that means nothing is an error.
func (m *Model) savedModules(names []string, strict bool) ([]savedModule, error) {
	embed, head := m.tableNames()
	all := []savedModule{{name: embed}}
	for _, mod := range m.modules() {
		all = append(all, savedModule{name: mod.name, part: mod.part})
	}
	for _, g := range m.gains() {
		all = append(all, savedModule{name: g.name, gain: g.gain})
	}
	all = append(all, savedModule{name: head})
	var list []savedModule
	used := map[string]bool{}
	for _, s := range all {
		chosen := false
		for _, name := range names {
			if name != "" && strings.HasSuffix(s.name, name) {
				chosen, used[name] = true, true
			}
		}
		if chosen {
			list = append(list, s)
		}
	}
	for _, name := range names {
		if strict && !used[name] {
			return nil, fmt.Errorf("modules_to_save: %q is no table, norm or linear layer of a %s model", name, m.Config.ModelType)
		}
	}
	return list, nil
}

// train makes parameters of copies of a module's values.
func (m *Model) train(s savedModule) {
	name := func(field string) string { return paramPrefix + s.name + savedName + "." + field }
	switch {
	case s.gain != nil:
		m.trainVector(name("weight"), &s.gain.Values, &s.gain.Param)
	case s.part != nil:
		m.trainMatrix(name("weight"), &s.part.Weight, &s.part.WeightParam)
		if s.part.Bias != nil {
			m.trainVector(name("bias"), &s.part.Bias, &s.part.BiasParam)
		}
	default:
		m.separate(s.name)
		t := m.tableOf(s.name)
		m.trainMatrix(name("weight"), &t.Weight, &t.Param)
	}
}

func (m *Model) trainMatrix(name string, w **compute.Weight, p **autodiff.Param) {
	old := *w
	m.restore = append(m.restore, func() { *w, *p = old, nil })
	if m.IsOutline() {
		*p = &autodiff.Param{Name: name}
		*w = compute.Outline(compute.F32, old.Out, old.In)
		m.params, m.trainable = append(m.params, *p), m.trainable+old.Out*old.In
		return
	}
	*p = m.addParam(name, m.expand(old))
	*w = compute.SharedF32((*p).Value)
}

func (m *Model) trainVector(name string, values **tensor.Dense, p **autodiff.Param) {
	old := *values
	m.restore = append(m.restore, func() { *values, *p = old, nil })
	a := m.dev.New(old.Shape()...)
	if !m.IsOutline() {
		copy(m.dev.Host(compute.Of(a)), m.dev.Host(compute.Of(old)))
	}
	*values, *p = a, m.addParam(name, a)
}

// freezeSaved keeps the values of what was trained whole, which from then on
// are the model's.
func (m *Model) freezeSaved() {
	m.Embed.Param, m.Head.Param = nil, nil
	for _, mod := range m.modules() {
		mod.part.WeightParam, mod.part.BiasParam = nil, nil
	}
	for _, g := range m.gains() {
		g.gain.Param = nil
	}
}
