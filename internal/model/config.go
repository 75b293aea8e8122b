package model

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/compute"
)

// Config is what Hugging Face's config.json says of a model, as far as it
// changes the mathematics. Field names follow that file.
type Config struct {
	ModelType             string // llama or qwen2
	HiddenSize            int    // D
	IntermediateSize      int    // F
	NumHiddenLayers       int
	NumAttentionHeads     int // H
	NumKeyValueHeads      int // G
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
}

// configFile is config.json with everything that this package reads.
type configFile struct {
	Architectures         []string        `json:"architectures,omitempty"`
	AttentionBias         *bool           `json:"attention_bias,omitempty"`
	BOS                   json.RawMessage `json:"bos_token_id,omitempty"`
	EOS                   json.RawMessage `json:"eos_token_id,omitempty"`
	PAD                   json.RawMessage `json:"pad_token_id,omitempty"`
	HeadDim               *int            `json:"head_dim,omitempty"`
	HiddenAct             string          `json:"hidden_act,omitempty"`
	HiddenSize            int             `json:"hidden_size"`
	InitializerRange      *float64        `json:"initializer_range,omitempty"`
	IntermediateSize      int             `json:"intermediate_size"`
	MaxPositionEmbeddings int             `json:"max_position_embeddings"`
	MLPBias               bool            `json:"mlp_bias"`
	ModelType             string          `json:"model_type"`
	NumAttentionHeads     int             `json:"num_attention_heads"`
	NumHiddenLayers       int             `json:"num_hidden_layers"`
	NumKeyValueHeads      *int            `json:"num_key_value_heads,omitempty"`
	RMSNormEps            *float64        `json:"rms_norm_eps,omitempty"`
	RopeTheta             *float64        `json:"rope_theta,omitempty"`
	TieWordEmbeddings     *bool           `json:"tie_word_embeddings,omitempty"`
	TorchDtype            string          `json:"torch_dtype,omitempty"`
	VocabSize             int             `json:"vocab_size"`

	// Fields that change the mathematics in ways not implemented: see refuse.
	RopeScaling         json.RawMessage `json:"rope_scaling,omitempty"`
	RopeParameters      json.RawMessage `json:"rope_parameters,omitempty"`
	UseSlidingWindow    *bool           `json:"use_sliding_window,omitempty"`
	SlidingWindow       json.RawMessage `json:"sliding_window,omitempty"`
	LayerTypes          []string        `json:"layer_types,omitempty"`
	PartialRotaryFactor *float64        `json:"partial_rotary_factor,omitempty"`
}

// LoadConfig reads config.json of a Hugging Face directory, and the end tokens
// of generation_config.json. A model type or a field that changes the mathematics and is not implemented is an error naming it.
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

// ParseConfig is LoadConfig for the bytes of a config.json.
func ParseConfig(data []byte) (Config, error) {
	var f configFile
	if err := json.Unmarshal(data, &f); err != nil {
		return Config{}, err
	}
	if err := f.refuse(); err != nil {
		return Config{}, err
	}
	theta, err := f.ropeTheta()
	if err != nil {
		return Config{}, err
	}
	c := Config{
		ModelType: f.ModelType, HiddenSize: f.HiddenSize, IntermediateSize: f.IntermediateSize,
		NumHiddenLayers: f.NumHiddenLayers, NumAttentionHeads: f.NumAttentionHeads,
		NumKeyValueHeads: or(f.NumKeyValueHeads, f.NumAttentionHeads),
		VocabSize:        f.VocabSize, MaxPositionEmbeddings: f.MaxPositionEmbeddings,
		RMSNormEps: or(f.RMSNormEps, 1e-6), RopeTheta: theta, HiddenAct: f.HiddenAct,
		TieWordEmbeddings: or(f.TieWordEmbeddings, false),
		InitializerRange:  or(f.InitializerRange, 0.02), BOS: -1, PAD: -1,
	}
	if c.HiddenAct == "" {
		c.HiddenAct = "silu"
	}
	if c.NumAttentionHeads > 0 {
		c.HeadDim = or(f.HeadDim, c.HiddenSize/c.NumAttentionHeads)
	}
	switch f.ModelType {
	case "llama":
		c.AttentionBias = or(f.AttentionBias, false)
		c.OutputBias, c.MLPBias = c.AttentionBias, f.MLPBias
	case "qwen2":
		c.AttentionBias = true
	}
	if err := c.setSpecialTokens(f); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func absent(raw json.RawMessage) bool {
	s := strings.Join(strings.Fields(string(raw)), "")
	return s == "" || s == "null" || s == "{}" || s == "[]" || s == "false"
}

// refuse names what the file asks for and this package does not do.
func (f *configFile) refuse() error {
	var errs []error
	no := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !slices.Contains([]string{"llama", "qwen2"}, f.ModelType) {
		no("model_type %q: supported are llama and qwen2", f.ModelType)
	}
	if !absent(f.RopeScaling) {
		if p, err := parseRope(f.RopeScaling); err != nil || p.kind() != "default" {
			no("rope_scaling %s is not supported", f.RopeScaling)
		}
	}
	if f.ModelType == "qwen2" && or(f.UseSlidingWindow, false) {
		no("use_sliding_window is not supported")
	}
	if f.ModelType == "llama" && !absent(f.SlidingWindow) {
		no("sliding_window %s is not supported", f.SlidingWindow)
	}
	for i, t := range f.LayerTypes {
		if t != "full_attention" {
			no("layer_types[%d] %q is not supported", i, t)
			break
		}
	}
	if or(f.PartialRotaryFactor, 1) != 1 {
		no("partial_rotary_factor %v is not supported", *f.PartialRotaryFactor)
	}
	return errors.Join(errs...)
}

// ropeTheta is rope_theta, or rope_parameters.rope_theta of newer files.
func (f *configFile) ropeTheta() (float64, error) {
	if absent(f.RopeParameters) {
		return or(f.RopeTheta, 10000), nil
	}
	p, err := parseRope(f.RopeParameters)
	if err != nil {
		return 0, fmt.Errorf("rope_parameters: %w", err)
	}
	if kind := p.kind(); kind != "" && kind != "default" {
		return 0, fmt.Errorf("rope_parameters.rope_type %q is not supported", kind)
	}
	return or(p.Theta, or(f.RopeTheta, 10000)), nil
}

// rope is rope_scaling, or rope_parameters of newer files.
type rope struct {
	Theta   *float64 `json:"rope_theta"`
	Type    string   `json:"rope_type"`
	OldType string   `json:"type"`
	Partial *float64 `json:"partial_rotary_factor"`
}

// parseRope refuses fields that it does not know: parameters by layer type, or
// of another kind of scaling.
func parseRope(raw json.RawMessage) (rope, error) {
	var p rope
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return rope{}, err
	}
	if or(p.Partial, 1) != 1 {
		return rope{}, fmt.Errorf("partial_rotary_factor %v is not supported", *p.Partial)
	}
	return p, nil
}

