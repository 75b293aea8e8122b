package model

import (
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/safetensors"
)

// The values of bias in PEFT's configurations.
const (
	biasNone      = "none"
	biasOfUpdates = "lora_only"
	biasAll       = "all"
)

// trainsBias tells whether an adapter trains a bias of the base's own, of a
// layer that has an update or has none.
func (o *LoRA) trainsBias(updated bool) bool {
	return o.Bias == biasAll || o.Bias == biasOfUpdates && updated
}

// biasName is the name of a layer's own bias in a live PEFT model, which wraps
// a layer that has an update.
func biasName(path string, updated bool) string {
	if updated {
		path += baseLayer
	}
	return paramPrefix + path + ".bias"
}

// trainBiases makes parameters of copies of the biases that m.LoRA says,
// except those that are trained with their whole layer.
func (m *Model) trainBiases() {
	for _, mod := range m.modules() {
		p := mod.part
		if p.Bias != nil && p.BiasParam == nil && m.LoRA.trainsBias(p.LoRA != nil) {
			m.trainVector(biasName(mod.name, p.LoRA != nil), &p.Bias, &p.BiasParam)
		}
	}
}

// storedBias is how a file calls a bias of the base's own, as a parameter of
// that name is called in a live model: as that, or as PEFT did it before it
// wrapped layers. Of an adapter with bias lora_only, newer versions of PEFT
// store no biases at all; they are then the base's.
func (o *LoRA) storedBias(f *safetensors.File, param string) (name string, stored bool) {
	older := strings.Replace(param, baseLayer+".bias", ".bias", 1)
	for _, name := range []string{param, older} {
		if _, ok := f.Info(name); ok {
			return name, true
		}
	}
	return param, o.Bias != biasOfUpdates
}

// isOwnBias tells whether a parameter is a bias of the base's own, not one of
// a module that is trained whole.
func isOwnBias(param string) bool {
	return strings.HasPrefix(param, paramPrefix) && strings.HasSuffix(param, ".bias") &&
		!strings.Contains(param, savedName+".") && !strings.HasSuffix(param, ".lora_B.bias")
}

// wrappedBiases are the names under which PEFT with bias all stores a bias of
// a module that is trained whole, once more as it is and as it was before.
func wrappedBiases(param string) []string {
	if !strings.HasSuffix(param, ".bias") || !strings.Contains(param, savedName+".") {
		return nil
	}
	return []string{param, strings.Replace(param, savedName+".", ".original_module.", 1)}
}

// knownBiases adds the names of wrappedBiases, if o stores them.
func (o *LoRA) knownBiases(known map[string]bool, params []*autodiff.Param) {
	if o.Bias != biasAll {
		return
	}
	for _, p := range params {
		for _, name := range wrappedBiases(p.Name) {
			known[name] = true
		}
	}
}

// trainsOwnBiases tells whether any of the parameters is a bias of the base's own.
func trainsOwnBiases(params []*autodiff.Param) bool {
	return slices.ContainsFunc(params, func(p *autodiff.Param) bool { return isOwnBias(p.Name) })
}
