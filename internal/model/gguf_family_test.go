package model_test

import (
	"maps"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
)

// ggufModels are configurations that a GGUF file can say, and how what is read
// differs from them.
var ggufModels = map[string]struct {
	fields fields
	reads  func(c *model.Config)
}{
	"linear":  {fields{"rope_scaling": fields{"rope_type": "linear", "factor": 4}}, func(*model.Config) {}},
	"biases":  {fields{"attention_bias": true, "mlp_bias": true}, func(*model.Config) {}},
	"mistral": {fields{"model_type": "mistral", "sliding_window": null}, func(c *model.Config) { c.ModelType = "llama" }},
	"llama 3": {fields{"rope_scaling": fields{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 12}},
		func(c *model.Config) { c.Rope = model.RopeScaling{} }},
	"qwen3":  {fields{"model_type": "qwen3", "head_dim": 6}, func(*model.Config) {}},
	"gemma":  {fields{"model_type": "gemma", "head_dim": 6}, func(*model.Config) {}},
	"gemma2": {fields{"model_type": "gemma2", "head_dim": 6, "query_pre_attn_scalar": 6, "sliding_window": 3, "num_hidden_layers": 3}, func(*model.Config) {}},
	"gemma3": {fields{"model_type": "gemma3_text", "query_pre_attn_scalar": 4, "sliding_window": 3, "num_hidden_layers": 7,
		"rope_scaling": fields{"rope_type": "linear", "factor": 8}}, func(*model.Config) {}},
	"gemma3 by layers": {fields{"model_type": "gemma3_text", "query_pre_attn_scalar": 4, "sliding_window": 3, "num_hidden_layers": 4,
		"layer_types":          []string{"full_attention", "sliding_attention", "sliding_attention", "full_attention"},
		"rope_local_base_freq": 100, "final_logit_softcapping": 0.5}, func(*model.Config) {}},
	"gemma3 all windows": {fields{"model_type": "gemma3_text", "query_pre_attn_scalar": 4, "sliding_window": 3, "num_hidden_layers": 6,
		"layer_types": slices.Repeat([]string{"sliding_attention"}, 6)}, func(*model.Config) {}},
	"phi3": {fields{"model_type": "phi3", "partial_rotary_factor": 0.5, "sliding_window": 32}, func(*model.Config) {}},
	"yarn": {fields{"rope_scaling": fields{"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 8}}, func(*model.Config) {}},
	"yarn beyond": {fields{"model_type": "qwen3", "rope_scaling": fields{"rope_type": "yarn", "factor": 3, "beta_fast": 32}},
		func(c *model.Config) { c.Rope.BetaFast = 0 }},
	"yarn attention": {fields{"model_type": "qwen2", "rope_scaling": fields{"rope_type": "yarn", "factor": 4,
		"original_max_position_embeddings": 8, "attention_factor": 2}}, func(c *model.Config) { c.Rope.AttentionFactor = 0 }},
	"longrope": {fields{"model_type": "phi3", "original_max_position_embeddings": 6,
		"rope_scaling": fields{"type": "longrope", "short_factor": []float64{1, 1.5}, "long_factor": []float64{2, 5}}},
		func(c *model.Config) { c.Rope.AttentionFactor = 0 }},
}

func ggufModel(t *testing.T, change fields) *model.Model {
	t.Helper()
	all := fields{"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
		"head_dim": 4, "vocab_size": 11, "max_position_embeddings": 32, "initializer_range": 0.4, "rms_norm_eps": 1e-5}
	maps.Copy(all, change)
	c, err := model.ParseConfig(configJSON(all))
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(cpu.New(1), c, random.Stream(5, "gguf"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLoadGGUFOfEveryFamily(t *testing.T) {
	for name, c := range ggufModels {
		t.Run(name, func(t *testing.T) {
			m := ggufModel(t, c.fields)
			f := newGGUF(t, m)
			path := f.write(t)
			again, err := model.LoadGGUF(cpu.New(1), path)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			outline, err := model.LoadGGUFOutline(path)
			if err != nil || outline.Parameters() != m.Parameters() {
				t.Errorf("an outline of %d parameters (%v), want %d", outline.Parameters(), err, m.Parameters())
			}
			near(t, "logits", rowLogits(t, again, familyTokens), rowLogits(t, m, familyTokens))
			got, want := again.Config, m.Config
			want.BOS, want.EOS, want.PAD, want.InitializerRange = 1, []int32{2}, 0, 0.02
			c.reads(&want)
			if name == "llama 3" || name == "longrope" || name == "yarn attention" {
				got.Rope.AttentionFactor = 0
				c.reads(&got)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("configuration %+v, want %+v", got, want)
			}
			// And as a directory.
			dir := t.TempDir()
			if err := again.Save(dir); err != nil {
				t.Fatal(err)
			}
			saved, err := model.Load(cpu.New(1), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer saved.Close()
			near(t, "logits of the directory", rowLogits(t, saved, familyTokens), rowLogits(t, m, familyTokens))
		})
	}
}

func TestGGUFRefusesWhatItCannotSay(t *testing.T) {
	for _, c := range []struct {
		fields fields
		want   string
	}{
		{fields{"model_type": "mistral", "sliding_window": 3}, "sliding_window 3"},
		{fields{"model_type": "gemma2", "head_dim": 4, "query_pre_attn_scalar": 9}, "query_pre_attn_scalar 9"},
		{fields{"model_type": "gemma2", "head_dim": 4, "query_pre_attn_scalar": 4, "final_logit_softcapping": null}, "caps"},
		{fields{"model_type": "gemma", "tie_word_embeddings": false}, "tie_word_embeddings"},
		{fields{"model_type": "gemma", "hidden_act": "gelu"}, `hidden_act "gelu"`},
		{fields{"model_type": "gemma2", "head_dim": 4, "query_pre_attn_scalar": 4, "layer_types": []string{"full_attention", "full_attention"}}, "no layer has a sliding window"},
		{fields{"model_type": "phi3", "sliding_window": 5}, "sliding_window 5"},
		{fields{"model_type": "qwen3", "attention_bias": true}, "biases"},
		{fields{"model_type": "gemma", "rope_scaling": fields{"rope_type": "yarn", "factor": 2}}, "yarn"},
		{fields{"rope_scaling": fields{"rope_type": "yarn", "factor": 2, "beta_fast": 16}}, "beta_fast 16"},
		{fields{"rope_scaling": fields{"rope_type": "yarn", "factor": 2, "truncate": false}}, "truncate false"},
		{fields{"rope_scaling": fields{"rope_type": "yarn", "factor": 2, "beta_slow": 2}}, "beta_slow 2"},
	} {
		_, err := ggufModel(t, c.fields).GGUFTensors()
		fails(t, err, c.want)
	}
}

func TestLoadGGUFRefusesRopeTensors(t *testing.T) {
	llama3 := ggufModels["llama 3"].fields
	for _, c := range []struct {
		name   string
		values []float32
		want   string
	}{
		{"width", []float32{1, 2, 3}, "dims [3]"},
		{"zero", []float32{1, 0}, "value 1 is 0"},
		{"infinite", []float32{float32(math.Inf(1)), 1}, "value 0"},
	} {
		f := newGGUF(t, ggufModel(t, llama3))
		f.tensor("rope_freqs.weight", c.values, len(c.values))
		_, err := model.LoadGGUF(cpu.New(1), f.write(t))
		fails(t, err, "rope_freqs.weight", c.want)
	}
	f := newGGUF(t, ggufModel(t, ggufModels["longrope"].fields))
	f.remove("rope_factors_short.weight")
	_, err := model.LoadGGUF(cpu.New(1), f.write(t))
	fails(t, err, "rope_factors_short.weight is missing")
}

func TestLoadGGUFKeysOfWindowsAndYarn(t *testing.T) {
	read := func(name string, keys map[string]any) error {
		f := newGGUF(t, ggufModel(t, ggufModels[name].fields))
		for key, v := range keys {
			f.set(key, v)
		}
		m, err := model.LoadGGUF(cpu.New(1), f.write(t))
		if err == nil {
			defer m.Close()
		}
		if err == nil && name == "gemma3" && m.Config.LayerTypes[1] != "full_attention" {
			t.Errorf("layer types %v", m.Config.LayerTypes)
		}
		return err
	}
	if err := read("gemma3", map[string]any{"gemma3.attention.sliding_window_pattern": uint32(2)}); err != nil {
		t.Error(err)
	}
	fails(t, read("gemma3", map[string]any{"gemma3.attention.sliding_window_pattern": []bool{true}}), "sliding_window_pattern: 1 values for 7 layers")
	fails(t, read("gemma3", map[string]any{"gemma3.attention.sliding_window_pattern": "2"}), "sliding_window_pattern")
	fails(t, read("gemma2", map[string]any{"gemma2.attention.sliding_window_pattern": uint32(0)}), "sliding_window_pattern: 0")
	fails(t, read("gemma2", map[string]any{"gemma2.rope.freq_base_swa": float32(7)}), "freq_base_swa")
	fails(t, read("yarn", map[string]any{"llama.rope.scaling.factor": float32(5)}), "original_context_length: 8: by the factor 5")
	fails(t, read("yarn", map[string]any{"llama.rope.scaling.factor": nil}), "scaling.factor is missing")
	fails(t, read("yarn", map[string]any{"llama.rope.scaling.yarn_log_multiplier": float32(1)}), "yarn_log_multiplier")
	fails(t, read("gemma", map[string]any{"gemma.rope.scaling.type": "yarn"}), "scaling.type: yarn is not supported")
}

// Gains are stored as what is multiplied by, one more than Gemma's weights.
func TestGGUFTensorsOfGemma(t *testing.T) {
	m := ggufModel(t, ggufModels["gemma2"].fields)
	list, err := m.GGUFTensors()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, g := range list {
		names[g.Name] = true
		if g.Vector != nil {
			if v := m.Device().Host(compute.Of(g.Vector))[0]; v != 1 {
				t.Errorf("%s begins with %v, want 1", g.Name, v)
			}
		}
	}
	for _, want := range []string{"token_embd.weight", "blk.2.attn_norm.weight", "blk.2.post_attention_norm.weight", "blk.2.ffn_norm.weight",
		"blk.2.post_ffw_norm.weight", "blk.0.attn_q.weight", "output_norm.weight"} {
		if !names[want] {
			t.Errorf("no tensor %s in %v", want, names)
		}
	}
}
