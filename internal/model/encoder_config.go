package model

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ClassifierConfig is what Hugging Face's config.json says of an encoder for
// sequence classification, as far as it changes the mathematics, under the
// names that BERT has for it.
type ClassifierConfig struct {
	ModelType             string // bert, distilbert, albert or electra
	VocabSize             int    // V
	EmbeddingSize         int    // of the tables; HiddenSize of bert and distilbert
	HiddenSize            int    // D
	IntermediateSize      int    // F
	NumHiddenLayers       int    // that a row goes through: of albert, groups of InnerGroupNum
	NumHiddenGroups       int    // albert: how many groups have weights of their own, else 1
	InnerGroupNum         int    // albert: layers of a group, else 1
	NumAttentionHeads     int    // H
	MaxPositionEmbeddings int
	TypeVocabSize         int // 0 of distilbert, which has no types
	HiddenAct             string
	LayerNormEps          float64
	InitializerRange      float64
	// SinusoidalPositions: distilbert's position embeddings are fixed sines, never trained.
	SinusoidalPositions bool
	Labels              []string // by class; at least two
	PAD                 int32    // -1 if there is none

	// Dropouts as transformers applies them in training. This package keeps
	// them in the file and applies what Classifier.Graph is told instead.
	Dropouts map[string]*float64
}

// encoderFile is config.json of any of the families, with all that this package reads.
type encoderFile struct {
	Architectures         []string          `json:"architectures,omitempty"`
	ModelType             string            `json:"model_type"`
	VocabSize             *int              `json:"vocab_size"`
	EmbeddingSize         *int              `json:"embedding_size"`
	HiddenSize            *int              `json:"hidden_size"`
	IntermediateSize      *int              `json:"intermediate_size"`
	NumHiddenLayers       *int              `json:"num_hidden_layers"`
	NumHiddenGroups       *int              `json:"num_hidden_groups"`
	InnerGroupNum         *int              `json:"inner_group_num"`
	NumAttentionHeads     *int              `json:"num_attention_heads"`
	MaxPositionEmbeddings *int              `json:"max_position_embeddings"`
	TypeVocabSize         *int              `json:"type_vocab_size"`
	HiddenAct             *string           `json:"hidden_act"`
	LayerNormEps          *float64          `json:"layer_norm_eps"`
	InitializerRange      *float64          `json:"initializer_range"`
	PAD                   json.RawMessage   `json:"pad_token_id"`
	ID2Label              map[string]string `json:"id2label"`
	NumLabels             *int              `json:"num_labels"`

	// DistilBERT's names for some of these.
	Dim                 *int    `json:"dim"`
	HiddenDim           *int    `json:"hidden_dim"`
	NLayers             *int    `json:"n_layers"`
	NHeads              *int    `json:"n_heads"`
	Activation          *string `json:"activation"`
	SinusoidalPositions bool    `json:"sinusoidal_pos_embds"`

	// Fields that change the mathematics in ways not implemented: see refuse.
	PositionEmbeddingType string          `json:"position_embedding_type"`
	ProblemType           string          `json:"problem_type"`
	IsDecoder             bool            `json:"is_decoder"`
	AddCrossAttention     bool            `json:"add_cross_attention"`
	PrunedHeads           json.RawMessage `json:"pruned_heads"`
	QuantizationConfig    json.RawMessage `json:"quantization_config"`
}

// encoderDefaults is what transformers takes for fields that a file leaves out.
var encoderDefaults = map[string]ClassifierConfig{
	"bert": {VocabSize: 30522, HiddenSize: 768, NumHiddenLayers: 12, NumAttentionHeads: 12,
		IntermediateSize: 3072, HiddenAct: "gelu", TypeVocabSize: 2},
	"distilbert": {VocabSize: 30522, HiddenSize: 768, NumHiddenLayers: 6, NumAttentionHeads: 12,
		IntermediateSize: 3072, HiddenAct: "gelu"},
	"albert": {VocabSize: 30000, EmbeddingSize: 128, HiddenSize: 4096, NumHiddenLayers: 12, NumAttentionHeads: 64,
		IntermediateSize: 16384, HiddenAct: "gelu_new", TypeVocabSize: 2},
	"electra": {VocabSize: 30522, EmbeddingSize: 128, HiddenSize: 256, NumHiddenLayers: 12, NumAttentionHeads: 4,
		IntermediateSize: 1024, HiddenAct: "gelu", TypeVocabSize: 2},
}

// IsEncoder tells whether a config.json's model_type is one that Classifier has.
func IsEncoder(modelType string) bool {
	_, ok := encoderDefaults[modelType]
	return ok
}

