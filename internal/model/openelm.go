package model

import (
	"encoding/json"
	"math"
)

// readOpenELM reads the configuration of Apple's OpenELM, whose fields have
// names of their own (configuration_openelm.py in its repositories). Heads and
// the MLP's width differ from layer to layer.
func readOpenELM(f *fields, c *Config) {
	c.HiddenSize, c.NumHiddenLayers = field(f, "model_dim", 2048), field(f, "num_transformer_layers", 12)
	c.HeadDim, c.VocabSize = field(f, "head_dim", 128), field(f, "vocab_size", 32000)
	c.MaxPositionEmbeddings = field(f, "rope_max_length", 4096)
	f.take("max_context_length") // of the data that it was trained with
	c.RopeTheta, c.RMSNormEps = field(f, "rope_freq_constant", 10000.0), 1e-6
	c.InitializerRange = field(f, "initializer_range", 0.02)
	c.HiddenAct = field(f, "activation_fn_name", "swish")
	c.TieWordEmbeddings = field(f, "share_input_output_layers", false)
	f.take("tie_word_embeddings") // without effect there
	c.NoHeadNorms = !field(f, "normalize_qk_projections", false)
	if n := field(f, "normalization_layer_name", "rms_norm"); n != "rms_norm" {
		f.bad("normalization_layer_name %q is not supported", n)
	}
	if !field(f, "ffn_with_glu", true) {
		f.bad("ffn_with_glu false is not supported")
	}
	for _, name := range []string{"rope_scaling", "partial_rotary_factor"} {
		if f.set(name) {
			f.bad("%s is not supported in an openelm model", name)
		}
	}
	n := c.NumHiddenLayers
	if n < 1 || !f.fewLayers(n) || c.HiddenSize < 1 || c.HiddenSize > maxSize || c.HeadDim < 1 || c.HeadDim > maxSize {
		return // Validate will say so
	}
	f.openELMHeads(c)
	f.openELMWidths(c)
	for i := range min(len(c.LayerHeads), len(c.LayerIntermediate)) {
		c.NumAttentionHeads = max(c.NumAttentionHeads, c.LayerHeads[i])
		c.NumKeyValueHeads = max(c.NumKeyValueHeads, c.LayerKVHeads[i])
		c.IntermediateSize = max(c.IntermediateSize, c.LayerIntermediate[i])
	}
}

// openELMHeads sets the heads of each layer: lists of the file, or what its
// multipliers say.
func (f *fields) openELMHeads(c *Config) {
	queries, given := f.perLayer("num_query_heads", c.NumHiddenLayers)
	keys, keysGiven := f.perLayer("num_kv_heads", c.NumHiddenLayers)
	groups := field(f, "num_gqa_groups", 1)
	low, high := f.multiplierRange("qkv_multipliers", 1)
	if given && keysGiven {
		c.LayerHeads, c.LayerKVHeads = queries, keys
		return
	}
	if given != keysGiven || groups < 1 || groups > maxSize {
		f.bad("num_query_heads, num_kv_heads and num_gqa_groups %d: want both lists, or groups", groups)
		return
	}
	for i := range c.NumHiddenLayers {
		m := between(low, high, i, c.NumHiddenLayers)
		q := makeDivisible(float64(c.HiddenSize)*m, c.HeadDim*groups) / c.HeadDim
		c.LayerHeads, c.LayerKVHeads = append(c.LayerHeads, q), append(c.LayerKVHeads, q/groups)
	}
}

