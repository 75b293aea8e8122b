package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gguf"

	"gorgonia.org/tensor"
)

// ggufFamily is how llama.cpp has the models of a model type.
type ggufFamily struct {
	modelType, arch string
	activation      string // that it computes
	pattern         int    // every so-manyth layer has no window, unless a key says else; 0 is all alike
	large           int    // layers of the model whose scores are scaled by D/H
	mayHaveBiases   bool   // of q, k, v, o and the MLP
}

// ggufFamilies are the model types that can be read and written. The first of
// an architecture is what its files are read as: llama.cpp computes Mistral's
// models, without their windows, as llama.
var ggufFamilies = []ggufFamily{
	{modelType: "llama", arch: "llama", activation: "silu", mayHaveBiases: true},
	{modelType: "mistral", arch: "llama", activation: "silu", mayHaveBiases: true},
	{modelType: "qwen2", arch: "qwen2", activation: "silu"},
	{modelType: "qwen3", arch: "qwen3", activation: "silu"},
	{modelType: "phi3", arch: "phi3", activation: "silu"},
	{modelType: "gemma", arch: "gemma", activation: "gelu_pytorch_tanh"},
	{modelType: "gemma2", arch: "gemma2", activation: "gelu_pytorch_tanh", pattern: 2, large: 46},
	{modelType: "gemma3_text", arch: "gemma3", activation: "gelu_pytorch_tanh", pattern: 6, large: 62},
}

// localThetaGGUF is the rope of Gemma 3's layers with a window where no key says it.
const localThetaGGUF = 10000

func ggufFamilyOf(match func(f *ggufFamily) bool) *ggufFamily {
	for i := range ggufFamilies {
		if match(&ggufFamilies[i]) {
			return &ggufFamilies[i]
		}
	}
	return nil
}

// ggufModelTypes are those of ggufFamilies.
func ggufModelTypes() []string {
	var types []string
	for _, f := range ggufFamilies {
		types = append(types, f.modelType)
	}
	return types
}

// gguf is c's family in GGUF, nil if there is none.
func (c *Config) gguf() *ggufFamily {
	return ggufFamilyOf(func(f *ggufFamily) bool { return f.modelType == c.ModelType })
}

// GGUFArchitecture is the value of general.architecture for models of c, which
// GGUFTensors accepts.
func (c *Config) GGUFArchitecture() string { return c.gguf().arch }

// queryScalar is what llama.cpp divides scores by the root of.
func (f *ggufFamily) queryScalar(c *Config) float64 {
	if f.large == 0 || c.NumHiddenLayers != f.large {
		return float64(c.HeadDim)
	}
	return float64(c.HiddenSize / c.NumAttentionHeads)
}

// check refuses what llama.cpp computes in another way in models of the family.
func (f *ggufFamily) check(c *Config) error {
	switch {
	case activations[c.HiddenAct] != activations[f.activation]:
		return fmt.Errorf("hidden_act %q: llama.cpp computes %s for every %s model", c.HiddenAct, f.activation, c.ModelType)
	case c.ModelType == "qwen2" && (!c.AttentionBias || c.OutputBias || c.MLPBias):
		return fmt.Errorf("llama.cpp wants biases of q, k and v in a qwen2 model, and no others")
	case !f.mayHaveBiases && c.ModelType != "qwen2" && (c.AttentionBias || c.OutputBias || c.MLPBias):
		return fmt.Errorf("llama.cpp has no biases in a %s model", c.ModelType)
	case c.family().gainOffset != 0 && !c.TieWordEmbeddings:
		return fmt.Errorf("tie_word_embeddings false: llama.cpp ties the head of every %s model", c.ModelType)
	case c.QueryPreAttnScalar != 0 && c.QueryPreAttnScalar != f.queryScalar(c):
		return fmt.Errorf("query_pre_attn_scalar %v: llama.cpp has %v", c.QueryPreAttnScalar, f.queryScalar(c))
	case c.ModelType != "gemma2" && c.AttnLogitSoftcap != 0:
		return fmt.Errorf("attn_logit_softcapping %v: llama.cpp has none in a %s model", c.AttnLogitSoftcap, c.ModelType)
	case c.ModelType == "gemma2" && (c.AttnLogitSoftcap == 0 || c.FinalLogitSoftcap == 0):
		return fmt.Errorf("llama.cpp caps scores and logits of every gemma2 model")
	}
	return f.checkPositions(c)
}