// LoadClassifierConfig reads config.json of a Hugging Face directory. A model
// type or a field that changes the mathematics and is not implemented is an error
// naming it.
func LoadClassifierConfig(dir string) (ClassifierConfig, error) {
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return ClassifierConfig{}, fmt.Errorf("read model configuration: %w", err)
	}
	c, err := ParseClassifierConfig(data)
	if err != nil {
		return ClassifierConfig{}, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

// ParseClassifierConfig is LoadClassifierConfig for the bytes of a config.json.
func ParseClassifierConfig(data []byte) (ClassifierConfig, error) {
	var f encoderFile
	if err := json.Unmarshal(data, &f); err != nil {
		return ClassifierConfig{}, err
	}
	if err := f.refuse(); err != nil {
		return ClassifierConfig{}, err
	}
	if f.ModelType == "distilbert" {
		// transformers takes three of BERT's names too.
		f.HiddenSize, f.NumHiddenLayers = cmp.Or(f.HiddenSize, f.Dim), cmp.Or(f.NumHiddenLayers, f.NLayers)
		f.NumAttentionHeads = cmp.Or(f.NumAttentionHeads, f.NHeads)
		f.IntermediateSize, f.HiddenAct = f.HiddenDim, f.Activation
		f.EmbeddingSize, f.TypeVocabSize, f.LayerNormEps = nil, nil, nil
	} else {
		f.SinusoidalPositions = false
	}
	if f.ModelType != "albert" {
		f.NumHiddenGroups, f.InnerGroupNum = nil, nil
	}
	d := encoderDefaults[f.ModelType]
	c := ClassifierConfig{
		ModelType: f.ModelType, VocabSize: or(f.VocabSize, d.VocabSize), HiddenSize: or(f.HiddenSize, d.HiddenSize),
		IntermediateSize: or(f.IntermediateSize, d.IntermediateSize), NumHiddenLayers: or(f.NumHiddenLayers, d.NumHiddenLayers),
		NumHiddenGroups: or(f.NumHiddenGroups, 1), InnerGroupNum: or(f.InnerGroupNum, 1),
		NumAttentionHeads: or(f.NumAttentionHeads, d.NumAttentionHeads), MaxPositionEmbeddings: or(f.MaxPositionEmbeddings, 512),
		TypeVocabSize: or(f.TypeVocabSize, d.TypeVocabSize), HiddenAct: or(f.HiddenAct, d.HiddenAct),
		LayerNormEps: or(f.LayerNormEps, 1e-12), InitializerRange: or(f.InitializerRange, 0.02),
		SinusoidalPositions: f.SinusoidalPositions, PAD: 0,
	}
	c.EmbeddingSize = c.HiddenSize
	if d.EmbeddingSize > 0 {
		c.EmbeddingSize = or(f.EmbeddingSize, d.EmbeddingSize)
	}
	var err error
	if c.Labels, err = f.labels(); err != nil {
		return ClassifierConfig{}, err
	}
	if err := c.readRest(data, f.PAD); err != nil {
		return ClassifierConfig{}, err
	}
	return c, c.Validate()
}

// labels are the classes' names: id2label, or as many as num_labels says, two by default.
func (f *encoderFile) labels() ([]string, error) {
	n := or(f.NumLabels, 2)
	if f.ID2Label != nil {
		n = len(f.ID2Label)
	}
	if n < 1 || n > maxLabels {
		return nil, fmt.Errorf("num_labels is %d: want 2 to %d", n, maxLabels)
	}
	list := make([]string, n)
	for i := range list {
		id := fmt.Sprint(i)
		list[i] = "LABEL_" + id
		if f.ID2Label == nil {
			continue
		}
		name, ok := f.ID2Label[id]
		if !ok {
			return nil, fmt.Errorf("id2label has %d labels, and none for class %d", n, i)
		}
		list[i] = name
	}
	return list, nil
}

// maxEncoderLayers bounds graphs: albert's layers may share one set of weights.
const maxEncoderLayers = 1 << 12

// maxLabels is the most classes of a Classifier.
const maxLabels = 1 << 20

// readRest reads the padding token and the dropouts, whose names differ by family.
func (c *ClassifierConfig) readRest(data []byte, pad json.RawMessage) error {
	if absent(pad) && len(pad) > 0 {
		c.PAD = -1
	} else if len(pad) > 0 {
		if err := json.Unmarshal(pad, &c.PAD); err != nil {
			return fmt.Errorf("pad_token_id %s: want a token id", pad)
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	c.Dropouts = map[string]*float64{}
	for _, name := range encoderDropouts[c.ModelType] {
		raw, ok := fields[name]
		if !ok {
			continue
		}
		var p *float64
		if err := json.Unmarshal(raw, &p); err != nil || p != nil && !(*p >= 0 && *p <= 1) {
			return fmt.Errorf("%s %s: want a number from 0 to 1", name, raw)
		}
		c.Dropouts[name] = p
	}
	return nil
}

var encoderDropouts = map[string][]string{
	"bert":       {"hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"},
	"electra":    {"hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"},
	"albert":     {"hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout_prob"},
	"distilbert": {"dropout", "attention_dropout", "seq_classif_dropout", "qa_dropout"},
}

// Label is the class of a label's name, or an error that lists some of them.
func (c *ClassifierConfig) Label(name string) (int32, error) {
	if i := slices.Index(c.Labels, name); i >= 0 {
		return int32(i), nil
	}
	return 0, fmt.Errorf("no label %q among the model's %d: %s…", name, len(c.Labels), strings.Join(c.Labels[:min(5, len(c.Labels))], ", "))
}
