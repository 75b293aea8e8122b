package recipes

import (
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/tokenizer"
)

// newModel is the shape of a model to be made. Keys are config.json's.
type newModel struct {
	HiddenSize        int     `yaml:"hidden_size"`
	IntermediateSize  int     `yaml:"intermediate_size"`
	Layers            int     `yaml:"num_hidden_layers"`
	Heads             int     `yaml:"num_attention_heads"`
	KVHeads           int     `yaml:"num_key_value_heads"`     // 0 means as many as heads
	MaxPositions      int     `yaml:"max_position_embeddings"` // 0 means 512
	TieWordEmbeddings bool    `yaml:"tie_word_embeddings"`
	RopeTheta         float64 `yaml:"rope_theta"`        // 0 means 10000
	InitializerRange  float64 `yaml:"initializer_range"` // 0 means 0.02
}

func (n *newModel) config(t *tokenizer.Tokenizer) model.Config {
	c := model.Config{
		ModelType: "llama", HiddenSize: n.HiddenSize, IntermediateSize: n.IntermediateSize,
		NumHiddenLayers: n.Layers, NumAttentionHeads: n.Heads, NumKeyValueHeads: orElse(n.KVHeads, n.Heads),
		MaxPositionEmbeddings: orElse(n.MaxPositions, 512), TieWordEmbeddings: n.TieWordEmbeddings,
		RopeTheta: orElse(n.RopeTheta, 10000), InitializerRange: orElse(n.InitializerRange, 0.02),
		RMSNormEps: 1e-5, HiddenAct: "silu", BOS: -1, PAD: -1, VocabSize: 1,
	}
	if n.Heads > 0 {
		c.HeadDim = n.HiddenSize / n.Heads
	}
	if t == nil {
		return c
	}
	c.VocabSize = t.VocabSize()
	if id, ok := t.BOS(); ok {
		c.BOS = id
	}
	if id, ok := t.PAD(); ok {
		c.PAD = id
	}
	if id, ok := t.EOS(); ok {
		c.EOS = []int32{id}
	}
	return c
}
