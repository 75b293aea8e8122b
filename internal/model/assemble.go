package model

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

// Assemble makes a frozen model of c whose matrices are what matrix returns
// for each (out, in) that the configuration calls for, by Hugging Face names
// such as model.layers.0.mlp.up_proj.weight. Norms are one and biases zero, as
// New has them.
func Assemble(dev compute.Device, c Config, matrix func(name string, out, in int) (*compute.Weight, error)) (*Model, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("assemble model: %w", err)
	}
	m, err := assemble(dev, c, &givenMatrices{randomWeights{dev: dev, one: 1 - c.family().gainOffset}, matrix})
	if err != nil {
		return nil, fmt.Errorf("assemble model: %w", err)
	}
	return m, nil
}

// givenMatrices has the vectors of a new model, and matrices from elsewhere.
type givenMatrices struct {
	randomWeights
	give func(name string, out, in int) (*compute.Weight, error)
}

func (g *givenMatrices) matrix(name string, out, in int) (*compute.Weight, error) {
	w, err := g.give(name, out, in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if w.Out != out || w.In != in {
		return nil, fmt.Errorf("%s is (%d, %d), the configuration wants (%d, %d)", name, w.Out, w.In, out, in)
	}
	return w, nil
}
