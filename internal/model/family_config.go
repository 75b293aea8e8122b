package model

import "slices"

const (
	slidingAttention = "sliding_attention"
	fullAttention    = "full_attention"
)

func readLlama(f *fields, c *Config) {
	c.AttentionBias = field(f, "attention_bias", false)
	c.OutputBias, c.MLPBias = c.AttentionBias, field(f, "mlp_bias", false)
	f.readLayerTypes(c, func(int) string { return fullAttention })
}

func writeLlama(c *Config, out map[string]any) {
	out["attention_bias"], out["mlp_bias"] = c.AttentionBias, c.MLPBias
}

// readMistral: every layer has the window.
func readMistral(f *fields, c *Config) {
	c.SlidingWindow = f.window("sliding_window", 4096)
	of := fullAttention
	if c.SlidingWindow > 0 {
		of = slidingAttention
	}
	f.readLayerTypes(c, func(int) string { return of })
}

func writeMistral(c *Config, out map[string]any) { out["sliding_window"] = orNull(c.SlidingWindow) }

func readQwen2(f *fields, c *Config) {
	f.take("attention_bias") // transformers has the biases whatever these say
	f.take("mlp_bias")
	c.AttentionBias = true
	f.readQwenWindows(c)
}

func readQwen3(f *fields, c *Config) {
	c.AttentionBias = field(f, "attention_bias", false)
	c.OutputBias = c.AttentionBias
	f.readQwenWindows(c)
}

// readQwenWindows: the layers from max_window_layers on have one, if any has.
func (f *fields) readQwenWindows(c *Config) {
	size, from := f.window("sliding_window", 4096), field(f, "max_window_layers", 28)
	if field(f, "use_sliding_window", false) {
		c.SlidingWindow = size
	}
	f.readLayerTypes(c, func(i int) string {
		if c.SlidingWindow > 0 && i >= from {
			return slidingAttention
		}
		return fullAttention
	})
}

func writeQwen(c *Config, out map[string]any) {
	out["use_sliding_window"], out["sliding_window"] = c.SlidingWindow > 0, orNull(c.SlidingWindow)
	if c.ModelType == "qwen3" {
		out["attention_bias"] = c.AttentionBias
	}
	writeLayerTypes(c, out)
}

// readPhi3: every layer has the window, if there is one.
func readPhi3(f *fields, c *Config) {
	c.SlidingWindow = f.window("sliding_window", 0)
	c.ResidualDropout = field(f, "resid_pdrop", 0.0)
	if t := c.Rope.Type; t != "" && t != "longrope" {
		f.bad("rope_scaling: rope_type %q is not supported in a phi3 model", t)
	}
}

func writePhi3(c *Config, out map[string]any) {
	out["sliding_window"], out["resid_pdrop"] = orNull(c.SlidingWindow), c.ResidualDropout
}

func readGemma(f *fields, c *Config) {
	f.take("hidden_activation") // transformers computes hidden_act, since 4.48
	c.AttentionBias = field(f, "attention_bias", false)
	c.OutputBias = c.AttentionBias
}

func writeGemma(c *Config, out map[string]any) { out["attention_bias"] = c.AttentionBias }

// readGemma2: every other layer has the window, the first among them.
func readGemma2(f *fields, c *Config) {
	f.take("hidden_act")
	c.AttentionBias = field(f, "attention_bias", false)
	c.OutputBias = c.AttentionBias
	c.QueryPreAttnScalar = field(f, "query_pre_attn_scalar", 256.0)
	c.AttnLogitSoftcap = missingOr(f, "attn_logit_softcapping", 50.0, 0)
	c.FinalLogitSoftcap = missingOr(f, "final_logit_softcapping", 30.0, 0)
	c.SlidingWindow = f.window("sliding_window", 4096)
	f.readLayerTypes(c, func(i int) string {
		if i%2 == 0 {
			return slidingAttention
		}
		return fullAttention
	})
}

func writeGemma2(c *Config, out map[string]any) {
	out["attention_bias"], out["query_pre_attn_scalar"] = c.AttentionBias, c.QueryPreAttnScalar
	out["attn_logit_softcapping"], out["final_logit_softcapping"] = orNull(c.AttnLogitSoftcap), orNull(c.FinalLogitSoftcap)
	out["sliding_window"] = orNull(c.SlidingWindow)
	out["layer_types"] = c.layerTypes()
}

