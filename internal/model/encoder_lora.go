package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// classifierModules are the ends of the names of modules that PEFT trains and
// saves whole, beside the low-rank updates of a classifier: a new head learns all its weights.
var classifierModules = []string{"classifier", "score"}

// AddLoRA gives every target a low-rank update that does nothing yet, as
// Model.AddLoRA, and makes the head's modules classifier and pre_classifier
// Params as a whole, as PEFT does it for sequence classification. Targets are
// names of linear layers such as query or v_lin; none means all of the encoder's layers.
func (c *Classifier) AddLoRA(o LoRA, rng *rand.Rand) error {
	if err := c.addLoRA(o, rng); err != nil {
		return fmt.Errorf("add low-rank updates: %w", err)
	}
	return nil
}

func (c *Classifier) addLoRA(o LoRA, rng *rand.Rand) error {
	if len(o.Targets) == 0 && o.TargetPattern == "" {
		o.Targets = c.layerLinears()
	}
	o = o.WithDefaults()
	if err := o.Validate(); err != nil {
		return err
	}
	for _, name := range o.ModulesToSave {
		if name == "" || len(c.tensorsOf([]string{name})) == 0 {
			return fmt.Errorf("modules_to_save: %q is no module of a %s classifier", name, c.Config.ModelType)
		}
	}
	for _, name := range classifierModules {
		if !slices.Contains(o.ModulesToSave, name) {
			o.ModulesToSave = append(slices.Clone(o.ModulesToSave), name)
		}
	}
	targets, err := c.targets(&o, true)
	if err != nil {
		return err
	}
	sizes, err := sizesOf(&o, sorted(o.RankPattern), sorted(o.AlphaPattern), targets)
	if err != nil {
		return err
	}
	if err := c.addUpdates(o, targets, sizes); err != nil {
		return err
	}
	if c.IsOutline() {
		return nil
	}
	for _, t := range targets {
		initialize(c.dev, t.part.LoRA, t.part.Weight, false, o.Init, rng)
	}
	return nil
}

// layerLinears are the names of the linear layers of the encoder's layers.
func (c *Classifier) layerLinears() []string {
	var names []string
	for _, mod := range c.linears {
		for _, l := range c.layers {
			for _, linear := range []*autodiff.Linear{l.qkv, l.output, l.up, l.down} {
				if slices.Contains(linear.Parts, mod.part) && !slices.Contains(names, mod.name) {
					names = append(names, mod.name)
				}
			}
		}
	}
	return names
}

// targets are the linear layers that o selects, and that are not trained whole.
// With strict, a name that selects nothing is an error.
func (c *Classifier) targets(o *LoRA, strict bool) ([]target, error) {
	s, err := newSelector(o, !strict)
	if err != nil {
		return nil, err
	}
	var list []target
	used := map[string]bool{}
	for _, mod := range c.linears {
		for _, name := range s.names {
			used[name] = used[name] || isTarget(mod.name, name) || strings.EqualFold(name, allLinear)
		}
		if _, ok := s.chosenBy(mod.name, !savedWhole(mod.name, o.ModulesToSave)); ok {
			list = append(list, target{name: mod.name, part: mod.part})
		}
	}
	for _, name := range s.names {
		if strict && !used[name] {
			return nil, fmt.Errorf("target %q is no linear layer of a %s classifier: there are %s", name, c.Config.ModelType, strings.Join(c.linearEnds(), ", "))
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("target_modules %s: no such linear layer in a %s classifier that is not trained whole: there are %s",
			o.targetText(), c.Config.ModelType, strings.Join(c.linearEnds(), ", "))
	}
	return list, nil
}

// linearEnds are the last parts of the linear layers' names.
func (c *Classifier) linearEnds() []string {
	var ends []string
	for _, mod := range c.linears {
		if end := mod.name[strings.LastIndexByte(mod.name, '.')+1:]; !slices.Contains(ends, end) {
			ends = append(ends, end)
		}
	}
	return ends
}

// savedWhole tells whether PEFT saves the module at a path whole: the path, or
// that of a module that it is in, ends in one of the names, without regard to dots.
func savedWhole(path string, names []string) bool {
	for {
		if slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(path, name) }) {
			return true
		}
		dot := strings.LastIndexByte(path, '.')
		if dot < 0 {
			return false
		}
		path = path[:dot]
	}
}

