package model

import "math"

// family is what the models of a model type have in common, beside what their
// configurations say.
type family struct {
	modelType string
	names     names
	// read sets what the fields that not every family has say; write is the
	// way back, of the fields beyond those that Config.JSON writes itself.
	read  func(f *fields, c *Config)
	write func(c *Config, out map[string]any)

	defaults       familyDefaults
	activation     string  // the field that names it
	gainOffset     float32 // what is added to the weights of norms
	scaledEmbed    bool    // embeddings are multiplied by sqrt(D)
	headNorms      bool    // queries and keys are normalized by head
	postNorms      bool    // what a layer's two branches give is normalized
	localRotations bool    // layers with a window have a rope of their own
}

// familyDefaults are transformers' (4.53), for what a configuration leaves out.
// A zero kvHeads or headDim is as many as there are heads, or D/H.
type familyDefaults struct {
	kvHeads, headDim, positions int
	eps, theta                  float64
	tied                        bool
	activation                  string
}

// names are Hugging Face's of a model's tensors, without ".weight"; those of
// a layer follow its prefix. One name in qkv or gateUp is a fused matrix.
type names struct {
	embed, prefix, norm, head string
	attentionNorm, mlpNorm    string
	attentionPost, mlpPost    string
	queryNorm, keyNorm        string
	qkv, gateUp               []string
	output, down              string
}

func llamaNames() names {
	return names{
		embed: "model.embed_tokens", prefix: "model.layers.%d.", norm: "model.norm", head: "lm_head",
		attentionNorm: "input_layernorm", mlpNorm: "post_attention_layernorm",
		queryNorm: "self_attn.q_norm", keyNorm: "self_attn.k_norm",
		qkv:    []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
		gateUp: []string{"mlp.gate_proj", "mlp.up_proj"},
		output: "self_attn.o_proj", down: "mlp.down_proj",
	}
}

func phi3Names() names {
	n := llamaNames()
	n.qkv, n.gateUp = []string{"self_attn.qkv_proj"}, []string{"mlp.gate_up_proj"}
	return n
}

func gemma2Names() names {
	n := llamaNames()
	n.attentionPost, n.mlpNorm, n.mlpPost = "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"
	return n
}

func openELMNames() names {
	return names{
		embed: "transformer.token_embeddings", prefix: "transformer.layers.%d.", norm: "transformer.norm", head: "lm_head",
		attentionNorm: "attn_norm", mlpNorm: "ffn_norm", queryNorm: "attn.q_norm", keyNorm: "attn.k_norm",
		qkv: []string{"attn.qkv_proj"}, gateUp: []string{"ffn.proj_1"}, output: "attn.out_proj", down: "ffn.proj_2",
	}
}

// families are the decoders that are implemented, by model_type.
var families = []family{
	{modelType: "llama", names: llamaNames(), read: readLlama, write: writeLlama, activation: "hidden_act",
		defaults: familyDefaults{positions: 2048, eps: 1e-6, theta: 1e4, activation: "silu"}},
	{modelType: "mistral", names: llamaNames(), read: readMistral, write: writeMistral, activation: "hidden_act",
		defaults: familyDefaults{kvHeads: 8, positions: 131072, eps: 1e-6, theta: 1e4, activation: "silu"}},
	{modelType: "qwen2", names: llamaNames(), read: readQwen2, write: writeQwen, activation: "hidden_act",
		defaults: familyDefaults{kvHeads: 32, positions: 32768, eps: 1e-6, theta: 1e4, activation: "silu"}},
	{modelType: "qwen3", names: llamaNames(), read: readQwen3, write: writeQwen, activation: "hidden_act", headNorms: true,
		defaults: familyDefaults{kvHeads: 32, headDim: 128, positions: 32768, eps: 1e-6, theta: 1e4, activation: "silu"}},
	{modelType: "phi3", names: phi3Names(), read: readPhi3, write: writePhi3, activation: "hidden_act",
		defaults: familyDefaults{positions: 4096, eps: 1e-5, theta: 1e4, activation: "silu"}},
	{modelType: "gemma", names: llamaNames(), read: readGemma, write: writeGemma, activation: "hidden_act",
		gainOffset: 1, scaledEmbed: true,
		defaults: familyDefaults{kvHeads: 16, headDim: 256, positions: 8192, eps: 1e-6, theta: 1e4, tied: true, activation: "gelu_pytorch_tanh"}},
	{modelType: "gemma2", names: gemma2Names(), read: readGemma2, write: writeGemma2, activation: "hidden_activation",
		gainOffset: 1, scaledEmbed: true, postNorms: true,
		defaults: familyDefaults{kvHeads: 4, headDim: 256, positions: 8192, eps: 1e-6, theta: 1e4, tied: true, activation: "gelu_pytorch_tanh"}},
	{modelType: "gemma3_text", names: gemma2Names(), read: readGemma3, write: writeGemma3, activation: "hidden_activation",
		gainOffset: 1, scaledEmbed: true, postNorms: true, headNorms: true, localRotations: true,
		defaults: familyDefaults{kvHeads: 4, headDim: 256, positions: 131072, eps: 1e-6, theta: 1e6, tied: true, activation: "gelu_pytorch_tanh"}},
	{modelType: "openelm", names: openELMNames(), headNorms: true},
}

// familyOf is the family of a model type, nil if there is none.
func familyOf(modelType string) *family {
	for i := range families {
		if families[i].modelType == modelType {
			return &families[i]
		}
	}
	return nil
}

// family is c's; c has been validated.
func (c *Config) family() *family { return familyOf(c.ModelType) }

func modelTypes() []string {
	var list []string
	for _, f := range families {
		list = append(list, f.modelType)
	}
	return list
}

// heads are the heads of a layer's queries and of its keys.
func (c *Config) heads(layer int) (queries, keys int) {
	if c.LayerHeads != nil {
		return c.LayerHeads[layer], c.LayerKVHeads[layer]
	}
	return c.NumAttentionHeads, c.NumKeyValueHeads
}

// intermediate is the width of a layer's MLP.
func (c *Config) intermediate(layer int) int {
	if c.LayerIntermediate != nil {
		return c.LayerIntermediate[layer]
	}
	return c.IntermediateSize
}

// window is how many rows a row of the layer sees at most; 0 is all.
func (c *Config) window(layer int) int {
	if c.LayerTypes != nil && c.LayerTypes[layer] != slidingAttention {
		return 0
	}
	return c.SlidingWindow
}

// scoreScale is what scores are multiplied by.
func (c *Config) scoreScale() float32 {
	of := float64(c.HeadDim)
	if c.QueryPreAttnScalar > 0 {
		of = c.QueryPreAttnScalar
	}
	return float32(1 / math.Sqrt(of))
}

// hasHeadNorms tells whether queries and keys are normalized by head.
func (c *Config) hasHeadNorms() bool { return c.family().headNorms && !c.NoHeadNorms }