// readGemma3: the layers but every sixth have the window.
func readGemma3(f *fields, c *Config) {
	f.take("hidden_act")
	f.take("attn_logit_softcapping") // transformers' attention does not have it
	c.AttentionBias = field(f, "attention_bias", false)
	c.OutputBias = c.AttentionBias
	c.QueryPreAttnScalar = field(f, "query_pre_attn_scalar", 256.0)
	c.FinalLogitSoftcap = field(f, "final_logit_softcapping", 0.0)
	c.SlidingWindow = f.window("sliding_window", 4096)
	local := field(f, "rope_local_base_freq", 1e4)
	if c.LocalRopeTheta == 0 {
		c.LocalRopeTheta = local
	}
	if field(f, "use_bidirectional_attention", false) {
		f.bad("use_bidirectional_attention is not supported")
	}
	pattern := field(f, "sliding_window_pattern", field(f, "_sliding_window_pattern", 6))
	if pattern < 1 {
		f.bad("sliding_window_pattern is %d: want 1 or more", pattern)
		pattern = 1
	}
	f.readLayerTypes(c, func(i int) string {
		if (i+1)%pattern != 0 {
			return slidingAttention
		}
		return fullAttention
	})
}

func writeGemma3(c *Config, out map[string]any) {
	writeGemma2(c, out)
	out["attn_logit_softcapping"], out["rope_local_base_freq"] = nil, c.LocalRopeTheta
}

// window is a number of tokens from 1; 0 is none, as null.
func (f *fields) window(name string, otherwise int) int {
	n := missingOr(f, name, otherwise, 0)
	if n < 0 || n == 0 && f.set(name) || n > maxSize {
		f.bad("%s is %d: want 1 to %d", name, n, maxSize)
		return 0
	}
	return n
}

// readLayerTypes sets the kinds of layers: those of the file, or else of kind.
func (f *fields) readLayerTypes(c *Config, kind func(layer int) string) {
	list := field[[]string](f, "layer_types", nil)
	given := list != nil
	if c.NumHiddenLayers < 1 || !given && c.SlidingWindow == 0 {
		return
	}
	if !f.fewLayers(c.NumHiddenLayers) {
		return
	}
	if given && len(list) != c.NumHiddenLayers {
		f.bad("layer_types has %d entries for %d layers", len(list), c.NumHiddenLayers)
		return
	}
	types := make([]string, c.NumHiddenLayers)
	for i := range types {
		types[i] = kind(i)
		if !given || list[i] == types[i] {
			continue
		}
		known := list[i] == slidingAttention || list[i] == fullAttention
		if !known || !mixesLayers(c.ModelType) || list[i] == slidingAttention && c.SlidingWindow == 0 {
			f.bad("layer_types[%d] %q is not supported", i, list[i])
			return
		}
		types[i] = list[i]
	}
	c.setLayerTypes(types)
}

// maxListedLayers bounds the layers of models that are described one by one, so
// that a number in a file cannot take all memory.
const maxListedLayers = 1 << 16

func (f *fields) fewLayers(n int) bool {
	if n > maxListedLayers {
		f.bad("%d layers: want up to %d", n, maxListedLayers)
	}
	return n <= maxListedLayers
}

// mixesLayers tells whether layers with and without a window can follow one
// another in a family.
func mixesLayers(modelType string) bool {
	return slices.Contains([]string{"qwen2", "qwen3", "gemma2", "gemma3_text"}, modelType)
}

// setLayerTypes keeps the kinds of layers only where they are not all alike.
func (c *Config) setLayerTypes(types []string) {
	if c.SlidingWindow == 0 || !slices.Contains(types, slidingAttention) {
		c.SlidingWindow, c.LayerTypes = 0, nil
		return
	}
	c.LayerTypes = nil
	if slices.Contains(types, fullAttention) {
		c.LayerTypes = types
	}
}

// layerTypes has an entry for every layer.
func (c *Config) layerTypes() []string {
	types := make([]string, c.NumHiddenLayers)
	for i := range types {
		types[i] = fullAttention
		if c.window(i) > 0 {
			types[i] = slidingAttention
		}
	}
	return types
}

func writeLayerTypes(c *Config, out map[string]any) {
	if c.SlidingWindow > 0 {
		out["layer_types"] = c.layerTypes()
	}
}

// orNull is nil for 0.
func orNull[T int | float64](v T) any {
	if v == 0 {
		return nil
	}
	return v
}
