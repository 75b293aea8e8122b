package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// ggufArchitectures are the values of general.architecture that can be read
// and written; each is the model type of the same name.
var ggufArchitectures = []string{"llama", "qwen2"}

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
	}
)

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
// architecture does so with queries and keys; qwen2 keeps the halves apart.
func interleaved(modelType, name string) bool {
	return modelType == "llama" && (strings.Contains(name, ".q_proj.") || strings.Contains(name, ".k_proj."))
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
	var list []GGUFTensor
	add := func(name string, matrix *compute.Weight, vector *tensor.Dense) {
		t := GGUFTensor{Name: ggufName(name), Matrix: matrix, Vector: vector}
		if interleaved(m.Config.ModelType, name) {
			t.headDim = m.Config.HeadDim
		}
		list = append(list, t)
	}
	add("model.embed_tokens.weight", m.Embed.Weight, nil)
	modules := m.modules()
	for i, l := range m.Layers {
		perLayer := len(modules) / len(m.Layers)
		prefix := fmt.Sprintf("model.layers.%d.", i)
		add(prefix+"input_layernorm.weight", nil, l.AttentionNorm.Values)
		add(prefix+"post_attention_layernorm.weight", nil, l.MLPNorm.Values)
		for _, mod := range modules[i*perLayer : (i+1)*perLayer] {
			add(mod.name+".weight", mod.part.Weight, nil)
			if mod.part.Bias != nil {
				add(mod.name+".bias", nil, mod.part.Bias)
			}
		}
	}
	add("model.norm.weight", nil, m.Norm.Values)
	if m.Head != m.Embed {
		add("lm_head.weight", m.Head.Weight, nil)
	}
	return list, nil
}

// checkGGUF refuses what no key or tensor of a GGUF file can say.
func (m *Model) checkGGUF() error {
	c := &m.Config
	switch {
	case !slices.Contains(ggufArchitectures, c.ModelType):
		return fmt.Errorf("model type %q: supported in GGUF are %s", c.ModelType, strings.Join(ggufArchitectures, ", "))
	case m.LoRA != nil:
		return fmt.Errorf("the model has low-rank updates that are not merged")
	case activations[c.HiddenAct] != compute.SiLU:
		return fmt.Errorf("hidden_act %q: llama.cpp computes silu for every %s model", c.HiddenAct, c.ModelType)
	case c.ModelType == "qwen2" && (!c.AttentionBias || c.OutputBias || c.MLPBias):
		return fmt.Errorf("llama.cpp wants biases of q, k and v in a qwen2 model, and no others")
	}
	return nil
}
