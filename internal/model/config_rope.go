package model

import (
	"encoding/json"
	"math"
)

// readRope reads the rotary positions, of the older spelling (rope_theta and
// rope_scaling) or the newer one (rope_parameters).
func (f *fields) readRope(c *Config, theta float64) {
	c.RopeTheta = field(f, "rope_theta", theta)
	partial := field(f, "partial_rotary_factor", 1.0)
	name := "rope_scaling"
	raw := f.take(name)
	if newer := f.take("rope_parameters"); !absent(newer) {
		name, raw = "rope_parameters", newer
		raw = f.ropeByLayerType(c, raw)
	}
	if !absent(raw) {
		p, err := parseRope(raw)
		if err != nil {
			f.bad("%s %s: %w", name, raw, err)
			return
		}
		c.RopeTheta, partial = or(p.Theta, c.RopeTheta), or(p.Partial, partial)
		if c.Rope, err = p.scaling(); err != nil {
			f.bad("%s %s: %w", name, raw, err)
		}
	}
	if partial != 1 {
		c.PartialRotaryFactor = partial
		if c.ModelType != "phi3" {
			f.bad("partial_rotary_factor %v is not supported in a %s model", partial, c.ModelType)
		}
	}
}

// ropeByLayerType takes rope_parameters that have an entry for each kind of
// layer, as Gemma 3's, and returns those of global ones.
func (f *fields) ropeByLayerType(c *Config, raw json.RawMessage) json.RawMessage {
	var byType map[string]json.RawMessage
	if c.ModelType != "gemma3_text" || json.Unmarshal(raw, &byType) != nil || byType["full_attention"] == nil {
		return raw
	}
	for name, of := range byType {
		switch name {
		case "full_attention":
		case "sliding_attention":
			p, err := parseRope(of)
			if err == nil && p.Theta != nil && (p.kind() == "" || p.kind() == "default") {
				c.LocalRopeTheta = *p.Theta
			} else {
				f.bad("rope_parameters.sliding_attention %s is not supported", of)
			}
		default:
			f.bad("rope_parameters.%s is not supported", name)
		}
	}
	return byType["full_attention"]
}

// readLongrope reads the original length that longrope has in the model's
// configuration, where transformers looks for it.
func (f *fields) readLongrope(c *Config, otherwise int) {
	original := field(f, "original_max_position_embeddings", 0)
	if c.Rope.Type != "longrope" {
		return
	}
	switch {
	case original > 0:
		c.Rope.OriginalMax = original
	case c.Rope.OriginalMax == 0:
		c.Rope.OriginalMax = otherwise
	case c.Rope.Factor > 0 && !f.has("rope_parameters"):
		c.Rope.OriginalMax = 0 // transformers 4 does not look for it in rope_scaling
	}
	if c.Rope.OriginalMax == 0 && c.Rope.Factor == 0 {
		f.bad("rope_scaling: longrope without original_max_position_embeddings or factor")
	}
}

// checkRope reports what of the rotary positions does not fit the model.
func (c *Config) checkRope(bad func(format string, args ...any)) {
	if !(c.RopeTheta > 0 && c.RopeTheta <= math.MaxFloat64) {
		bad("rope_theta is %v: want a positive number", c.RopeTheta)
	}
	if !(c.LocalRopeTheta >= 0 && c.LocalRopeTheta <= math.MaxFloat64) {
		bad("rope_local_base_freq is %v: want a positive number", c.LocalRopeTheta)
	}
	if !(c.PartialRotaryFactor >= 0 && c.PartialRotaryFactor <= 1) {
		bad("partial_rotary_factor is %v: want a number up to 1", c.PartialRotaryFactor)
		return
	}
	dim := c.rotaryDim()
	switch {
	case c.HeadDim%2 != 0:
		bad("head_dim %d is odd: rotary positions need pairs", c.HeadDim)
	case c.HeadDim > 0 && (dim < 2 || dim%2 != 0):
		bad("partial_rotary_factor %v turns %d columns of %d: rotary positions need pairs", c.PartialRotaryFactor, dim, c.HeadDim)
	}
	if err := c.Rope.validate(); err != nil {
		bad("rope_scaling: %w", err)
		return
	}
	if c.Rope.Type == "yarn" && c.RopeTheta == 1 {
		bad("rope_theta is 1: yarn needs another")
	}
	if c.Rope.Type == "dynamic" && dim == 2 {
		bad("rope_scaling: dynamic with one rotary pair, the base then grows without bound")
	}
	if c.Rope.Type == "longrope" {
		for _, list := range [][]float64{c.Rope.ShortFactors, c.Rope.LongFactors} {
			if len(list) != dim/2 {
				bad("rope_scaling: %d factors for heads of %d rotary pairs", len(list), dim/2)
			}
		}
		if original, _ := c.longropeLengths(); original < 2 {
			bad("original_max_position_embeddings is %d: want 2 or more", original)
		}
	}
}
