package model

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// LoRA says which matrices get a low-rank update, and how (Hu et al. 2021).
// Field names follow PEFT's LoraConfig.
type LoRA struct {
	R       int      `yaml:"r"`       // rank; 0 means 16
	Alpha   float64  `yaml:"alpha"`   // the update is scaled by alpha/r; 0 means 2·r
	Dropout float64  `yaml:"dropout"` // of the update's input, 0 to below 1
	Targets []string `yaml:"targets"` // names of linear layers such as q_proj; none means all of them, except the head
	RSLoRA  bool     `yaml:"rslora"`  // scale by alpha/sqrt(r) instead (Kalajdzievski 2023)
}

// WithDefaults returns o with its zero fields filled in.
func (o LoRA) WithDefaults() LoRA {
	if o.R == 0 {
		o.R = 16
	}
	if o.Alpha == 0 {
		o.Alpha = 2 * float64(o.R)
	}
	if len(o.Targets) == 0 {
		o.Targets = slices.Clone(allTargets)
	}
	return o
}

var allTargets = []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}

// Validate reports every field that is out of range.
func (o LoRA) Validate() error {
	var errs []error
	if o.R < 0 || o.R > 4096 {
		errs = append(errs, fmt.Errorf("r: %d: want 1 to 4096", o.R))
	}
	if o.Alpha < 0 || math.IsNaN(o.Alpha) || math.IsInf(o.Alpha, 0) {
		errs = append(errs, fmt.Errorf("alpha: %v: want a positive number", o.Alpha))
	}
	if !(o.Dropout >= 0 && o.Dropout < 1) {
		errs = append(errs, fmt.Errorf("dropout: %v: want 0 to below 1", o.Dropout))
	}
	return errors.Join(errs...)
}

// scale is what an update is multiplied by.
func (o LoRA) scale(size updateSize) float32 {
	if o.RSLoRA {
		return float32(size.alpha / math.Sqrt(float64(size.r)))
	}
	return float32(size.alpha / float64(size.r))
}

// AddLoRA gives every target a low-rank update that does nothing yet: A uniform
// within ±1/sqrt(in), B zero, as PEFT starts. m.Params are then A and B.
func (m *Model) AddLoRA(o LoRA, rng *rand.Rand) error {
	o = o.WithDefaults()
	if err := o.Validate(); err != nil {
		return fmt.Errorf("add low-rank updates: %w", err)
	}
	targets, err := m.targets(o.Targets)
	if err != nil {
		return fmt.Errorf("add low-rank updates: %w", err)
	}
	sizes := map[string]updateSize{}
	for _, mod := range targets {
		sizes[mod.name] = updateSize{o.R, o.Alpha}
	}
	if err := m.addUpdates(o, targets, sizes); err != nil {
		return fmt.Errorf("add low-rank updates: %w", err)
	}
	if m.IsOutline() {
		return nil
	}
	for _, mod := range targets {
		a := m.dev.Host(compute.Of(mod.part.LoRA.A.Value))
		bound := 1 / math.Sqrt(float64(mod.part.Weight.In))
		for i := range a {
			a[i] = float32((2*rng.Float64() - 1) * bound)
		}
	}
	return nil
}

// updateSize is the rank and alpha of one module's update.
type updateSize struct {
	r     int
	alpha float64
}

// addUpdates makes zero updates of the targets.
func (m *Model) addUpdates(o LoRA, targets []module, sizes map[string]updateSize) error {
	if m.LoRA != nil {
		return errors.New("the model has low-rank updates already")
	}
	for _, p := range m.params {
		return fmt.Errorf("%s is trained itself", p.Name)
	}
	m.LoRA, m.sizes = &o, sizes
	for _, mod := range targets {
		size := sizes[mod.name]
		u := &autodiff.LoRA{
			A:       autodiff.NewParam(m.dev, loraName(mod.name, "A"), size.r, mod.part.Weight.In),
			B:       autodiff.NewParam(m.dev, loraName(mod.name, "B"), mod.part.Weight.Out, size.r),
			Scale:   o.scale(size),
			Dropout: float32(o.Dropout),
		}
		mod.part.LoRA = u
		m.params = append(m.params, u.A, u.B)
		m.trainable += size.r * (mod.part.Weight.In + mod.part.Weight.Out)
	}
	return nil
}

// loraName is PEFT's name of an update's matrix on disk.
func loraName(module, ab string) string {
	return "base_model.model." + module + ".lora_" + ab + ".weight"
}

// isTarget tells whether name is module's path, or its end after a dot.
func isTarget(module, name string) bool { return module == name || strings.HasSuffix(module, "."+name) }

// targets are the modules that names select, as PEFT's target_modules: a
// module's whole path or the end of it after a dot. "all-linear" is all but the
// head. A name that selects nothing is an error.
func (m *Model) targets(names []string) ([]module, error) {
	var list []module
	used := map[string]bool{}
	for _, mod := range m.modules() {
		chosen := false
		for _, name := range names {
			if name == "all-linear" || isTarget(mod.name, name) {
				chosen, used[name] = true, true
			}
		}
		if chosen {
			list = append(list, mod)
		}
	}
	for _, name := range names {
		if !used[name] {
			return nil, fmt.Errorf("target %q is no linear layer of a %s model: there are %s", name, m.Config.ModelType, strings.Join(allTargets, ", "))
		}
	}
	return list, nil
}

// Merge adds every low-rank update to its matrix, in float32, and removes the
// update: W + scale·B·A. Without updates it does nothing.
func (m *Model) Merge() {
	if m.LoRA == nil {
		return
	}
	for _, mod := range m.modules() {
		u := mod.part.LoRA
		if u == nil {
			continue
		}
		if m.IsOutline() {
			mod.part.Weight = compute.Outline(compute.F32, mod.part.Weight.Out, mod.part.Weight.In)
			continue
		}
		merged := m.expand(mod.part.Weight)
		// W[o,i] += scale·Σ_r B[o,r]·A[r,i]: the gradient product of B with A as the weight.
		m.dev.MatMulGrad(compute.Of(merged), compute.Of(u.B.Value), compute.SharedF32(u.A.Value), u.Scale, true)
		mod.part.Weight = compute.SharedF32(merged)
	}
	m.removeUpdates()
}

// removeUpdates forgets the low-rank updates.
func (m *Model) removeUpdates() {
	for _, mod := range m.modules() {
		mod.part.LoRA = nil
	}
	m.LoRA, m.params, m.trainable, m.sizes = nil, nil, 0, nil
}
