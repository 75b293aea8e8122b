package model

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

// encoder is what the families of encoders differ in: the names of their
// weights, and their heads.
type encoder struct {
	architecture string // transformers' class
	prefix       string // of the encoder's names, without the dot
	names        encoderNames
	head         []headLayer
}

// encoderNames are the ends of names, of a layer's after its own.
type encoderNames struct {
	project                    string // from the embeddings' width to the layers', if there is one
	query, key, value, output  string
	attentionNorm              string
	up, down, outputNorm       string
	words, positions, types    string
	embeddingNorm, layer       string // layer is a format of one number; albert's of group and layer
	alwaysProject, groupLayers bool
}

// headLayer is a linear layer after the encoder, on the first token of each sequence.
type headLayer struct {
	name       string // of the whole model
	activation compute.Activation
	linear     bool // no activation: the last one, whose outputs are the logits
}

var (
	bertNames = encoderNames{
		query: "attention.self.query", key: "attention.self.key", value: "attention.self.value",
		output: "attention.output.dense", attentionNorm: "attention.output.LayerNorm",
		up: "intermediate.dense", down: "output.dense", outputNorm: "output.LayerNorm",
		words: "embeddings.word_embeddings", positions: "embeddings.position_embeddings",
		types: "embeddings.token_type_embeddings", embeddingNorm: "embeddings.LayerNorm", layer: "encoder.layer.%d.",
	}
	distilbertNames = encoderNames{
		query: "attention.q_lin", key: "attention.k_lin", value: "attention.v_lin",
		output: "attention.out_lin", attentionNorm: "sa_layer_norm",
		up: "ffn.lin1", down: "ffn.lin2", outputNorm: "output_layer_norm",
		words: "embeddings.word_embeddings", positions: "embeddings.position_embeddings",
		embeddingNorm: "embeddings.LayerNorm", layer: "transformer.layer.%d.",
	}
	albertNames = encoderNames{
		project: "encoder.embedding_hidden_mapping_in", alwaysProject: true,
		query: "attention.query", key: "attention.key", value: "attention.value",
		output: "attention.dense", attentionNorm: "attention.LayerNorm",
		up: "ffn", down: "ffn_output", outputNorm: "full_layer_layer_norm",
		words: "embeddings.word_embeddings", positions: "embeddings.position_embeddings",
		types: "embeddings.token_type_embeddings", embeddingNorm: "embeddings.LayerNorm",
		layer: "encoder.albert_layer_groups.%d.albert_layers.%d.", groupLayers: true,
	}
)

// encoders are the families by model_type.
var encoders = map[string]encoder{
	"bert": {"BertForSequenceClassification", "bert", bertNames,
		[]headLayer{{"bert.pooler.dense", compute.Tanh, false}, {name: "classifier", linear: true}}},
	"distilbert": {"DistilBertForSequenceClassification", "distilbert", distilbertNames,
		[]headLayer{{"pre_classifier", compute.ReLU, false}, {name: "classifier", linear: true}}},
	"albert": {"AlbertForSequenceClassification", "albert", albertNames,
		[]headLayer{{"albert.pooler", compute.Tanh, false}, {name: "classifier", linear: true}}},
	"electra": {"ElectraForSequenceClassification", "electra", electraNames(),
		// The head's GELU is the exact one, whatever hidden_act says.
		[]headLayer{{"classifier.dense", compute.GELU, false}, {name: "classifier.out_proj", linear: true}}},
}

func electraNames() encoderNames {
	n := bertNames
	n.project = "embeddings_project"
	return n
}

// layerPrefix is the name of a layer, with a dot at its end. group is 0 except
// of albert.
func (e encoder) layerPrefix(group, layer int) string {
	if e.names.groupLayers {
		return e.prefix + "." + fmt.Sprintf(e.names.layer, group, layer)
	}
	return e.prefix + "." + fmt.Sprintf(e.names.layer, layer)
}