// openELMWidths sets the width of each layer's MLP.
func (f *fields) openELMWidths(c *Config) {
	divisor := field(f, "ffn_dim_divisor", 256)
	if divisor < 1 || divisor > maxSize {
		f.bad("ffn_dim_divisor is %d: want 1 to %d", divisor, maxSize)
		return
	}
	var list []float64
	raw := f.take("ffn_multipliers")
	if json.Unmarshal(raw, &list) != nil || len(list) != c.NumHiddenLayers {
		low, high := f.multiplierRange("ffn_multipliers", 4)
		list = nil
		for i := range c.NumHiddenLayers {
			list = append(list, between(low, high, i, c.NumHiddenLayers))
		}
	}
	for i, m := range list {
		if !(m > 0 && m < maxSize) {
			f.bad("ffn_multipliers[%d] is %v: want a positive number", i, m)
			return
		}
		c.LayerIntermediate = append(c.LayerIntermediate, makeDivisible(m*float64(c.HiddenSize), divisor))
	}
}

// perLayer is a number for each layer, from a list or one for all.
func (f *fields) perLayer(name string, layers int) (list []int, given bool) {
	raw := f.take(name)
	if !f.set(name) {
		return nil, false
	}
	var one int
	if json.Unmarshal(raw, &one) == nil {
		list = make([]int, layers)
		for i := range list {
			list[i] = one
		}
		return list, true
	}
	if err := json.Unmarshal(raw, &list); err != nil || len(list) != layers {
		f.bad("%s %s: want a number for each of %d layers", name, raw, layers)
		return nil, false
	}
	return list, true
}

// multiplierRange is a number, or the first layer's and the last one's.
func (f *fields) multiplierRange(name string, otherwise float64) (low, high float64) {
	raw := f.take(name)
	if !f.set(name) {
		return otherwise, otherwise
	}
	var one float64
	var list []float64
	switch {
	case json.Unmarshal(raw, &one) == nil:
		low, high = one, one
	case json.Unmarshal(raw, &list) == nil && len(list) == 2:
		low, high = list[0], list[1]
	default:
		f.bad("%s %s: want a number, a range of two, or one for each layer", name, raw)
		return otherwise, otherwise
	}
	if !(low > 0 && high > 0 && max(low, high) < maxSize) {
		f.bad("%s %s: want positive numbers", name, raw)
		return otherwise, otherwise
	}
	return low, high
}

// between is the i-th of n numbers from low to high, evenly apart and rounded
// to hundredths, halves to even.
func between(low, high float64, i, n int) float64 {
	if low == high || n == 1 {
		return low
	}
	return math.RoundToEven((low+(high-low)*float64(i)/float64(n-1))*100) / 100
}

// makeDivisible rounds v to a multiple of the divisor, not to less than nine tenths of it.
func makeDivisible(v float64, divisor int) int {
	n := max(divisor, int(v+float64(divisor)/2)/divisor*divisor)
	if float64(n) < 0.9*v {
		n += divisor
	}
	return n
}

// writeOpenELM is the whole config.json. The width of an MLP is written as the
// multiplier that gives it, with a divisor of one.
func writeOpenELM(c *Config, out map[string]any) {
	multipliers := make([]float64, len(c.LayerIntermediate))
	for i, n := range c.LayerIntermediate {
		multipliers[i] = float64(n) / float64(c.HiddenSize)
	}
	for name, v := range map[string]any{
		"architectures": []string{"OpenELMForCausalLM"},
		"model_dim":     c.HiddenSize, "num_transformer_layers": c.NumHiddenLayers, "head_dim": c.HeadDim,
		"vocab_size": c.VocabSize, "rope_max_length": c.MaxPositionEmbeddings, "max_context_length": c.MaxPositionEmbeddings,
		"rope_freq_constant": c.RopeTheta, "initializer_range": c.InitializerRange, "activation_fn_name": c.HiddenAct,
		"share_input_output_layers": c.TieWordEmbeddings, "normalize_qk_projections": !c.NoHeadNorms,
		"normalization_layer_name": "rms_norm", "ffn_with_glu": true, "ffn_dim_divisor": 1, "ffn_multipliers": multipliers,
		"num_query_heads": c.LayerHeads, "num_kv_heads": c.LayerKVHeads,
	} {
		out[name] = v
	}
}
