package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/retort-ml/retort/internal/compute"
)

// Config is what Hugging Face's config.json says of a model, as far as it
// changes the mathematics. Field names follow that file.
type Config struct {
	ModelType             string // one of families
	HiddenSize            int    // D
	IntermediateSize      int    // F; the largest if layers differ
	NumHiddenLayers       int
	NumAttentionHeads     int // H; the largest if layers differ
	NumKeyValueHeads      int // G; the largest if layers differ
	HeadDim               int // E
	VocabSize             int // V
	MaxPositionEmbeddings int
	RMSNormEps            float64
	RopeTheta             float64
	HiddenAct             string
	TieWordEmbeddings     bool
	AttentionBias         bool // biases of q, k, v (and o: OutputBias)
	OutputBias            bool
	MLPBias               bool
	InitializerRange      float64
	BOS                   int32   // -1 if there is none
	EOS                   []int32 // tokens that end an answer
	PAD                   int32   // -1 if there is none

	// What not every family has; zero is none.
	Rope                RopeScaling
	PartialRotaryFactor float64  // of a head's columns, those that are turned; 0 is all
	LocalRopeTheta      float64  // of layers with a window (Gemma 3)
	SlidingWindow       int      // rows that a row sees at most, itself among them
	LayerTypes          []string // which layers have the window; nil is all
	QueryPreAttnScalar  float64  // scores are divided by its root; 0 is HeadDim
	AttnLogitSoftcap    float64
	FinalLogitSoftcap   float64
	NoHeadNorms         bool // of a family that may have them (OpenELM)
	LayerHeads          []int
	LayerKVHeads        []int
	LayerIntermediate   []int
	AttentionDropout    float64 // in training; see Model.Graph
	ResidualDropout     float64
}

// LoadConfig reads config.json of a Hugging Face directory, and the end tokens
// of generation_config.json. A model type or a field that changes the
// mathematics and is not implemented is an error naming it.
func LoadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read model configuration: %w", err)
	}
	c, err := ParseConfig(data)
	if err != nil {
		return Config{}, fmt.Errorf("read %s: %w", path, err)
	}
	return c, c.readGenerationConfig(dir)
}

