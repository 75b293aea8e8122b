package model

import (
	"encoding/json"
	"fmt"
)

// JSON is the config.json that transformers reads; dtype is the torch name of
// the weights' type.
func (c *ClassifierConfig) JSON(dtype string) ([]byte, error) {
	id2label, label2id := map[string]string{}, map[string]int{}
	for i, name := range c.Labels {
		id2label[fmt.Sprint(i)], label2id[name] = name, i
	}
	f := map[string]any{
		"architectures": []string{encoders[c.ModelType].architecture}, "model_type": c.ModelType, "torch_dtype": dtype,
		"vocab_size": c.VocabSize, "max_position_embeddings": c.MaxPositionEmbeddings, "initializer_range": c.InitializerRange,
		"id2label": id2label, "label2id": label2id, "pad_token_id": nil,
	}
	if c.PAD >= 0 {
		f["pad_token_id"] = c.PAD
	}
	if c.ModelType == "distilbert" {
		f["dim"], f["hidden_dim"], f["n_layers"], f["n_heads"] = c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads
		f["activation"], f["sinusoidal_pos_embds"] = c.HiddenAct, c.SinusoidalPositions
	} else {
		f["hidden_size"], f["intermediate_size"], f["num_hidden_layers"] = c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers
		f["num_attention_heads"], f["hidden_act"], f["layer_norm_eps"] = c.NumAttentionHeads, c.HiddenAct, c.LayerNormEps
		f["type_vocab_size"], f["position_embedding_type"] = c.TypeVocabSize, "absolute"
	}
	if c.ModelType == "albert" || c.ModelType == "electra" {
		f["embedding_size"] = c.EmbeddingSize
	}
	if c.ModelType == "albert" {
		f["num_hidden_groups"], f["inner_group_num"] = c.NumHiddenGroups, c.InnerGroupNum
	}
	for name, p := range c.Dropouts {
		f[name] = p
	}
	data, err := json.MarshalIndent(f, "", "  ")
	return append(data, '\n'), err
}