// checkPositions refuses windows and ropes that llama.cpp has not, or in another way.
func (f *ggufFamily) checkPositions(c *Config) error {
	switch windowed := c.SlidingWindow > 0 && c.SlidingWindow < c.MaxPositionEmbeddings; {
	case f.pattern > 0 && c.SlidingWindow == 0:
		return fmt.Errorf("no layer has a sliding window: llama.cpp has one in every %s model", c.ModelType)
	case windowed && f.pattern == 0: // phi3's files have a key for it, which llama.cpp reads and ignores
		return fmt.Errorf("sliding_window %d: llama.cpp has none in a %s model", c.SlidingWindow, c.ModelType)
	}
	switch kind := c.Rope.Type; {
	case kind == "yarn" && f.hasYarn():
		return c.checkYarnGGUF()
	case kind == "", kind == "linear", kind == "llama3" && f.arch == "llama", kind == "longrope" && f.arch == "phi3":
		return nil
	default:
		return fmt.Errorf("rope_scaling of rope_type %q: not supported in GGUF for a %s model", kind, c.ModelType)
	}
}

// GGUFMetadata are the keys of the architecture from which llama.cpp builds
// the model.
func (c *Config) GGUFMetadata() []gguf.KV {
	prefix := c.GGUFArchitecture() + "."
	var meta []gguf.KV
	add := func(key string, v any) { meta = append(meta, gguf.KV{Key: prefix + key, Value: v}) }
	number := func(key string, n int) { add(key, uint32(n)) }
	number("context_length", c.MaxPositionEmbeddings)
	number("embedding_length", c.HiddenSize)
	number("block_count", c.NumHiddenLayers)
	number("feed_forward_length", c.IntermediateSize)
	number("attention.head_count", c.NumAttentionHeads)
	number("attention.head_count_kv", c.NumKeyValueHeads)
	if c.HeadDim*c.NumAttentionHeads != c.HiddenSize { // readers take the quotient otherwise
		number("attention.key_length", c.HeadDim)
		number("attention.value_length", c.HeadDim)
	}
	number("rope.dimension_count", c.rotaryDim())
	number("vocab_size", c.VocabSize)
	add("attention.layer_norm_rms_epsilon", float32(c.RMSNormEps))
	add("rope.freq_base", float32(c.RopeTheta))
	if c.gguf().pattern > 0 || c.ModelType == "phi3" {
		number("attention.sliding_window", c.SlidingWindow)
	}
	c.windowMetadata(add)
	if c.ModelType == "gemma2" {
		add("attn_logit_softcapping", float32(c.AttnLogitSoftcap))
	}
	if c.FinalLogitSoftcap != 0 {
		add(finalSoftcap, float32(c.FinalLogitSoftcap))
	}
	switch c.Rope.Type {
	case "linear":
		add(ropeScaling+"type", "linear")
		add(ropeScaling+"factor", float32(c.Rope.Factor))
	case "yarn":
		c.yarnMetadata(add)
	case "longrope":
		original, _ := c.longropeLengths()
		usual, _ := c.rotation()
		number(ropeScaling+"original_context_length", original)
		add(ropeScaling+"attn_factor", float32(usual.Scale))
	}
	return meta
}

// ropeTensors are the divisors of the rotary frequencies that a GGUF file
// holds as tensors.
func (m *Model) ropeTensors() []GGUFTensor {
	c := &m.Config
	vector := func(name string, values []float64) GGUFTensor {
		a := m.dev.New(len(values))
		for i, v := range values {
			m.dev.Host(compute.Of(a))[i] = float32(v)
		}
		return GGUFTensor{Name: name, Vector: a}
	}
	switch c.Rope.Type {
	case "llama3":
		usual, _ := c.rotation()
		divisors := frequencies(c.RopeTheta, c.HeadDim)
		for j := range divisors {
			divisors[j] /= usual.Frequencies[j]
		}
		return []GGUFTensor{vector(ropeFreqs, divisors)}
	case "longrope":
		return []GGUFTensor{vector(ropeLong, c.Rope.LongFactors), vector(ropeShort, c.Rope.ShortFactors)}
	}
	return nil
}

const (
	ropeFreqs = "rope_freqs.weight"
	ropeLong  = "rope_factors_long.weight"
	ropeShort = "rope_factors_short.weight"
)

// ropeTensorNames are the names of the tensors that ggufConfig has read.
func (c *Config) ropeTensorNames() []string {
	switch {
	case c.Rope.Type != "longrope":
		return nil
	case c.ModelType == "phi3":
		return []string{ropeLong, ropeShort}
	}
	return []string{ropeFreqs}
}

