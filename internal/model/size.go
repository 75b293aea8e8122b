package model

import "github.com/retort-ml/retort/internal/compute"

// Bytes is the memory that m's weights take: matrices as they are stored,
// whether read from a mapped file or not, norms, biases, and the values of
// low-rank updates. Gradients are not among them.
func (m *Model) Bytes() int {
	n := 0
	for w := range m.matrices() {
		n += w.Format.MatrixBytes(w.Out, w.In)
	}
	for _, g := range m.gains() {
		n += 4 * g.gain.Values.Shape().TotalSize()
	}
	for _, mod := range m.modules() {
		if mod.part.Bias != nil {
			n += 4 * mod.part.Bias.Shape().TotalSize()
		}
	}
	for _, t := range m.allTargets() {
		if u := *m.slot(t); u != nil {
			n += u.Bytes()
		}
	}
	return n
}

// matrices yields the model's matrices, a tied one once.
func (m *Model) matrices() func(yield func(*compute.Weight) bool) {
	return func(yield func(*compute.Weight) bool) {
		if !yield(m.Embed.Weight) || !m.tied() && !yield(m.Head.Weight) {
			return
		}
		for _, mod := range m.modules() {
			if !yield(mod.part.Weight) {
				return
			}
		}
	}
}

// Trainable is how many values training changes: those of Params.
func (m *Model) Trainable() int { return m.trainable }

// Release gives back the memory of mapped files that were read: the system
// reads again what is used again. It is for after the weights were converted.
func (m *Model) Release() {
	if m.release != nil {
		m.release()
	}
}
