package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"

	"gorgonia.org/tensor"
)

// SaveAdapter writes the low-rank updates, and the modules that were trained
// whole, as a PEFT adapter directory for sequence classification, with base as
// base_model_name_or_path.
func (c *Classifier) SaveAdapter(dir, base string) error {
	if c.LoRA == nil {
		return fmt.Errorf("save adapter %s: the model has no low-rank updates", dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	tensors := make([]safetensors.Tensor, len(c.params))
	for i, p := range c.params {
		tensors[i] = floatTensor(c.dev, storedName(p.Name), p.Value)
	}
	if err := safetensors.WriteFile(filepath.Join(dir, adapterWeightsFile), tensors, map[string]string{"format": "pt"}); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	config := newAdapterConfig(c.LoRA, base)
	config.TaskType = "SEQ_CLS"
	if slices.ContainsFunc(c.LoRA.Targets, func(name string) bool { return strings.EqualFold(name, allLinear) }) {
		config.Targets.names = c.updated() // PEFT writes what it came to
	}
	data, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	return atomicfile.WriteBytes(filepath.Join(dir, adapterConfigFile), data)
}

// updated are the paths of the linear layers with updates, sorted.
func (c *Classifier) updated() []string {
	var names []string
	for _, mod := range c.linears {
		if mod.part.LoRA != nil {
			names = append(names, mod.name)
		}
	}
	slices.Sort(names)
	return names
}

// LoadAdapter gives c the low-rank updates of a PEFT adapter directory, and the
// modules that it saves whole in place of c's own. What the adapter asks for and
// this package does not do is an error naming it. After an error the model is as before.
func (c *Classifier) LoadAdapter(dir string) error {
	if err := c.loadAdapter(dir); err != nil {
		return fmt.Errorf("read adapter %s: %w", dir, err)
	}
	return nil
}

func (c *Classifier) loadAdapter(dir string) (err error) {
	config, err := readClassifierAdapter(filepath.Join(dir, adapterConfigFile))
	if err != nil {
		return err
	}
	o := config.options()
	targets, err := c.targets(&o, false)
	if err != nil {
		return err
	}
	sizes, err := sizesOf(&o, config.RankPattern, config.AlphaPattern, targets)
	if err != nil {
		return err
	}
	if err := o.spellPatterns(targets, sizes); err != nil {
		return err
	}
	f, err := safetensors.Open(filepath.Join(dir, adapterWeightsFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if c.LoRA != nil {
		return errLoRATwice
	}
	undo := c.detach(append(c.tensorsOf(o.ModulesToSave), c.biasesOf(&o, targets)...))
	if err := c.addUpdates(o, targets, sizes); err != nil {
		undo()
		return err
	}
	if err := c.readAdapter(f); err != nil {
		c.removeUpdates()
		undo()
		return err
	}
	return nil
}

// detach gives what an adapter trains of c's own weights new arrays, and
// returns what puts back those that c had.
func (c *Classifier) detach(list []modelTensor) (undo func()) {
	weights, values := make([]*compute.Weight, len(list)), make([]*tensor.Dense, len(list))
	for i, t := range list {
		if t.weight != nil {
			weights[i] = *t.weight
			*t.weight = compute.SharedF32(c.dev.New(weights[i].Out, weights[i].In))
		} else {
			values[i] = *t.values
			*t.values = c.dev.New(values[i].Shape()...) // an adapter may lack a bias: it is then as it was
			copy(c.dev.Host(compute.Of(*t.values)), c.dev.Host(compute.Of(values[i])))
		}
	}
	return func() {
		for i, t := range list {
			if t.weight != nil {
				*t.weight = weights[i]
			} else {
				*t.values = values[i]
			}
		}
	}
}

// readAdapter sets all Params to the file's tensors, which must be just these.
func (c *Classifier) readAdapter(f *safetensors.File) error {
	known := map[string]bool{}
	for _, p := range c.params {
		name := storedName(p.Name)
		if isOwnBias(p.Name) {
			stored := false
			if name, stored = c.LoRA.storedBias(f, name); !stored {
				continue
			}
		}
		known[name] = true
		w, err := readWeight(f, name, p.Value.Shape()...)
		if err != nil {
			return err
		}
		values := c.dev.Host(compute.Of(p.Value))
		for i := range w.Out {
			w.Row(values[i*w.In:(i+1)*w.In], i)
		}
	}
	c.LoRA.knownBiases(known, c.params)
	for _, name := range f.Names() {
		if !known[name] {
			return fmt.Errorf("tensor %s belongs to no target of the adapter", name)
		}
	}
	return nil
}

// readClassifierAdapter is readAdapterConfig for classifiers, whose heads are
// saved whole.
func readClassifierAdapter(path string) (*adapterConfig, error) {
	c, err := readAdapterConfig(path)
	if err != nil {
		return nil, err
	}
	if slices.Contains(c.ModulesToSave, "") {
		return nil, fmt.Errorf("%s: modules_to_save has an empty name", adapterConfigFile)
	}
	if c.TaskType == "SEQ_CLS" && c.ModulesToSave == nil {
		c.ModulesToSave = classifierModules
	}
	return c, nil
}