// plusOne is a gain as llama.cpp stores it: what is multiplied by.
func (m *Model) plusOne(g norm) *tensor.Dense {
	if g.gain.Offset == 0 {
		return g.gain.Values
	}
	a := m.dev.New(g.gain.Values.Shape().TotalSize())
	from, to := m.dev.Host(compute.Of(g.gain.Values)), m.dev.Host(compute.Of(a))
	for i, v := range from {
		to[i] = v + g.gain.Offset
	}
	return a
}

// readFamily reads what a family's keys and tensors say beyond those of all.
func (r *archReader) readFamily(f *gguf.File, family *ggufFamily, c *Config) {
	if family.pattern > 0 || c.ModelType == "phi3" {
		c.SlidingWindow = r.window(family)
	}
	if family.pattern > 0 && c.NumHiddenLayers > 0 && c.NumHiddenLayers <= len(f.Tensors()) {
		c.setLayerTypes(r.layerTypes(family, c.NumHiddenLayers))
		c.QueryPreAttnScalar = family.queryScalar(c)
	}
	switch c.ModelType {
	case "gemma2":
		c.AttnLogitSoftcap = r.number("attn_logit_softcapping", 50)
		c.FinalLogitSoftcap = r.number(finalSoftcap, 30)
	case "gemma3_text":
		c.LocalRopeTheta = r.number(localThetaKey, localThetaGGUF)
		if r.has(finalSoftcap) {
			c.FinalLogitSoftcap = r.number(finalSoftcap, 0)
		}
	}
	r.readScaling(f, family, c)
}

// window is the size of the window, which Gemma's files may leave out.
func (r *archReader) window(family *ggufFamily) int {
	const key = "attention.sliding_window"
	n, ok, err := r.meta.Int(r.prefix + key)
	if err == nil && ok && n == 0 && family.pattern == 0 {
		r.known[key] = true
		return 0
	}
	if !ok && family.pattern == 0 {
		return 0
	}
	return r.size(key, 4096)
}

// readScaling reads how rotary angles are changed.
func (r *archReader) readScaling(f *gguf.File, family *ggufFamily, c *Config) {
	kind, _, err := gguf.Get[string](r.meta, r.prefix+ropeScaling+"type")
	if err != nil {
		r.errs = append(r.errs, err)
		return
	}
	switch {
	case kind == "linear":
		r.known[ropeScaling+"type"] = true
		c.Rope = RopeScaling{Type: "linear", Factor: r.number(ropeScaling+"factor", 0)}
	case kind == "yarn" && family.hasYarn():
		c.Rope = r.yarn(c.MaxPositionEmbeddings)
	}
	pairs := c.rotaryDim() / 2
	if _, ok := f.Tensor(ropeFreqs); ok && family.arch == "llama" {
		// Divisors alone do not say what made them: a longrope with one list for all lengths.
		divisors := r.divisors(f, ropeFreqs, pairs)
		if c.Rope.Type != "" {
			r.bad(ropeScaling+"type", ": %s, beside %s, is not supported", kind, ropeFreqs)
		}
		c.Rope = RopeScaling{Type: "longrope", Factor: 1, AttentionFactor: 1, ShortFactors: divisors, LongFactors: divisors}
	}
	if _, ok := f.Tensor(ropeLong); !ok || family.arch != "phi3" {
		return
	}
	c.Rope = RopeScaling{Type: "longrope", OriginalMax: r.size(ropeScaling+"original_context_length", 0),
		AttentionFactor: r.number(ropeScaling+"attn_factor", 1),
		ShortFactors:    r.divisors(f, ropeShort, pairs), LongFactors: r.divisors(f, ropeLong, pairs)}
}

// divisors is a tensor of so many positive float32 values.
func (r *archReader) divisors(f *gguf.File, name string, n int) []float64 {
	fail := func(format string, args ...any) []float64 {
		r.errs = append(r.errs, fmt.Errorf("tensor "+name+format, args...))
		return nil
	}
	t, ok := f.Tensor(name)
	if !ok {
		return fail(" is missing")
	}
	if t.Type != gguf.F32 || !slices.Equal(t.Dims, []int{n}) {
		return fail(" has type %s and dims %v: want F32 and %d", t.Type, t.Dims, n)
	}
	data, err := f.Bytes(name)
	if err != nil {
		return fail(": %w", err)
	}
	w, err := compute.NewWeight(compute.F32, 1, n, data)
	if err != nil {
		return fail(": %w", err)
	}
	list, row := make([]float64, n), make([]float32, n)
	w.Row(row, 0)
	for i, v := range row {
		if !(v > 0) || math.IsInf(float64(v), 0) {
			return fail(": value %d is %v: want a positive number", i, v)
		}
		list[i] = decimal(v)
	}
	return list
}
