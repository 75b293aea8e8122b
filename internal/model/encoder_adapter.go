package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

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
		tensors[i] = floatTensor(c.dev, p.Name, p.Value)
	}
	if err := safetensors.WriteFile(filepath.Join(dir, adapterWeightsFile), tensors, map[string]string{"format": "pt"}); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	data, err := json.MarshalIndent(c.adapterFields(base), "", "  ")
	if err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	return atomicfile.WriteBytes(filepath.Join(dir, adapterConfigFile), append(data, '\n'))
}

// adapterFields are adapter_config.json, every field that PEFT 0.16 writes.
func (c *Classifier) adapterFields(base string) map[string]any {
	targets := slices.Clone(c.LoRA.Targets)
	if slices.Contains(targets, "all-linear") {
		targets = nil // PEFT writes what it came to
		for _, mod := range c.linears {
			if mod.part.LoRA != nil {
				targets = append(targets, mod.name)
			}
		}
	}
	slices.Sort(targets)
	ranks, alphas := map[string]int{}, map[string]float64{}
	for name, size := range c.sizes {
		if size.r != c.LoRA.R {
			ranks[name] = size.r
		}
		if size.alpha != c.LoRA.Alpha {
			alphas[name] = size.alpha
		}
	}
	return map[string]any{
		"alpha_pattern": alphas, "auto_mapping": nil, "base_model_name_or_path": base, "bias": "none", "corda_config": nil,
		"eva_config": nil, "exclude_modules": nil, "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true,
		"layer_replication": nil, "layers_pattern": nil, "layers_to_transform": nil, "loftq_config": struct{}{},
		"lora_alpha": c.LoRA.Alpha, "lora_bias": false, "lora_dropout": c.LoRA.Dropout, "megatron_config": nil,
		"megatron_core": "megatron.core", "modules_to_save": c.saved, "peft_type": "LORA", "qalora_group_size": 16,
		"r": c.LoRA.R, "rank_pattern": ranks, "revision": nil, "target_modules": targets, "task_type": "SEQ_CLS",
		"trainable_token_indices": nil, "use_dora": false, "use_qalora": false, "use_rslora": c.LoRA.RSLoRA,
	}
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
	targets, names, err := c.adapterTargets(config)
	if err != nil {
		return err
	}
	sizes, err := config.sizes(targets)
	if err != nil {
		return err
	}
	f, err := safetensors.Open(filepath.Join(dir, adapterWeightsFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	o := LoRA{R: config.R, Alpha: config.Alpha, Dropout: config.Dropout, Targets: names, RSLoRA: config.UseRslora}
	if c.LoRA != nil {
		return errLoRATwice
	}
	undo := c.detach(config.ModulesToSave)
	if err := c.addUpdates(o, targets, sizes, config.ModulesToSave); err != nil {
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

// detach gives the modules that an adapter saves whole new arrays, and returns
// what puts back those that c had.
func (c *Classifier) detach(saved []string) (undo func()) {
	list := c.tensorsOf(saved)
	weights, values := make([]*compute.Weight, len(list)), make([]*tensor.Dense, len(list))
	for i, t := range list {
		if t.weight != nil {
			weights[i] = *t.weight
			*t.weight = compute.SharedF32(c.dev.New(weights[i].Out, weights[i].In))
		} else {
			values[i] = *t.values
			*t.values = c.dev.New(values[i].Shape()...)
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
		known[p.Name] = true
		w, err := readWeight(f, p.Name, p.Value.Shape()...)
		if err != nil {
			return err
		}
		values := c.dev.Host(compute.Of(p.Value))
		for i := range w.Out {
			w.Row(values[i*w.In:(i+1)*w.In], i)
		}
	}
	for _, name := range f.Names() {
		if !known[name] {
			return fmt.Errorf("tensor %s belongs to no target of the adapter", name)
		}
	}
	return nil
}

// adapterRefusals change the mathematics of an adapter in ways that Classifier
// does not do, unless they are null, false or empty.
var adapterRefusals = []string{
	"layer_replication", "layers_to_transform", "lora_bias", "trainable_token_indices", "use_dora",
}

// readClassifierAdapter is readAdapterConfig with modules_to_save, which
// classifiers have.
func readClassifierAdapter(path string) (*adapterConfig, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := adapterConfig{R: 8, Alpha: 8, Bias: "none"}
	var fields map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(data, &c), json.Unmarshal(data, &fields)); err != nil {
		return nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	saved := c.ModulesToSave
	c.ModulesToSave = nil
	if err := c.refuse(fields); err != nil {
		return nil, fmt.Errorf("%s: %w", adapterConfigFile, err)
	}
	for _, name := range adapterRefusals {
		if !absent(fields[name]) {
			return nil, fmt.Errorf("%s: %s is not supported for encoders", adapterConfigFile, name)
		}
	}
	if slices.Contains(saved, "") {
		return nil, fmt.Errorf("%s: modules_to_save has an empty name", adapterConfigFile)
	}
	if c.ModulesToSave = saved; c.TaskType == "SEQ_CLS" && saved == nil {
		c.ModulesToSave = classifierModules
	}
	return &c, nil
}

// adapterTargets are the modules that the adapter changes, and their names for
// SaveAdapter.
func (c *Classifier) adapterTargets(a *adapterConfig) (list []module, names []string, err error) {
	chosen, err := moduleSelector("target_modules", a.Targets)
	if err != nil {
		return nil, nil, err
	}
	excluded := func(string) bool { return false }
	if !absent(a.Exclude) {
		if excluded, err = moduleSelector("exclude_modules", a.Exclude); err != nil {
			return nil, nil, err
		}
	}
	all := string(bytes.TrimSpace(a.Targets)) == `"all-linear"` // but what is saved whole
	for _, mod := range c.linears {
		if chosen(mod.name) && !excluded(mod.name) && !(all && savedWhole(mod.name, a.ModulesToSave)) {
			list, names = append(list, mod), append(names, mod.name)
		}
	}
	if len(list) == 0 {
		return nil, nil, fmt.Errorf("target_modules %s: no such linear layer in a %s classifier", a.Targets, c.Config.ModelType)
	}
	var short []string
	if json.Unmarshal(a.Targets, &short) == nil && absent(a.Exclude) { // a list, as it was
		names = short
	}
	return list, names, nil
}
