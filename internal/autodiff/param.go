package autodiff

import (
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// Param is an array that training changes. Value and Grad have one shape, of
// rank 1 or 2; running a graph adds to Grad.
type Param struct {
	Name  string
	Value *tensor.Dense
	Grad  *tensor.Dense

	matrix *compute.Weight // that shares Value, from its first use on
}

// NewParam makes a Param of zeros.
func NewParam(dev compute.Device, name string, shape ...int) *Param {
	return &Param{Name: name, Value: dev.New(shape...), Grad: dev.New(shape...)}
}

// weight is the matrix that shares p's values.
func (p *Param) weight() *compute.Weight {
	if p.matrix == nil || p.matrix.Array() != p.Value {
		p.matrix = compute.SharedF32(p.Value)
	}
	return p.matrix
}
