package model

import (
	"fmt"
	"strings"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// checkNames refuses a checkpoint with tensors that the configuration does not
// call for: a weight that nobody reads means that the model is another one.
func checkNames(c *Config, names []string) error {
	if c.NumHiddenLayers > len(names) {
		return fmt.Errorf("num_hidden_layers is %d, and there are %d tensors", c.NumHiddenLayers, len(names))
	}
	known := map[string]bool{}
	a := newAssembler(&nameCollector{known}, c)
	a.matrix(a.f.names.embed, 0, 0)
	a.gain(a.f.names.norm, 0)
	a.matrix(a.f.names.head, 0, 0) // stored beside a tied embedding by some writers
	for i := range c.NumHiddenLayers {
		a.layer(i)
	}
	for _, name := range names {
		if !known[name] && !strings.HasSuffix(name, "rotary_emb.inv_freq") {
			return fmt.Errorf("tensor %s is not part of a %s model with this configuration", name, c.ModelType)
		}
	}
	return nil
}

// nameCollector notes the names that are asked for.
type nameCollector struct{ known map[string]bool }

func (n *nameCollector) matrix(name string, _, _ int) (*compute.Weight, error) {
	n.known[name] = true
	return nil, nil
}

func (n *nameCollector) vector(name string, _ int) (*tensor.Dense, error) {
	n.known[name] = true
	return nil, nil
}