// ParseConfig is LoadConfig for the bytes of a config.json. What the file does
// not say is what transformers takes instead.
func ParseConfig(data []byte) (Config, error) {
	f, err := parseFields(data)
	if err != nil {
		return Config{}, err
	}
	c := Config{ModelType: field(f, "model_type", ""), BOS: -1, PAD: -1}
	family := c.family()
	if family == nil {
		return Config{}, fmt.Errorf("model_type %q: supported are %s", c.ModelType, strings.Join(modelTypes(), ", "))
	}
	f.take("quantization_config") // loadScheme reads it
	if c.ModelType == "openelm" {
		readOpenELM(f, &c)
	} else {
		f.readCommon(&c, family)
		family.read(f, &c)
		f.readLongrope(&c, family.originalPositions())
	}
	c.AttentionDropout = field(f, "attention_dropout", 0.0)
	if err := c.setSpecialTokens(f); err != nil {
		f.errs = append(f.errs, err)
	}
	if err := f.err(c.ModelType); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

// readCommon reads the fields that nearly all families have.
func (f *fields) readCommon(c *Config, family *family) {
	d := &family.defaults
	c.HiddenSize, c.IntermediateSize = field(f, "hidden_size", 0), field(f, "intermediate_size", 0)
	c.NumHiddenLayers, c.NumAttentionHeads = field(f, "num_hidden_layers", 0), field(f, "num_attention_heads", 0)
	c.VocabSize, c.MaxPositionEmbeddings = field(f, "vocab_size", 0), field(f, "max_position_embeddings", d.positions)
	c.NumKeyValueHeads = missingOr(f, "num_key_value_heads", cmp.Or(d.kvHeads, c.NumAttentionHeads), c.NumAttentionHeads)
	even := 0
	if c.NumAttentionHeads > 0 {
		even = c.HiddenSize / c.NumAttentionHeads
	}
	c.HeadDim = missingOr(f, "head_dim", cmp.Or(d.headDim, even), even)
	c.RMSNormEps = field(f, "rms_norm_eps", d.eps)
	c.InitializerRange = field(f, "initializer_range", 0.02)
	c.TieWordEmbeddings = field(f, "tie_word_embeddings", d.tied)
	c.HiddenAct = field(f, family.activation, d.activation)
	f.readRope(c, d.theta)
}

// originalPositions is the original length of longrope that a configuration
// leaves out; 0 is that there is none.
func (f *family) originalPositions() int {
	if f.modelType == "phi3" {
		return f.defaults.positions
	}
	return 0
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func (c *Config) setSpecialTokens(f *fields) error {
	for _, t := range []struct {
		name string
		set  func([]int32)
	}{
		{"bos_token_id", func(ids []int32) { c.BOS = ids[0] }},
		{"pad_token_id", func(ids []int32) { c.PAD = ids[0] }},
		{"eos_token_id", func(ids []int32) { c.EOS = ids }},
	} {
		raw := f.take(t.name)
		if absent(raw) {
			continue
		}
		var one int32
		var list []int32
		if json.Unmarshal(raw, &one) == nil {
			list = []int32{one}
		} else if err := json.Unmarshal(raw, &list); err != nil {
			return fmt.Errorf("%s %s: want a token id or a list of them", t.name, raw)
		}
		if len(list) > 0 {
			t.set(list)
		}
	}
	return nil
}

// Validate checks that the numbers make a model that this package runs, and
// reports all faults.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	const most = 1 << 24 // keeps products of two sizes within an int
	for _, v := range []struct {
		name  string
		value int
	}{
		{"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.NumHiddenLayers}, {"num_attention_heads", c.NumAttentionHeads},
		{"num_key_value_heads", c.NumKeyValueHeads}, {"head_dim", c.HeadDim},
		{"vocab_size", c.VocabSize}, {"max_position_embeddings", c.MaxPositionEmbeddings},
	} {
		if v.value < 1 || v.value > most {
			bad("%s is %d: want 1 to %d", v.name, v.value, most)
		}
	}
	if c.family() == nil {
		bad("model_type %q: supported are %s", c.ModelType, strings.Join(modelTypes(), ", "))
	}
	c.checkLayers(bad)
	c.checkRope(bad)
	if !(float32(c.RMSNormEps) > 0 && c.RMSNormEps <= 1) {
		bad("rms_norm_eps is %v: want a positive number up to 1", c.RMSNormEps)
	}
	if !(c.InitializerRange >= 0 && c.InitializerRange <= math.MaxFloat32) {
		bad("initializer_range is %v: want a number from 0 on", c.InitializerRange)
	}
	for _, v := range []struct {
		name  string
		value float64
	}{
		{"query_pre_attn_scalar", c.QueryPreAttnScalar}, {"attn_logit_softcapping", c.AttnLogitSoftcap},
		{"final_logit_softcapping", c.FinalLogitSoftcap},
	} {
		// Of 0 and of numbers that float32 lacks nothing can be divided by.
		if !(v.value >= 0 && v.value <= math.MaxFloat32) || v.value > 0 && v.value < 1e-30 {
			bad("%s is %v: want a positive number", v.name, v.value)
		}
	}
	if _, ok := activations[c.HiddenAct]; !ok {
		bad("hidden_act %q is not supported", c.HiddenAct)
	}
	for _, id := range append([]int32{c.BOS, c.PAD}, c.EOS...) {
		if int(id) >= c.VocabSize {
			bad("special token id %d is outside the vocabulary of %d", id, c.VocabSize)
		}
	}
	return errors.Join(errs...)
}

// checkLayers reports layers that do not fit the model.
func (c *Config) checkLayers(bad func(format string, args ...any)) {
	n := c.NumHiddenLayers
	for _, list := range []int{len(c.LayerTypes), len(c.LayerHeads), len(c.LayerKVHeads), len(c.LayerIntermediate)} {
		if list != 0 && list != n {
			bad("a list of %d entries for %d layers", list, n)
			return
		}
	}
	if c.SlidingWindow < 0 || c.SlidingWindow > maxSize {
		bad("sliding_window is %d: want up to %d", c.SlidingWindow, maxSize)
	}
	if c.LayerHeads == nil {
		if c.NumKeyValueHeads > 0 && c.NumAttentionHeads%c.NumKeyValueHeads != 0 {
			bad("num_attention_heads %d is not a multiple of num_key_value_heads %d", c.NumAttentionHeads, c.NumKeyValueHeads)
		}
		return
	}
	if len(c.LayerKVHeads) != n || len(c.LayerIntermediate) != n {
		bad("heads and widths of layers: want all of them for %d layers", n)
		return
	}
	for i, h := range c.LayerHeads {
		if g := c.LayerKVHeads[i]; h < 1 || g < 1 || h > maxSize || h%g != 0 {
			bad("num_query_heads[%d] is %d and num_kv_heads %d: want a multiple of it", i, h, g)
		}
		if w := c.LayerIntermediate[i]; w < 1 || w > maxSize {
			bad("the width of the MLP of layer %d is %d: want 1 to %d", i, w, maxSize)
		}
	}
}

var activations = map[string]compute.Activation{
	"silu": compute.SiLU, "swish": compute.SiLU, "gelu_pytorch_tanh": compute.GELUTanh, "gelu_new": compute.GELUTanh,
	"gelu_fast": compute.GELUTanh, "gelu_accurate": compute.GELUTanh, "gelu_python_tanh": compute.GELUTanh,
	"gelu": compute.GELU, "gelu_python": compute.GELU, "relu": compute.ReLU,
}

// architectures are transformers' names of the classes.
var architectures = map[string]string{
	"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM",
	"phi3": "Phi3ForCausalLM", "gemma": "GemmaForCausalLM", "gemma2": "Gemma2ForCausalLM", "gemma3_text": "Gemma3ForCausalLM",
}

// JSON is the config.json that transformers reads; dtype is the torch name of
// the weights' type.
func (c *Config) JSON(dtype string) ([]byte, error) {
	out := map[string]any{"model_type": c.ModelType, "torch_dtype": dtype, "attention_dropout": c.AttentionDropout}
	if c.ModelType == "openelm" {
		writeOpenELM(c, out)
	} else {
		c.writeCommon(out)
		c.family().write(c, out)
	}
	if c.BOS >= 0 {
		out["bos_token_id"] = c.BOS
	}
	if c.PAD >= 0 {
		out["pad_token_id"] = c.PAD
	}
	if len(c.EOS) == 1 {
		out["eos_token_id"] = c.EOS[0]
	} else if len(c.EOS) > 1 {
		out["eos_token_id"] = c.EOS
	}
	data, err := json.MarshalIndent(out, "", "  ")
	return append(data, '\n'), err
}

// writeCommon is the way back of readCommon.
func (c *Config) writeCommon(out map[string]any) {
	for name, v := range map[string]any{
		"architectures": []string{architectures[c.ModelType]},
		"hidden_size":   c.HiddenSize, "intermediate_size": c.IntermediateSize, "num_hidden_layers": c.NumHiddenLayers,
		"num_attention_heads": c.NumAttentionHeads, "num_key_value_heads": c.NumKeyValueHeads, "head_dim": c.HeadDim,
		"vocab_size": c.VocabSize, "max_position_embeddings": c.MaxPositionEmbeddings, "rms_norm_eps": c.RMSNormEps,
		"rope_theta": c.RopeTheta, "initializer_range": c.InitializerRange, "tie_word_embeddings": c.TieWordEmbeddings,
		c.family().activation: c.HiddenAct,
	} {
		out[name] = v
	}
	if scaling := c.Rope.file(); scaling != nil {
		out["rope_scaling"] = scaling
	}
	if c.Rope.Type == "longrope" && c.Rope.OriginalMax > 0 {
		out["original_max_position_embeddings"] = c.Rope.OriginalMax
	}
	if c.PartialRotaryFactor != 0 {
		out["partial_rotary_factor"] = c.PartialRotaryFactor
	}
}
