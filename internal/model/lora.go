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
// Fields and their meaning are those of PEFT's LoraConfig.
type LoRA struct {
	R       int      `yaml:"r"`                           // rank; 0 means 16
	Alpha   float64  `yaml:"alpha"`                       // the update is scaled by alpha/r; 0 means 2·r
	Dropout float64  `yaml:"dropout"`                     // of the update's input, 0 to below 1
	Targets []string `yaml:"targets"`                     // names such as q_proj, embed_tokens or lm_head; none means all-linear: all linear layers, except the head
	RSLoRA  bool     `yaml:"rslora"`                      // scale by alpha/sqrt(r) instead (Kalajdzievski 2023)
	DoRA    bool     `yaml:"dora,omitempty"`              // train the lengths of the rows too (Liu et al. 2024)
	Init    string   `yaml:"init_lora_weights,omitempty"` // how A and B begin: true, gaussian or false, as in PEFT; empty means true

	// TargetPattern is a regular expression (Python's) for whole paths, instead of Targets.
	TargetPattern string `yaml:"target_pattern,omitempty"`
	// Exclude are names like Targets, and ExcludePattern an expression like
	// TargetPattern, of what gets no update all the same.
	Exclude        []string `yaml:"exclude_modules,omitempty"`
	ExcludePattern string   `yaml:"exclude_pattern,omitempty"`
	// Layers are the numbers of the only layers that Targets mean; none means
	// all. LayersPattern are the names before the number, such as layers; none means any.
	Layers        []int    `yaml:"layers_to_transform,omitempty"`
	LayersPattern []string `yaml:"layers_pattern,omitempty"`
	// RankPattern and AlphaPattern give modules another rank or alpha, by regular
	// expressions for the end of a path. Of several that match, the first in
	// alphabetical order counts, which is the order in PEFT's files.
	RankPattern  map[string]int     `yaml:"rank_pattern,omitempty"`
	AlphaPattern map[string]float64 `yaml:"alpha_pattern,omitempty"`
	// LoRABias gives every update a bias, which is scaled as the update is: y +=
	// scale·(B·A·x + b). It is none of DoRA's nor of an embedding's, and only a
	// layer that has a bias can be merged with it.
	LoRABias bool `yaml:"lora_bias,omitempty"`
	// Bias says which of the model's own biases are trained: none, lora_only
	// those of layers with an update, or all. Empty means none.
	Bias string `yaml:"bias,omitempty"`
	// ModulesToSave are ends of paths of what is trained whole beside the
	// updates: embed_tokens, lm_head, norms, linear layers.
	ModulesToSave []string `yaml:"modules_to_save,omitempty"`
}

// WithDefaults returns o with its zero fields filled in.
func (o LoRA) WithDefaults() LoRA {
	if o.R == 0 {
		o.R = 16
	}
	if o.Alpha == 0 {
		o.Alpha = 2 * float64(o.R)
	}
	if len(o.Targets) == 0 && o.TargetPattern == "" {
		o.Targets = []string{allLinear}
	}
	return o
}

// maxRank is the largest rank that training takes.
const maxRank = 4096

