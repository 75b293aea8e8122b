package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"
)

// SaveAdapter writes the low-rank updates, and what was trained whole beside
// them, as a PEFT adapter directory, with base as base_model_name_or_path.
func (m *Model) SaveAdapter(dir, base string) error {
	if m.LoRA == nil {
		return fmt.Errorf("save adapter %s: the model has no low-rank updates", dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	var tensors []safetensors.Tensor
	for _, p := range m.params {
		tensors = append(tensors, m.arrayTensor(storedName(p.Name), p.Value))
	}
	for _, name := range m.storedTables() {
		tensors = append(tensors, m.matrixTensor(baseLayerName(name), m.tableOf(name).Weight))
	}
	if err := safetensors.WriteFile(filepath.Join(dir, adapterWeightsFile), tensors, map[string]string{"format": "pt"}); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	data, err := json.MarshalIndent(newAdapterConfig(m.LoRA, base), "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, adapterConfigFile), data)
}

// storedTables are the tables whose own matrix PEFT stores beside the updates:
// those with an update, where a target's name is one of a table.
func (m *Model) storedTables() []string {
	if !slices.Contains(m.LoRA.Targets, "embed_tokens") && !slices.Contains(m.LoRA.Targets, "lm_head") {
		return nil
	}
	var names []string
	embed, head := m.tableNames()
	for _, name := range []string{embed, head} {
		if m.tableOf(name).LoRA != nil && m.sizes[name].r > 0 {
			names = append(names, name)
		}
	}
	return names
}

// baseLayerName is PEFT's name of the matrix of a table that has an update.
func baseLayerName(table string) string { return paramPrefix + table + baseLayer + ".weight" }

// baseLayer follows the name of a module that PEFT wraps for an update.
const baseLayer = ".base_layer"

// LoadAdapter gives m the low-rank updates of a PEFT adapter directory, and
// what that has of whole modules. What the adapter asks for and this package
// does not do is an error naming it. After an error the model is as before.
func (m *Model) LoadAdapter(dir string) error {
	if err := m.loadAdapter(dir); err != nil {
		return fmt.Errorf("read adapter %s: %w", dir, err)
	}
	return nil
}

func (m *Model) loadAdapter(dir string) (err error) {
	c, err := readAdapterConfig(filepath.Join(dir, adapterConfigFile))
	if err != nil {
		return err
	}
	o := c.options()
	targets, err := m.targets(&o, false)
	if err != nil {
		return err
	}
	sizes, err := sizesOf(&o, c.RankPattern, c.AlphaPattern, targets)
	if err != nil {
		return err
	}
	saved, err := m.savedModules(o.ModulesToSave, false)
	if err != nil {
		return err
	}
	f, err := safetensors.Open(filepath.Join(dir, adapterWeightsFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := m.checkRanks(f, targets, sizes); err != nil {
		return err
	}
	if o.TargetPattern == "" {
		o.Targets = m.withoutAllLinear(o.Targets)
	}
	if err := o.spellPatterns(targets, sizes); err != nil {
		return err
	}
	if err := m.addUpdates(o, targets, sizes, saved); err != nil {
		return err
	}
	if err := m.readUpdates(f); err != nil {
		m.removeUpdates()
		return err
	}
	return nil
}

// checkRanks compares the ranks with the file's before memory is asked for.
func (m *Model) checkRanks(f *safetensors.File, targets []target, sizes map[string]updateSize) error {
	for _, t := range targets {
		name, in := paramPrefix+t.name+".lora_A.weight", m.weightOf(t).In
		if t.embedding() {
			in = m.weightOf(t).Out
			name = paramPrefix + t.name + ".lora_embedding_A"
		}
		info, ok := f.Info(name)
		if !ok {
			return fmt.Errorf("tensor %s is missing", name)
		}
		if want := []int{sizes[t.name].r, in}; !equalShape(info.Shape, want) {
			return fmt.Errorf("tensor %s has shape %v, want %v", name, info.Shape, want)
		}
	}
	return nil
}

// spellPatterns names each module that differs in o's patterns by its path,
// where these in alphabetical order would not give what the file's order gave.
func (o *LoRA) spellPatterns(targets []target, sizes map[string]updateSize) error {
	again, err := sizesOf(o, sorted(o.RankPattern), sorted(o.AlphaPattern), targets)
	if err != nil || maps.Equal(again, sizes) {
		return err
	}
	o.RankPattern, o.AlphaPattern = map[string]int{}, map[string]float64{}
	for name, size := range sizes {
		if size.r != o.R {
			o.RankPattern[name] = size.r
		}
		if size.alpha != o.Alpha {
			o.AlphaPattern[name] = size.alpha
		}
	}
	return nil
}

// readUpdates sets all parameters to the tensors of their names, and the base's
// tables to those that are stored beside their updates.
func (m *Model) readUpdates(f *safetensors.File) error {
	known := map[string]bool{}
	for _, p := range m.params {
		name, shape := storedName(p.Name), p.Value.Shape()
		if isOwnBias(p.Name) {
			stored := false
			if name, stored = m.LoRA.storedBias(f, name); !stored {
				continue
			}
		}
		known[name] = true
		if info, ok := f.Info(name); ok && !equalShape(info.Shape, shape) {
			return fmt.Errorf("tensor %s has shape %v, want %v", name, info.Shape, []int(shape))
		}
		w, err := readWeight(f, name, shape...)
		if err != nil {
			return err
		}
		values := m.dev.Host(compute.Of(p.Value))
		for i := range w.Out {
			w.Row(values[i*w.In:(i+1)*w.In], i)
		}
	}
	m.LoRA.knownBiases(known, m.params)
	if err := m.readTables(f, known); err != nil {
		return err
	}
	for _, name := range f.Names() {
		if !known[name] {
			return fmt.Errorf("tensor %s belongs to no target of the adapter", name)
		}
	}
	return nil
}

// readTables takes the tables that PEFT stores with an adapter in place of the
// base's: with an update of the table, or because tokens were added. Those of
// another size than the base's are refused.
func (m *Model) readTables(f *safetensors.File, known map[string]bool) error {
	embed, head := m.tableNames()
	for _, table := range []string{embed, head} {
		for _, name := range []string{baseLayerName(table), paramPrefix + table + ".weight"} {
			info, ok := f.Info(name)
			if !ok || known[name] || strings.Contains(name, baseLayer+".") && m.tableOf(table).LoRA == nil {
				continue
			}
			t := m.tableOf(table)
			if want := []int{t.Weight.Out, t.Weight.In}; !equalShape(info.Shape, want) {
				return fmt.Errorf("tensor %s has shape %v, the model's %v: adapters that resize the vocabulary are not supported", name, info.Shape, want)
			}
			w, err := readWeight(f, name, t.Weight.Out, t.Weight.In)
			if err != nil {
				return err
			}
			m.replaceTable(t.Weight, compute.SharedF32(m.expand(w)))
			known[name] = true
		}
	}
	return nil
}

// replaceTable puts new in the place of a table's matrix, in both where they
// are tied.
func (m *Model) replaceTable(old, replacement *compute.Weight) {
	embed, head, embedding, last := m.Embed, m.Head, m.Embed.Weight, m.Head.Weight
	m.restore = append(m.restore, func() { embed.Weight, head.Weight = embedding, last })
	if embedding == old {
		m.Embed.Weight = replacement
	}
	if last == old {
		m.Head.Weight = replacement
	}
}
