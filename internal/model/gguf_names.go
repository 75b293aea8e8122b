package model

import (
	"fmt"
	"strings"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// ggufOuter and ggufInner give llama.cpp's names of modules (gguf-py,
// constants.py) by Hugging Face's: those of the model and those of a layer.
var (
	ggufOuter = map[string]string{
		"model.embed_tokens": "token_embd",
		"model.norm":         "output_norm",
		"lm_head":            "output",
	}
	ggufInner = map[string]string{
		"input_layernorm":          "attn_norm",
		"self_attn.q_proj":         "attn_q",
		"self_attn.k_proj":         "attn_k",
		"self_attn.v_proj":         "attn_v",
		"self_attn.o_proj":         "attn_output",
		"post_attention_layernorm": "ffn_norm",
		"mlp.gate_proj":            "ffn_gate",
		"mlp.up_proj":              "ffn_up",
		"mlp.down_proj":            "ffn_down",

		"self_attn.qkv_proj":         "attn_qkv",
		"mlp.gate_up_proj":           "ffn_up",
		"self_attn.q_norm":           "attn_q_norm",
		"self_attn.k_norm":           "attn_k_norm",
		"pre_feedforward_layernorm":  "ffn_norm",
		"post_feedforward_layernorm": "post_ffw_norm",
	}
)

// ggufName is llama.cpp's name of a tensor of c's models.
func (c *Config) ggufName(name string) string {
	if module, ok := strings.CutSuffix(name, ".post_attention_layernorm.weight"); ok && c.family().postNorms {
		return "blk." + strings.TrimPrefix(module, "model.layers.") + ".post_attention_norm.weight"
	}
	return ggufName(name)
}

// ggufName is llama.cpp's name of the tensor that Hugging Face calls name.
func ggufName(name string) string {
	dot := strings.LastIndexByte(name, '.')
	module, kind := name[:dot], name[dot:]
	if outer, ok := ggufOuter[module]; ok {
		return outer + kind
	}
	layer, inner, _ := strings.Cut(strings.TrimPrefix(module, "model.layers."), ".")
	return "blk." + layer + "." + ggufInner[inner] + kind
}

// interleaved tells whether llama.cpp stores the rows of a tensor, by its
// Hugging Face name, in the order of rotary pairs side by side. Its llama
// architecture does so with queries and keys; the others keep the halves apart.
func interleaved(modelType, name string) bool {
	return (modelType == "llama" || modelType == "mistral") && (strings.Contains(name, ".q_proj.") || strings.Contains(name, ".k_proj."))
}

// halvesRow is the row of a matrix whose heads have rotary halves apart (pairs
// j and j+E/2) that is row i of the same matrix with pairs side by side.
func halvesRow(i, headDim int) int {
	head, within := i/headDim, i%headDim
	return head*headDim + within%2*(headDim/2) + within/2
}

// GGUFTensor is a tensor of a model under llama.cpp's name.
type GGUFTensor struct {
	Name   string
	Matrix *compute.Weight // (out,in), or nil
	Vector *tensor.Dense   // (n), or nil

	headDim int // of heads whose rows are interleaved; 0 if none are
}

// Row is the row of Matrix, or the element of Vector, that a GGUF file has as
// its i-th: another one than i where llama.cpp wants the halves of rotary heads
// interleaved.
func (t GGUFTensor) Row(i int) int {
	if t.headDim == 0 {
		return i
	}
	return halvesRow(i, t.headDim)
}

// GGUFTensors lists all tensors of m as a GGUF file holds them, in the order of
// the network; a tied head has none. A model that llama.cpp would compute
// otherwise is an error, as is one with low-rank updates that are not merged.
func (m *Model) GGUFTensors() ([]GGUFTensor, error) {
	if err := m.checkGGUF(); err != nil {
		return nil, err
	}
	list := m.ropeTensors()
	add := func(name string, matrix *compute.Weight, vector *tensor.Dense) {
		t := GGUFTensor{Name: m.Config.ggufName(name), Matrix: matrix, Vector: vector}
		if interleaved(m.Config.ModelType, name) {
			t.headDim = m.Config.HeadDim
		}
		list = append(list, t)
	}
	names := &m.Config.family().names
	add(names.embed+".weight", m.Embed.Weight, nil)
	for _, l := range m.Layers {
		for _, g := range l.norms {
			add(g.name+".weight", nil, m.plusOne(g))
		}
		for _, mod := range l.modules {
			add(mod.name+".weight", mod.part.Weight, nil)
			if mod.part.Bias != nil {
				add(mod.name+".bias", nil, mod.part.Bias)
			}
		}
	}
	add(names.norm+".weight", nil, m.plusOne(norm{names.norm, m.Norm}))
	if m.Head != m.Embed {
		add(names.head+".weight", m.Head.Weight, nil)
	}
	return list, nil
}

// checkGGUF refuses what no key or tensor of a GGUF file can say.
func (m *Model) checkGGUF() error {
	f := m.Config.gguf()
	if f == nil {
		return fmt.Errorf("model type %q: supported in GGUF are %s", m.Config.ModelType, strings.Join(ggufModelTypes(), ", "))
	}
	if m.LoRA != nil {
		return fmt.Errorf("the model has low-rank updates that are not merged")
	}
	return f.check(&m.Config)
}
