package model_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
)

// configJSON is a small config.json with fields changed; nil removes one.
func configJSON(fields map[string]any) []byte {
	all := map[string]any{
		"model_type": "llama", "hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 3,
		"num_attention_heads": 4, "vocab_size": 307, "max_position_embeddings": 256,
	}
	maps.Copy(all, fields)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	data, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return data
}

type fields = map[string]any

var null = json.RawMessage("null")

func TestParseConfigAccepts(t *testing.T) {
	plain := model.Config{
		ModelType: "llama", HiddenSize: 64, IntermediateSize: 176, NumHiddenLayers: 3, NumAttentionHeads: 4,
		NumKeyValueHeads: 4, HeadDim: 16, VocabSize: 307, MaxPositionEmbeddings: 256, RMSNormEps: 1e-6,
		RopeTheta: 10000, HiddenAct: "silu", InitializerRange: 0.02, BOS: -1, PAD: -1,
	}
	for _, c := range []struct {
		name   string
		fields fields
		want   func(c *model.Config)
	}{
		{"defaults", nil, func(*model.Config) {}},
		{"nulls", fields{"num_key_value_heads": null, "head_dim": null, "rope_scaling": null, "rope_theta": null, "rms_norm_eps": null,
			"eos_token_id": null, "bos_token_id": null, "sliding_window": null, "hidden_act": null, "tie_word_embeddings": null,
			"quantization_config": null, "initializer_range": null, "attention_bias": null, "layer_types": null}, func(*model.Config) {}},
		{"fields of no consequence", fields{"torch_dtype": "bfloat16", "use_cache": true, "pretraining_tp": 4, "transformers_version": "5.0.0"}, func(*model.Config) {}},
		{"grouped heads", fields{"num_key_value_heads": 2, "head_dim": 24}, func(c *model.Config) { c.NumKeyValueHeads, c.HeadDim = 2, 24 }},
		{"special tokens", fields{"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}, func(c *model.Config) { c.BOS, c.EOS, c.PAD = 1, []int32{2}, 0 }},
		{"several ends", fields{"eos_token_id": []int{2, 7, 306}}, func(c *model.Config) { c.EOS = []int32{2, 7, 306} }},
		{"no padding", fields{"pad_token_id": -1, "eos_token_id": []int{}}, func(*model.Config) {}},
		{"biases", fields{"attention_bias": true, "mlp_bias": true}, func(c *model.Config) { c.AttentionBias, c.OutputBias, c.MLPBias = true, true, true }},
		{"numbers", fields{"rms_norm_eps": 1e-5, "rope_theta": 5e5, "initializer_range": 0.1, "tie_word_embeddings": true, "hidden_act": "gelu_pytorch_tanh"},
			func(c *model.Config) {
				c.RMSNormEps, c.RopeTheta, c.InitializerRange, c.TieWordEmbeddings, c.HiddenAct = 1e-5, 5e5, 0.1, true, "gelu_pytorch_tanh"
			}},
		{"rope_parameters", fields{"rope_parameters": fields{"rope_theta": 1e6, "rope_type": "default"}}, func(c *model.Config) { c.RopeTheta = 1e6 }},
		{"rope_parameters without theta", fields{"rope_theta": 777, "rope_parameters": fields{"rope_type": "default", "partial_rotary_factor": 1.0}}, func(c *model.Config) { c.RopeTheta = 777 }},
		{"rope_scaling by default", fields{"rope_scaling": fields{"rope_type": "default"}}, func(*model.Config) {}},
		{"rope_scaling by default, old", fields{"rope_scaling": json.RawMessage("{ \"type\"\t:\n\"default\" }")}, func(*model.Config) {}},
		{"rope_scaling empty", fields{"rope_scaling": json.RawMessage("{ }")}, func(*model.Config) {}},
		{"qwen2", fields{"model_type": "qwen2", "use_sliding_window": false, "sliding_window": 4096, "max_window_layers": 28, "mlp_bias": true,
			"attention_bias": false, "layer_types": []string{"full_attention", "full_attention", "full_attention"}, "num_key_value_heads": 4}, func(c *model.Config) { c.ModelType, c.AttentionBias = "qwen2", true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := model.ParseConfig(configJSON(c.fields))
			if err != nil {
				t.Fatal(err)
			}
			want := plain
			c.want(&want)
			if len(want.EOS) == 0 {
				want.EOS = got.EOS[:0]
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields fields
		want   []string
	}{
		{"another architecture", fields{"model_type": "gpt_neox"}, []string{`model_type "gpt_neox"`, "llama, mistral, qwen2"}},
		{"rope scaling that is not known", fields{"rope_scaling": fields{"type": "ntk", "factor": 2}}, []string{"rope_scaling", "ntk"}},
		{"unknown field", fields{"residual_multiplier": 0.22}, []string{"residual_multiplier 0.22", "llama"}},
		{"unknown fields", fields{"num_experts": 8, "logits_scaling": []int{1}}, []string{"num_experts 8", "logits_scaling [1]"}},
		{"no architecture", fields{"model_type": nil}, []string{`model_type ""`}},
		{"rope scaling", fields{"rope_scaling": fields{"rope_type": "llama3", "factor": 8}}, []string{"rope_scaling", "llama3"}},
		{"old rope scaling", fields{"rope_scaling": fields{"type": "linear", "factor": 0}}, []string{"rope_scaling", "linear", "factor"}},
		{"rope scaling with a field of another", fields{"rope_scaling": fields{"rope_type": "linear", "factor": 2.0, "beta_fast": 3}}, []string{"rope_scaling", "beta_fast 3"}},
		{"negative rope scaling", fields{"rope_scaling": fields{"rope_type": "linear", "factor": -2}}, []string{"rope_scaling", "factor -2"}},
		{"longrope of another width", fields{"model_type": "phi3", "rope_scaling": fields{"type": "longrope", "short_factor": []int{1}, "long_factor": []int{2}}}, []string{"rope_scaling", "1 factors", "8 rotary pairs"}},
		{"yarn of phi3", fields{"model_type": "phi3", "rope_scaling": fields{"type": "yarn", "factor": 2}}, []string{"yarn", "phi3"}},
		{"mixed layers of mistral", fields{"model_type": "mistral", "num_key_value_heads": 2, "layer_types": []string{"sliding_attention", "full_attention", "sliding_attention"}}, []string{`layer_types[1] "full_attention"`}},
		{"an unknown kind of layer", fields{"model_type": "qwen3", "num_key_value_heads": 2, "layer_types": []string{"full_attention", "linear_attention", "full_attention"}}, []string{`layer_types[1] "linear_attention"`}},
		{"odd part of a head", fields{"model_type": "phi3", "partial_rotary_factor": 0.2}, []string{"partial_rotary_factor 0.2", "3 columns of 16"}},
		{"attention_bias of mistral", fields{"model_type": "mistral", "num_key_value_heads": 2, "attention_bias": true}, []string{"attention_bias true"}},
		{"negative cap", fields{"model_type": "gemma2", "final_logit_softcapping": -1}, []string{"final_logit_softcapping is -1"}},
		{"a list beyond memory", fields{"model_type": "gemma2", "num_hidden_layers": 1 << 24}, []string{"16777216 layers"}},
		{"no window", fields{"model_type": "mistral", "sliding_window": 0, "num_key_value_heads": 2}, []string{"sliding_window is 0"}},
		{"layers of openelm", fields{"model_type": "openelm", "num_transformer_layers": 2, "num_query_heads": []int{1}, "num_kv_heads": []int{1, 1}}, []string{"num_query_heads [1]", "2 layers"}},
		{"openelm without gates", fields{"model_type": "openelm", "ffn_with_glu": false}, []string{"ffn_with_glu"}},
		{"two kinds of rope scaling", fields{"rope_scaling": fields{"rope_type": "yarn", "type": "linear", "factor": 2}}, []string{"rope_scaling", `"yarn" beside type "linear"`}},
		{"truncate of another kind", fields{"rope_scaling": fields{"type": "linear", "factor": 2, "truncate": false}}, []string{"rope_scaling", "truncate false"}},
		{"dynamic scaling of one pair", fields{"head_dim": 2, "rope_scaling": fields{"type": "dynamic", "factor": 2}}, []string{"rope_scaling", "one rotary pair"}},
		{"rope scaling without type", fields{"rope_scaling": fields{"factor": 2}}, []string{"rope_scaling"}},
		{"rope scaling with a decoy", fields{"rope_scaling": fields{"rope_type": "yarn", "was": fields{"rope_type": "default"}}}, []string{"rope_scaling"}},
		{"rope scaling of another type", fields{"rope_scaling": 2}, []string{"rope_scaling 2"}},
		{"rope_parameters", fields{"rope_parameters": fields{"rope_type": "yarn", "rope_theta": 1e6}}, []string{"rope_parameters", "yarn"}},
		{"rope_parameters by layer type", fields{"rope_parameters": fields{"full_attention": fields{"rope_theta": 1e6}}}, []string{"rope_parameters", "full_attention"}},
		{"rope_parameters, partial", fields{"rope_parameters": fields{"rope_theta": 1e6, "partial_rotary_factor": 0.5}}, []string{"partial_rotary_factor 0.5"}},
		{"rope_parameters with a factor", fields{"rope_parameters": fields{"rope_theta": 1e6, "factor": 8}}, []string{"rope_parameters", "factor"}},
		{"partial rotation", fields{"partial_rotary_factor": 0.5}, []string{"partial_rotary_factor 0.5"}},
		{"sliding window", fields{"sliding_window": 128}, []string{"sliding_window 128"}},
		{"sliding window of qwen2", fields{"model_type": "qwen2", "num_key_value_heads": 4, "sliding_window": -3}, []string{"sliding_window is -3"}},
		{"layer types", fields{"layer_types": []string{"full_attention", "sliding_attention", "full_attention"}}, []string{`layer_types[1] "sliding_attention"`}},
		{"several at once", fields{"sliding_window": 128, "partial_rotary_factor": 0.25}, []string{"sliding_window", "partial_rotary_factor"}},
		{"activation", fields{"hidden_act": "quick_gelu"}, []string{`hidden_act "quick_gelu"`}},
		{"odd heads", fields{"head_dim": 15}, []string{"head_dim 15 is odd"}},
		{"heads that do not group", fields{"num_key_value_heads": 3}, []string{"num_attention_heads 4 is not a multiple of num_key_value_heads 3"}},
		{"no heads", fields{"num_attention_heads": 0}, []string{"num_attention_heads is 0", "head_dim is 0"}},
		{"no key heads", fields{"num_key_value_heads": 0}, []string{"num_key_value_heads is 0"}},
		{"negative", fields{"num_hidden_layers": -1}, []string{"num_hidden_layers is -1"}},
		{"huge", fields{"vocab_size": 1 << 40, "hidden_size": 1 << 30}, []string{"vocab_size is 1099511627776", "hidden_size is 1073741824"}},
		{"beyond int", fields{"hidden_size": json.Number("1e30")}, []string{"hidden_size"}},
		{"a fraction", fields{"hidden_size": 64.5}, []string{"hidden_size"}},
		{"missing", fields{"vocab_size": nil, "hidden_size": nil, "max_position_embeddings": 0}, []string{"vocab_size is 0", "hidden_size is 0", "max_position_embeddings is 0"}},
		{"null", fields{"intermediate_size": null}, []string{"intermediate_size is 0"}},
		{"epsilon", fields{"rms_norm_eps": 0}, []string{"rms_norm_eps is 0"}},
		{"epsilon that float32 lacks", fields{"rms_norm_eps": 1e-60}, []string{"rms_norm_eps is 1e-60"}},
		{"theta", fields{"rope_theta": -1}, []string{"rope_theta is -1"}},
		{"range", fields{"initializer_range": -0.1}, []string{"initializer_range is -0.1"}},
		{"token outside", fields{"eos_token_id": []int{2, 307}}, []string{"special token id 307", "307"}},
		{"token of another type", fields{"bos_token_id": "begin"}, []string{"bos_token_id", `"begin"`}},
		{"token beyond int32", fields{"pad_token_id": 1 << 33}, []string{"pad_token_id"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := model.ParseConfig(configJSON(c.fields))
			fails(t, err, c.want...)
		})
	}
	for _, text := range []string{"", "[]", "{", "null", `"x"`, "{}"} {
		if _, err := model.ParseConfig([]byte(text)); err == nil {
			t.Errorf("no error from %q", text)
		}
	}
}

func TestConfigJSONKeepsTheConfig(t *testing.T) {
	for _, change := range []func(c *model.Config){
		func(*model.Config) {},
		func(c *model.Config) { c.BOS, c.PAD, c.EOS = 0, 3, []int32{4} },
		func(c *model.Config) { c.EOS, c.TieWordEmbeddings = []int32{4, 5}, true },
		func(c *model.Config) { c.ModelType, c.OutputBias, c.MLPBias = "llama", true, true },
	} {
		c := tinyConfig(false)
		change(&c)
		data, err := c.JSON("float32")
		if err != nil {
			t.Fatal(err)
		}
		got, err := model.ParseConfig(data)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, c) {
			t.Errorf("%+v, want %+v", got, c)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(c *model.Config)
		want   string
	}{
		{"nothing", func(c *model.Config) { *c = model.Config{} }, "hidden_size is 0"},
		{"more than memory", func(c *model.Config) { c.VocabSize, c.HiddenSize = 1<<24, 1<<24 }, "parameters"},
		{"too many layers", func(c *model.Config) { c.NumHiddenLayers, c.HiddenSize = 1<<24, 512 }, "parameters"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := tinyConfig(true)
			c.change(&config)
			_, err := model.New(cpu.New(1), config, random.Stream(1, "x"))
			fails(t, err, "new model", c.want)
		})
	}
}

func TestNewFollowsTheSeed(t *testing.T) {
	same := func(seed uint64) string {
		m, err := model.New(cpu.New(1), tinyConfig(false), random.Stream(seed, "weights"))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(tensorsOf(t, dir+"/model.safetensors"))
	}
	if same(1) != same(1) {
		t.Error("the same seed gave two models")
	}
	if same(1) == same(2) {
		t.Error("two seeds gave one model")
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(configJSON(nil))
	f.Add(configJSON(fields{"rope_parameters": fields{"rope_theta": 1e6}, "eos_token_id": []int{1, 2}, "head_dim": 8}))
	f.Add(configJSON(fields{"model_type": "gemma3_text", "rope_scaling": fields{"rope_type": "linear", "factor": 8}}))
	f.Add(configJSON(fields{"model_type": "phi3", "rope_scaling": fields{"type": "su", "short_factor": []int{1}, "long_factor": []int{2}}, "head_dim": 2}))
	f.Add(configJSON(fields{"model_type": "openelm", "num_transformer_layers": 2, "ffn_multipliers": []float64{0.5, 4}, "num_gqa_groups": 4}))
	f.Add([]byte(`{"model_type":"qwen2","num_attention_heads":-3,"rope_scaling":[1]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := model.ParseConfig(data)
		if err != nil {
			return
		}
		written, err := c.JSON("float32")
		if err != nil {
			t.Fatal(err)
		}
		again, err := model.ParseConfig(written)
		if err != nil {
			t.Fatalf("%s from %s: %v", written, data, err)
		}
		if len(c.EOS) == 0 && len(again.EOS) == 0 {
			c.EOS, again.EOS = nil, nil
		}
		c.BOS, c.PAD = max(c.BOS, -1), max(c.PAD, -1)
		if !reflect.DeepEqual(c, again) || !slices.Equal(c.EOS, again.EOS) {
			t.Errorf("%+v became %+v", c, again)
		}
	})
}