func (p rope) kind() string { return cmp.Or(p.Type, p.OldType) }

func (c *Config) setSpecialTokens(f configFile) error {
	for _, t := range []struct {
		name string
		raw  json.RawMessage
		set  func([]int32)
	}{
		{"bos_token_id", f.BOS, func(ids []int32) { c.BOS = ids[0] }},
		{"pad_token_id", f.PAD, func(ids []int32) { c.PAD = ids[0] }},
		{"eos_token_id", f.EOS, func(ids []int32) { c.EOS = ids }},
	} {
		if absent(t.raw) {
			continue
		}
		var one int32
		var list []int32
		if json.Unmarshal(t.raw, &one) == nil {
			list = []int32{one}
		} else if err := json.Unmarshal(t.raw, &list); err != nil {
			return fmt.Errorf("%s %s: want a token id or a list of them", t.name, t.raw)
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
	if c.NumKeyValueHeads > 0 && c.NumAttentionHeads%c.NumKeyValueHeads != 0 {
		bad("num_attention_heads %d is not a multiple of num_key_value_heads %d", c.NumAttentionHeads, c.NumKeyValueHeads)
	}
	if c.HeadDim%2 != 0 {
		bad("head_dim %d is odd: rotary positions need pairs", c.HeadDim)
	}
	if !(float32(c.RMSNormEps) > 0 && c.RMSNormEps <= 1) {
		bad("rms_norm_eps is %v: want a positive number up to 1", c.RMSNormEps)
	}
	if !(c.RopeTheta > 0 && c.RopeTheta <= math.MaxFloat64) {
		bad("rope_theta is %v: want a positive number", c.RopeTheta)
	}
	if !(c.InitializerRange >= 0 && c.InitializerRange <= math.MaxFloat32) {
		bad("initializer_range is %v: want a number from 0 on", c.InitializerRange)
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

var activations = map[string]compute.Activation{
	"silu": compute.SiLU, "swish": compute.SiLU, "gelu_pytorch_tanh": compute.GELUTanh,
}

// JSON is the config.json that transformers reads; dtype is the torch name of
// the weights' type.
func (c *Config) JSON(dtype string) ([]byte, error) {
	f := configFile{
		ModelType: c.ModelType, HiddenSize: c.HiddenSize, IntermediateSize: c.IntermediateSize,
		NumHiddenLayers: c.NumHiddenLayers, NumAttentionHeads: c.NumAttentionHeads,
		NumKeyValueHeads: &c.NumKeyValueHeads, HeadDim: &c.HeadDim, VocabSize: c.VocabSize,
		MaxPositionEmbeddings: c.MaxPositionEmbeddings, RMSNormEps: &c.RMSNormEps, RopeTheta: &c.RopeTheta,
		HiddenAct: c.HiddenAct, TieWordEmbeddings: &c.TieWordEmbeddings, MLPBias: c.MLPBias,
		InitializerRange: &c.InitializerRange, TorchDtype: dtype,
	}
	switch c.ModelType {
	case "llama":
		f.Architectures, f.AttentionBias = []string{"LlamaForCausalLM"}, &c.AttentionBias
	case "qwen2":
		f.Architectures = []string{"Qwen2ForCausalLM"}
	}
	var err error
	id := func(v any) json.RawMessage {
		raw, e := json.Marshal(v)
		err = errors.Join(err, e)
		return raw
	}
	if c.BOS >= 0 {
		f.BOS = id(c.BOS)
	}
	if c.PAD >= 0 {
		f.PAD = id(c.PAD)
	}
	if len(c.EOS) == 1 {
		f.EOS = id(c.EOS[0])
	} else if len(c.EOS) > 1 {
		f.EOS = id(c.EOS)
	}
	if err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(f, "", "  ")
	return append(data, '\n'), err
}
