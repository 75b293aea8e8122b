package model_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/model"
)

// What a file leaves out is what transformers 4.53 takes instead, which differs
// from null.
func TestParseConfigDefaultsOfFamilies(t *testing.T) {
	small := fields{"num_attention_heads": 32, "hidden_size": 128, "max_position_embeddings": nil}
	for _, c := range []struct {
		model  string
		fields fields
		want   func(c *model.Config) bool
	}{
		{"llama", nil, func(c *model.Config) bool {
			return c.NumKeyValueHeads == 32 && c.HeadDim == 4 && c.MaxPositionEmbeddings == 2048 && c.RMSNormEps == 1e-6 && !c.TieWordEmbeddings
		}},
		{"llama", fields{"rope_scaling": fields{"rope_type": "default", "factor": 4}}, func(c *model.Config) bool { return c.Rope.Type == "" }},
		{"llama", fields{"rope_scaling": fields{"rope_type": "linear", "factor": 2, "original_max_position_embeddings": 512}}, func(c *model.Config) bool {
			return reflect.DeepEqual(c.Rope, model.RopeScaling{Type: "linear", Factor: 2})
		}},
		{"llama", fields{"rope_scaling": fields{"rope_type": "yarn", "type": "yarn", "factor": 2, "truncate": false}}, func(c *model.Config) bool {
			return c.Rope.Type == "yarn" && c.Rope.Fractional
		}},
		{"llama", fields{"rope_scaling": fields{"rope_type": "longrope", "factor": 2, "original_max_position_embeddings": 512,
			"short_factor": []int{1, 1}, "long_factor": []int{1, 2}}}, func(c *model.Config) bool { return c.Rope.OriginalMax == 0 && c.Rope.Factor == 2 }},
		{"llama", fields{"rope_parameters": fields{"rope_type": "longrope", "factor": 2, "original_max_position_embeddings": 512,
			"short_factor": []int{1, 1}, "long_factor": []int{1, 2}}}, func(c *model.Config) bool { return c.Rope.OriginalMax == 512 }},
		{"phi3", fields{"rope_scaling": fields{"type": "yarn", "short_factor": []int{1, 1}, "long_factor": []int{1, 2}}}, func(c *model.Config) bool {
			return c.Rope.Type == "longrope" && c.Rope.OriginalMax == 4096
		}},
		{"mistral", nil, func(c *model.Config) bool {
			return c.SlidingWindow == 4096 && c.LayerTypes == nil && c.NumKeyValueHeads == 8 && c.MaxPositionEmbeddings == 131072
		}},
		{"mistral", fields{"sliding_window": null, "num_key_value_heads": null}, func(c *model.Config) bool {
			return c.SlidingWindow == 0 && c.NumKeyValueHeads == 32
		}},
		{"qwen2", nil, func(c *model.Config) bool {
			return c.NumKeyValueHeads == 32 && c.AttentionBias && !c.OutputBias && c.SlidingWindow == 0 && c.MaxPositionEmbeddings == 32768
		}},
		{"qwen2", fields{"use_sliding_window": true, "max_window_layers": 2}, func(c *model.Config) bool {
			return c.SlidingWindow == 4096 && slices.Equal(c.LayerTypes, []string{"full_attention", "full_attention", "sliding_attention"})
		}},
		{"qwen2", fields{"use_sliding_window": true}, func(c *model.Config) bool { return c.SlidingWindow == 0 && c.LayerTypes == nil }},
		{"qwen3", nil, func(c *model.Config) bool { return c.HeadDim == 128 && c.NumKeyValueHeads == 32 }},
		{"qwen3", fields{"head_dim": null, "attention_bias": true}, func(c *model.Config) bool { return c.HeadDim == 4 && c.OutputBias }},
		{"phi3", nil, func(c *model.Config) bool {
			return c.RMSNormEps == 1e-5 && c.MaxPositionEmbeddings == 4096 && c.SlidingWindow == 0 && c.NumKeyValueHeads == 32
		}},
		{"phi3", fields{"rope_scaling": fields{"type": "longrope", "short_factor": []int{1, 1}, "long_factor": []int{1, 2}}, "max_position_embeddings": 8192},
			func(c *model.Config) bool { return c.Rope.OriginalMax == 4096 }},
		{"gemma", nil, func(c *model.Config) bool {
			return c.HeadDim == 256 && c.NumKeyValueHeads == 16 && c.TieWordEmbeddings && c.HiddenAct == "gelu_pytorch_tanh"
		}},
		{"gemma", fields{"hidden_act": "gelu", "hidden_activation": null}, func(c *model.Config) bool { return c.HiddenAct == "gelu" }},
		{"gemma2", fields{"hidden_act": "silu"}, func(c *model.Config) bool {
			return c.AttnLogitSoftcap == 50 && c.FinalLogitSoftcap == 30 && c.QueryPreAttnScalar == 256 && c.SlidingWindow == 4096 &&
				slices.Equal(c.LayerTypes, []string{"sliding_attention", "full_attention", "sliding_attention"}) && c.HiddenAct == "gelu_pytorch_tanh"
		}},
		{"gemma2", fields{"final_logit_softcapping": null, "tie_word_embeddings": false}, func(c *model.Config) bool {
			return c.AttnLogitSoftcap == 50 && c.FinalLogitSoftcap == 0 && !c.TieWordEmbeddings
		}},
		{"gemma3_text", nil, func(c *model.Config) bool {
			return c.RopeTheta == 1e6 && c.LocalRopeTheta == 1e4 && c.FinalLogitSoftcap == 0 && c.LayerTypes == nil && c.SlidingWindow == 4096
		}},
		{"gemma3_text", fields{"rope_theta": nil, "rope_parameters": fields{"sliding_attention": fields{"rope_type": "default", "rope_theta": 77},
			"full_attention": fields{"rope_type": "linear", "factor": 8, "rope_theta": 5e5}}, "sliding_window_pattern": 3},
			func(c *model.Config) bool {
				return c.RopeTheta == 5e5 && c.LocalRopeTheta == 77 && reflect.DeepEqual(c.Rope, model.RopeScaling{Type: "linear", Factor: 8}) &&
					c.LayerTypes[2] == "full_attention"
			}},
	} {
		all := fields{"model_type": c.model}
		for _, from := range []fields{small, c.fields} {
			for name, v := range from {
				all[name] = v
			}
		}
		got, err := model.ParseConfig(configJSON(all))
		if err != nil {
			t.Errorf("%s %v: %v", c.model, c.fields, err)
		} else if !c.want(&got) {
			t.Errorf("%s %v gives %+v", c.model, c.fields, got)
		}
	}
}