// Validate reports every field that is out of range.
func (o LoRA) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(o.R < 0 || o.R > maxRank, "r: %d: want 1 to %d", o.R, maxRank)
	bad(!(o.Alpha >= 0 && o.Alpha <= math.MaxFloat32), "alpha: %v: want a positive number", o.Alpha)
	bad(!(o.Dropout >= 0 && o.Dropout < 1), "dropout: %v: want 0 to below 1", o.Dropout)
	bad(!slices.Contains([]string{"", "true", "gaussian", "false"}, o.Init),
		"init_lora_weights: %q: want true, gaussian or false", o.Init)
	bad(!slices.Contains([]string{"", biasNone, biasOfUpdates, biasAll}, o.Bias),
		"bias: %q: want %s, %s or %s", o.Bias, biasNone, biasOfUpdates, biasAll)
	bad(o.LoRABias && o.DoRA, "lora_bias: PEFT has none with use_dora")
	bad(o.LoRABias && o.Init == "gaussian", "lora_bias: PEFT has none with init_lora_weights gaussian")
	bad(len(o.Targets) > 0 && o.TargetPattern != "", "targets: there is target_pattern too: want one of them")
	bad(len(o.Exclude) > 0 && o.ExcludePattern != "", "exclude_modules: there is exclude_pattern too: want one of them")
	for _, e := range sorted(o.RankPattern) {
		bad(e.value < 1 || e.value > maxRank, "rank_pattern: %s: %d: want 1 to %d", e.key, e.value, maxRank)
	}
	for _, e := range sorted(o.AlphaPattern) {
		bad(!(e.value > 0 && e.value <= math.MaxFloat32), "alpha_pattern: %s: %v: want a positive number", e.key, e.value)
	}
	for _, n := range o.Layers {
		bad(n < 0, "layers_to_transform: %d: want 0 or more", n)
	}
	if _, err := newSelector(&o, false); err != nil {
		errs = append(errs, err)
	}
	if _, err := sizesOf(&o, sorted(o.RankPattern), sorted(o.AlphaPattern), nil); err != nil {
		errs = append(errs, err)
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

// AddLoRA gives every target a low-rank update that, unless o.Init is false,
// does nothing yet, as PEFT starts: of a linear layer A is random and B zero,
// of the embedding the other way round. m.Params are then the updates' arrays
// and what ModulesToSave names.
func (m *Model) AddLoRA(o LoRA, rng *rand.Rand) error {
	if err := m.addLoRA(o.WithDefaults(), rng); err != nil {
		return fmt.Errorf("add low-rank updates: %w", err)
	}
	return nil
}

func (m *Model) addLoRA(o LoRA, rng *rand.Rand) error {
	if err := o.Validate(); err != nil {
		return err
	}
	targets, err := m.targets(&o, true)
	if err != nil {
		return err
	}
	sizes, err := sizesOf(&o, sorted(o.RankPattern), sorted(o.AlphaPattern), targets)
	if err != nil {
		return err
	}
	saved, err := m.savedModules(o.ModulesToSave, true)
	if err != nil {
		return err
	}
	if o.TargetPattern == "" {
		o.Targets = m.withoutAllLinear(o.Targets)
	}
	if err := m.addUpdates(o, targets, sizes, saved); err != nil {
		return err
	}
	if m.IsOutline() {
		return nil
	}
	for _, t := range targets {
		initialize(m.dev, *m.slot(t), m.weightOf(t), t.embedding(), o.Init, rng)
	}
	return nil
}

// withoutAllLinear replaces all-linear by the names of the layers that it
// means, as PEFT's files have it.
func (m *Model) withoutAllLinear(names []string) []string {
	var list []string
	for _, name := range names {
		expanded := []string{name}
		if strings.EqualFold(name, allLinear) {
			expanded = nil
			for _, mod := range m.modules() {
				expanded = append(expanded, mod.name[strings.LastIndexByte(mod.name, '.')+1:])
			}
		}
		for _, name := range expanded {
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}

// initialize sets a new update of w as PEFT's reset_lora_parameters does.
func initialize(dev compute.Device, u *autodiff.LoRA, w *compute.Weight, embedding bool, kind string, rng *rand.Rand) {
	fill := func(p *autodiff.Param, value func() float64) {
		values := dev.Host(compute.Of(p.Value))
		for i := range values {
			values[i] = float32(value())
		}
	}
	uniform := func(p *autodiff.Param, in int) {
		bound := 1 / math.Sqrt(float64(in))
		fill(p, func() float64 { return (2*rng.Float64() - 1) * bound })
	}
	r := u.A.Value.Shape()[0]
	switch {
	case embedding:
		fill(u.B, rng.NormFloat64)
		if kind == "false" {
			fill(u.A, rng.NormFloat64)
		}
	case kind == "gaussian":
		fill(u.A, func() float64 { return rng.NormFloat64() / float64(r) })
	default:
		uniform(u.A, w.In)
		if kind == "false" {
			uniform(u.B, r)
			if u.Bias != nil {
				uniform(u.Bias, r)
			}
		}
	}
	if u.Magnitude != nil {
		copy(dev.Host(compute.Of(u.Magnitude.Value)), u.Norms(dev, w))
	}
}

var errLoRATwice = errors.New("the model has low-rank updates already")

// updateSize is the rank and alpha of one module's update.
type updateSize struct {
	r     int
	alpha float64
}

// addUpdates makes updates of zeros, and lets what is saved whole be trained.
// An error leaves the model as it was.
func (m *Model) addUpdates(o LoRA, targets []target, sizes map[string]updateSize, saved []savedModule) error {
	if m.LoRA != nil {
		return errLoRATwice
	}
	for _, p := range m.params {
		return fmt.Errorf("%s is trained itself", p.Name)
	}
	for _, t := range targets {
		if o.LoRABias && t.embedding() {
			return fmt.Errorf("lora_bias: the update of embedding %s can have none", t.name)
		}
		for _, s := range saved {
			if s.name == t.name {
				return fmt.Errorf("target %s is trained whole, as one of modules_to_save %v", t.name, o.ModulesToSave)
			}
		}
	}
	m.LoRA, m.sizes = &o, sizes
	for _, t := range targets {
		m.addUpdate(t, sizes[t.name])
	}
	for _, s := range saved {
		m.train(s)
	}
	m.trainBiases()
	return nil
}

func (m *Model) addUpdate(t target, size updateSize) {
	m.separate(t.name)
	w := m.weightOf(t)
	in, out, suffix, prefix := w.In, w.Out, ".weight", "lora_"
	if t.embedding() { // its columns are what a token's row is made of
		in, out, suffix, prefix = w.Out, w.In, "", "lora_embedding_"
	}
	name := paramPrefix + t.name + "." + prefix
	u := &autodiff.LoRA{
		A:         autodiff.NewParam(m.dev, name+"A"+suffix, size.r, in),
		B:         autodiff.NewParam(m.dev, name+"B"+suffix, out, size.r),
		Scale:     m.LoRA.scale(size),
		Dropout:   float32(m.LoRA.Dropout),
		Embedding: t.embedding(),
	}
	m.LoRA.addVectors(m.dev, u, t.name, out)
	m.params = append(m.params, u.Params()...)
	m.trainable += u.Values()
	*m.slot(t) = u
}

// addVectors gives an update of the module at a path the vectors that o asks for.
func (o *LoRA) addVectors(dev compute.Device, u *autodiff.LoRA, path string, out int) {
	if o.LoRABias {
		u.Bias = autodiff.NewParam(dev, paramPrefix+path+".lora_B.bias", out)
	}
	if o.DoRA {
		u.Magnitude = autodiff.NewParam(dev, paramPrefix+path+magnitudeName+".weight", out)
	}
}

// PEFT's names: of all of an adapter's parameters, of a DoRA update's
// magnitudes, and, after the module that it wraps, of what is trained whole.
const (
	paramPrefix   = "base_model.model."
	magnitudeName = ".lora_magnitude_vector"
	savedName     = ".modules_to_save"
)

// storedName is how PEFT's files call a parameter.
func storedName(param string) string {
	if name, ok := strings.CutSuffix(param, magnitudeName+".weight"); ok {
		return name + magnitudeName
	}
	return strings.Replace(param, savedName+".", ".", 1)
}

// removeUpdates forgets the low-rank updates, and what was trained beside them.
func (m *Model) removeUpdates() {
	for _, t := range m.allTargets() {
		*m.slot(t) = nil
	}
	for _, undo := range slices.Backward(m.restore) {
		undo()
	}
	m.forgetParams()
}

// forgetParams leaves nothing to be trained.
func (m *Model) forgetParams() {
	m.LoRA, m.params, m.trainable, m.sizes, m.restore = nil, nil, 0, nil, nil
}
