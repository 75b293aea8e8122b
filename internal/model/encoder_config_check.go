package model

import (
	"errors"
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// refuse names what the file asks for and this package does not do.
func (f *encoderFile) refuse() error {
	var errs []error
	no := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	no(!IsEncoder(f.ModelType), "model_type %q: supported encoders are albert, bert, distilbert and electra", f.ModelType)
	no(f.PositionEmbeddingType != "" && f.PositionEmbeddingType != "absolute" && f.ModelType != "distilbert",
		"position_embedding_type %q is not supported: want absolute", f.PositionEmbeddingType)
	no(f.ProblemType != "" && f.ProblemType != "single_label_classification",
		"problem_type %q is not supported: want single_label_classification", f.ProblemType)
	no(f.IsDecoder, "is_decoder is not supported")
	no(f.AddCrossAttention, "add_cross_attention is not supported")
	no(!absent(f.PrunedHeads), "pruned_heads %s is not supported", f.PrunedHeads)
	no(!absent(f.QuantizationConfig), "quantization_config: quantized checkpoints are not supported for encoders")
	return errors.Join(errs...)
}

// Validate checks that the numbers make a classifier that this package runs,
// and reports all faults.
func (c *ClassifierConfig) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !IsEncoder(c.ModelType) {
		bad("model_type %q: supported encoders are albert, bert, distilbert and electra", c.ModelType)
	}
	types := c.TypeVocabSize
	if c.ModelType == "distilbert" && types == 0 {
		types = 1 // it has none
	}
	const most = 1 << 24 // keeps products of two sizes within an int
	for _, v := range []struct {
		name  string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"embedding_size", c.EmbeddingSize}, {"hidden_size", c.HiddenSize},
		{"intermediate_size", c.IntermediateSize}, {"num_hidden_layers", c.NumHiddenLayers},
		{"num_hidden_groups", c.NumHiddenGroups}, {"inner_group_num", c.InnerGroupNum},
		{"num_attention_heads", c.NumAttentionHeads}, {"max_position_embeddings", c.MaxPositionEmbeddings},
		{"type_vocab_size", types},
	} {
		if v.value < 1 || v.value > most {
			bad("%s is %d: want 1 to %d", v.name, v.value, most)
		}
	}
	if c.NumAttentionHeads > 0 && c.HiddenSize%c.NumAttentionHeads != 0 {
		bad("hidden_size %d is not a multiple of num_attention_heads %d", c.HiddenSize, c.NumAttentionHeads)
	}
	if c.NumHiddenGroups > c.NumHiddenLayers {
		bad("num_hidden_groups %d is more than num_hidden_layers %d", c.NumHiddenGroups, c.NumHiddenLayers)
	}
	if c.NumHiddenLayers > maxEncoderLayers/max(1, c.InnerGroupNum) {
		bad("num_hidden_layers %d of inner_group_num %d layers each: want at most %d in all", c.NumHiddenLayers, c.InnerGroupNum, maxEncoderLayers)
	}
	if c.ModelType != "albert" && (c.NumHiddenGroups != 1 || c.InnerGroupNum != 1) {
		bad("num_hidden_groups %d and inner_group_num %d: only albert has groups", c.NumHiddenGroups, c.InnerGroupNum)
	}
	if (c.ModelType == "bert" || c.ModelType == "distilbert") && c.EmbeddingSize != c.HiddenSize {
		bad("embedding_size %d differs from hidden_size %d: a %s has no projection", c.EmbeddingSize, c.HiddenSize, c.ModelType)
	}
	if !(c.LayerNormEps >= 0 && c.LayerNormEps <= 1) {
		bad("layer_norm_eps is %v: want a number from 0 to 1", c.LayerNormEps)
	}
	if !(c.InitializerRange >= 0 && c.InitializerRange <= math.MaxFloat32) {
		bad("initializer_range is %v: want a number from 0 on", c.InitializerRange)
	}
	if _, ok := encoderActivations[c.HiddenAct]; !ok {
		bad("hidden_act %q is not supported", c.HiddenAct)
	}
	if len(c.Labels) < 2 {
		bad("%d labels: want two or more (one is a regression, which is not supported)", len(c.Labels))
	}
	if int(c.PAD) >= c.VocabSize {
		bad("special token id %d is outside the vocabulary of %d", c.PAD, c.VocabSize)
	}
	return errors.Join(errs...)
}

// encoderActivations are hidden_act's names; several mean the same function.
var encoderActivations = map[string]compute.Activation{
	"gelu": compute.GELU, "gelu_python": compute.GELU,
	"gelu_new": compute.GELUTanh, "gelu_pytorch_tanh": compute.GELUTanh, "gelu_fast": compute.GELUTanh, "gelu_accurate": compute.GELUTanh,
	"relu": compute.ReLU, "silu": compute.SiLU, "swish": compute.SiLU, "tanh": compute.Tanh,
}