// addUpdates makes zero updates of the targets, and Params of the modules that o saves whole.
func (c *Classifier) addUpdates(o LoRA, targets []target, sizes map[string]updateSize) error {
	if c.LoRA != nil {
		return errLoRATwice
	}
	for _, p := range c.params {
		return fmt.Errorf("%s is trained itself", p.Name)
	}
	for _, mod := range targets {
		if savedWhole(mod.name, o.ModulesToSave) {
			return fmt.Errorf("target %s is trained whole, as one of %s", mod.name, strings.Join(o.ModulesToSave, ", "))
		}
	}
	c.LoRA = &o
	for _, mod := range targets {
		size := sizes[mod.name]
		u := &autodiff.LoRA{
			A:       autodiff.NewParam(c.dev, paramPrefix+mod.name+".lora_A.weight", size.r, mod.part.Weight.In),
			B:       autodiff.NewParam(c.dev, paramPrefix+mod.name+".lora_B.weight", mod.part.Weight.Out, size.r),
			Scale:   o.scale(size),
			Dropout: float32(o.Dropout),
		}
		o.addVectors(c.dev, u, mod.name, mod.part.Weight.Out)
		mod.part.LoRA = u
		c.params = append(c.params, u.Params()...)
		c.trainable += u.Values()
	}
	for _, t := range c.tensorsOf(o.ModulesToSave) {
		c.train(t, wrappedName(t.name, o.ModulesToSave))
	}
	for _, t := range c.biasesOf(&o, targets) {
		path := strings.TrimSuffix(t.name, ".bias")
		c.train(t, biasName(path, isOneOf(path, targets)))
	}
	return nil
}

// biasesOf are the biases of c's own that o trains, except those of modules
// that are trained whole.
func (c *Classifier) biasesOf(o *LoRA, targets []target) []modelTensor {
	var list []modelTensor
	for _, t := range c.tensors {
		path, is := strings.CutSuffix(t.name, ".bias")
		if is && o.trainsBias(isOneOf(path, targets)) && !savedWhole(path, o.ModulesToSave) {
			list = append(list, t)
		}
	}
	return list
}

// isOneOf tells whether a path is that of one of the targets.
func isOneOf(path string, targets []target) bool {
	return slices.ContainsFunc(targets, func(t target) bool { return t.name == path })
}

// tensorsOf are the weights of the modules that such names save whole.
func (c *Classifier) tensorsOf(saved []string) []modelTensor {
	var list []modelTensor
	for _, t := range c.tensors {
		if savedWhole(t.name[:strings.LastIndexByte(t.name, '.')], saved) {
			list = append(list, t)
		}
	}
	return list
}

// wrappedName is the name of a tensor that is trained whole in a live PEFT
// model: the wrapper is around the outermost module whose name fits.
func wrappedName(name string, saved []string) string {
	for i, c := range name {
		if c == '.' && slices.ContainsFunc(saved, func(end string) bool { return strings.HasSuffix(name[:i], end) }) {
			return paramPrefix + name[:i] + savedName + name[i:]
		}
	}
	return paramPrefix + name
}

// Merge adds every low-rank update to its matrix, in float32, and removes the
// update: W + scale·B·A, for DoRA with every row scaled to its magnitude.
// Modules that were trained whole stay as they are now. Without updates it does nothing.
func (c *Classifier) Merge() {
	if c.LoRA == nil {
		return
	}
	for _, mod := range c.linears {
		u := mod.part.LoRA
		if u == nil {
			continue
		}
		if c.IsOutline() {
			mod.part.Weight = compute.Outline(compute.F32, mod.part.Weight.Out, mod.part.Weight.In)
			continue
		}
		merged := floatsOf(c.dev, mod.part.Weight)
		// W[o,i] += scale·Σ_r B[o,r]·A[r,i]: the gradient product of B with A as the weight.
		c.dev.MatMulGrad(compute.Of(merged), compute.Of(u.B.Value), compute.SharedF32(u.A.Value), u.Scale, true)
		if u.Magnitude != nil {
			u.ScaleRows(c.dev, compute.Of(merged))
		}
		if u.Bias != nil {
			mod.part.Bias = sumOfBiases(c.dev, u, mod.part.Bias)
		}
		mod.part.Weight = compute.SharedF32(merged)
	}
	c.removeUpdates()
}

// removeUpdates forgets the low-rank updates, and that modules are trained.
func (c *Classifier) removeUpdates() {
	for _, mod := range c.linears {
		mod.part.LoRA = nil
	}
	c.freeze()
	c.LoRA = nil
}