// OpenELM's heads and widths by layer, as its configuration class makes them.
func TestParseConfigOfOpenELM(t *testing.T) {
	c, err := model.ParseConfig([]byte(`{"model_type": "openelm", "model_dim": 1280, "num_transformer_layers": 16, "head_dim": 64,
		"qkv_multipliers": [0.5, 1.0], "ffn_multipliers": [0.5, 4.0], "num_gqa_groups": 4, "ffn_dim_divisor": 256, "vocab_size": 32000,
		"rope_max_length": 4096, "max_context_length": 2048, "normalize_qk_projections": true, "share_input_output_layers": true}`))
	if err != nil {
		t.Fatal(err)
	}
	// As the lists in the configuration of OpenELM-270M.
	heads := slices.Concat(slices.Repeat([]int{12}, 5), slices.Repeat([]int{16}, 7), slices.Repeat([]int{20}, 4))
	keys := slices.Concat(slices.Repeat([]int{3}, 5), slices.Repeat([]int{4}, 7), slices.Repeat([]int{5}, 4))
	if !slices.Equal(c.LayerHeads, heads) || !slices.Equal(c.LayerKVHeads, keys) {
		t.Errorf("heads %v and %v", c.LayerHeads, c.LayerKVHeads)
	}
	widths := []int{768, 1024, 1280, 1536, 1792, 2048, 2560, 2816, 3072, 3328, 3584, 3840, 4352, 4608, 4864, 5120}
	if !slices.Equal(c.LayerIntermediate, widths) {
		t.Errorf("widths %v", c.LayerIntermediate)
	}
	if c.NumAttentionHeads != 20 || c.NumKeyValueHeads != 5 || c.IntermediateSize != 5120 || !c.TieWordEmbeddings || c.NoHeadNorms {
		t.Errorf("%+v", c)
	}
}
