package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// GGUFUpdate is one of the two matrices of a low-rank update under llama.cpp's name.
type GGUFUpdate struct {
	Name       string
	Rows, Cols int
	Values     []float32 // (Rows,Cols)
}

// GGUFUpdates lists the low-rank updates of m as a GGUF adapter holds them, and
// its alpha: llama.cpp scales an update by alpha/r, r being the rank of each.
// Where the updates want different alphas, what they differ by is in B.
// What such a file cannot say is an error: merge the updates instead.
func (m *Model) GGUFUpdates() (alpha float32, list []GGUFUpdate, err error) {
	if err := m.checkGGUFUpdates(); err != nil {
		return 0, nil, err
	}
	for _, t := range m.allTargets() {
		u := *m.slot(t)
		if u == nil {
			continue
		}
		r := u.A.Value.Shape()[0]
		own := u.Scale * float32(r)
		if alpha == 0 {
			if alpha = own; own == 0 {
				alpha = 1 // as 0 would mean no scale at all
			}
		}
		a, b := m.ggufUpdate(t, u)
		for i := range b.Values {
			b.Values[i] *= own / alpha
		}
		list = append(list, a, b)
	}
	return alpha, list, nil
}

// checkGGUFUpdates refuses what llama.cpp does not do with adapters.
func (m *Model) checkGGUFUpdates() error {
	switch c := &m.Config; {
	case m.LoRA == nil:
		return fmt.Errorf("the model has no low-rank updates")
	case c.gguf() == nil:
		return fmt.Errorf("model type %q: supported in GGUF are %s", c.ModelType, strings.Join(ggufModelTypes(), ", "))
	case m.LoRA.DoRA:
		return fmt.Errorf("use_dora: a GGUF adapter has no magnitudes: merge instead")
	case m.LoRA.LoRABias:
		return fmt.Errorf("lora_bias: a GGUF adapter has no biases")
	case trainsOwnBiases(m.params):
		return fmt.Errorf("bias %s: a GGUF adapter has no biases: merge instead", m.LoRA.Bias)
	case m.savesModules():
		return fmt.Errorf("modules_to_save %v: a GGUF adapter has no whole modules: merge instead", m.LoRA.ModulesToSave)
	case m.Head != m.Embed && c.TieWordEmbeddings:
		return fmt.Errorf("an update of a tied embedding or head: llama.cpp knows one matrix for both: merge instead")
	}
	return nil
}

// savesModules tells whether anything is trained whole beside the updates.
func (m *Model) savesModules() bool {
	return slices.ContainsFunc(m.params, func(p *autodiff.Param) bool { return storedName(p.Name) != p.Name })
}

// ggufUpdate is u with the rows of B in llama.cpp's order. An embedding's A has
// a row for each token there.
func (m *Model) ggufUpdate(t target, u *autodiff.LoRA) (a, b GGUFUpdate) {
	name := m.Config.ggufName(t.name + ".weight")
	am := compute.Of(u.A.Value)
	if t.embedding() {
		am = m.transpose(u.A)
	}
	bm := compute.Of(u.B.Value)
	from := m.dev.Host(bm)
	rows := GGUFTensor{}
	if interleaved(m.Config.ModelType, t.name+".weight") {
		rows.headDim = m.Config.HeadDim
	}
	values := make([]float32, 0, len(from))
	for i := range bm.Rows {
		j := rows.Row(i)
		values = append(values, from[j*bm.Cols:(j+1)*bm.Cols]...)
	}
	return GGUFUpdate{name + ".lora_a", am.Rows, am.Cols, slices.Clone(m.dev.Host(am))},
		GGUFUpdate{name + ".lora_b", bm.Rows, bm.Cols, values}
}
