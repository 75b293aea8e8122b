package model

import (
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// tableNames are the paths of the embedding and of the head.
func (m *Model) tableNames() (embed, head string) {
	n := &m.Config.family().names
	return n.embed, n.head
}

// target is what can get a low-rank update: a linear layer, or, without a
// part, the embedding or the head.
type target struct {
	name string // Hugging Face path
	part *autodiff.Part
	head bool
}

func (t target) embedding() bool { return t.part == nil && !t.head }

// allTargets lists everything that can get an update, in the model's order.
func (m *Model) allTargets() []target {
	embed, head := m.tableNames()
	list := []target{{name: embed}}
	for _, mod := range m.modules() {
		list = append(list, target{name: mod.name, part: mod.part})
	}
	return append(list, target{name: head, head: true})
}

// slot is where a target's update is kept.
func (m *Model) slot(t target) **autodiff.LoRA {
	if t.part != nil {
		return &t.part.LoRA
	}
	return &m.tableOf(t.name).LoRA
}

// weightOf is a target's matrix.
func (m *Model) weightOf(t target) *compute.Weight {
	if t.part != nil {
		return t.part.Weight
	}
	return m.tableOf(t.name).Weight
}

func (m *Model) tableOf(name string) *autodiff.Table {
	if embed, _ := m.tableNames(); name == embed {
		return m.Embed
	}
	return m.Head
}

// separate gives a tied head a table of its own if name is one of the two
// tables. They share their matrix until one gets another.
func (m *Model) separate(name string) {
	if embed, last := m.tableNames(); m.Head != m.Embed || name != embed && name != last {
		return
	}
	head := *m.Embed
	head.LoRA = nil
	m.Head = &head
	m.restore = append(m.restore, func() { m.Head = m.Embed })
}

// tied tells whether head and embedding are one matrix.
func (m *Model) tied() bool { return m.Head.Weight == m.Embed.Weight }

// join makes the head the embedding's table again, where both still have one
// matrix, or else notes that the model's tables are two.
func (m *Model) join() {
	if m.tied() {
		m.Head = m.Embed
		return
	}
	m.Config.TieWordEmbeddings = false
}
