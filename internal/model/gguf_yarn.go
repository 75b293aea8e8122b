package model

import (
	"fmt"
	"math"
)

// hasYarn tells whether the rope of f's models may be scaled by YaRN, there and here.
func (f *ggufFamily) hasYarn() bool {
	return f.arch == "llama" || f.arch == "qwen2" || f.arch == "qwen3"
}

// checkYarnGGUF refuses bounds of the ramp that llama.cpp reads for other
// architectures only, or rounds.
func (c *Config) checkYarnGGUF() error {
	if c.Rope.Fractional {
		return fmt.Errorf("rope_scaling.truncate false: llama.cpp rounds the bounds of yarn to whole pairs")
	}
	for _, beta := range []struct {
		name          string
		value, always float64
	}{{"beta_fast", c.Rope.BetaFast, 32}, {"beta_slow", c.Rope.BetaSlow, 1}} {
		if beta.value != 0 && beta.value != beta.always {
			return fmt.Errorf("rope_scaling.%s %v: llama.cpp has %v in every %s model", beta.name, beta.value, beta.always, c.ModelType)
		}
	}
	return nil
}

// yarnMetadata adds the keys of a rope scaled by YaRN. llama.cpp multiplies the
// attention factor that goes with the other factor by that of the file.
func (c *Config) yarnMetadata(add func(key string, v any)) {
	factor, original := c.yarnLengths()
	add(ropeScaling+"type", "yarn")
	add(ropeScaling+"factor", float32(factor))
	add(ropeScaling+"original_context_length", uint32(original))
	add(ropeScaling+"attn_factor", float32(c.Rope.yarnAttention(factor)/new(RopeScaling).yarnAttention(factor)))
}

// yarn reads the keys of a rope scaled by YaRN, of a model of so many positions.
func (r *archReader) yarn(positions int) RopeScaling {
	r.known[ropeScaling+"type"] = true
	s := RopeScaling{Type: "yarn", Factor: r.number(ropeScaling+"factor", 0)}
	if f := r.number(ropeScaling+"attn_factor", 1); f != 1 {
		s.AttentionFactor = f * s.yarnAttention(s.Factor)
	}
	const key = ropeScaling + "original_context_length"
	switch original := r.size(key, positions); {
	case original == positions: // the factor is for users who go beyond
	case math.Round(s.Factor*float64(original)) == float64(positions):
		s.OriginalMax = original
	default:
		r.bad(key, ": %d: by the factor %v that is not the context_length of %d", original, s.Factor, positions)
	}
	return s
}
