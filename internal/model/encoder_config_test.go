package model_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/model"
)

// What transformers wrote is read and written without a difference, dropouts too.
func TestClassifierConfigRoundTrip(t *testing.T) {
	for _, name := range goldenEncoders {
		path := shared(t, "golden", "hf", name, "config.json")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := model.ParseClassifierConfig(data)
		if err != nil {
			t.Fatal(err)
		}
		written, err := c.JSON("float32")
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]any
		if err := json.Unmarshal(written, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		for _, ignored := range []string{ // of no meaning to the mathematics
			"transformers_version", "use_cache", "bos_token_id", "eos_token_id",
			"summary_activation", "summary_last_dropout", "summary_type", "summary_use_proj"} {
			delete(want, ignored)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: wrote %v, want %v", name, got, want)
		}
	}
}

func TestClassifierConfigDefaults(t *testing.T) {
	for kind, want := range map[string]string{
		"bert": "30522 768 768 3072 12 12 512 2 gelu", "distilbert": "30522 768 768 3072 6 12 512 0 gelu",
		"albert": "30000 128 4096 16384 12 64 512 2 gelu_new", "electra": "30522 128 256 1024 12 4 512 2 gelu",
	} {
		c, err := model.ParseClassifierConfig([]byte(`{"model_type": "` + kind + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads,
			c.MaxPositionEmbeddings, c.TypeVocabSize, " ", c.HiddenAct)
		if strings.ReplaceAll(got, "  ", " ") != want || c.LayerNormEps != 1e-12 || len(c.Labels) != 2 || c.PAD != 0 {
			t.Errorf("%s: %s, want %s; %+v", kind, got, want, c)
		}
	}
}

func TestClassifierConfigRefusals(t *testing.T) {
	for fields, want := range map[string]string{
		`"model_type": "roberta"`: `model_type "roberta"`, `"model_type": 3`: "model_type",
		`"position_embedding_type": "relative_key"`: "position_embedding_type", `"problem_type": "regression"`: "problem_type",
		`"problem_type": "multi_label_classification"`: "problem_type", `"is_decoder": true`: "is_decoder",
		`"add_cross_attention": true`: "add_cross_attention", `"pruned_heads": {"0": [1]}`: "pruned_heads",
		`"quantization_config": {"bits": 4}`: "quantization_config", `"hidden_act": "quick_gelu"`: "hidden_act",
		`"num_labels": 1`: "regression", `"num_labels": 0`: "num_labels", `"num_labels": 99999999`: "num_labels", `"id2label": {"0": "a", "2": "b"}`: "class 1",
		`"hidden_size": 10`: "num_attention_heads", `"num_attention_heads": 0`: "num_attention_heads", `"vocab_size": -1`: "vocab_size",
		`"num_hidden_layers": 16777216`: "num_hidden_layers", `"layer_norm_eps": -1`: "layer_norm_eps", `"layer_norm_eps": "x"`: "layer_norm_eps",
		`"pad_token_id": 40000`: "special token id", `"pad_token_id": "x"`: "pad_token_id", `"hidden_dropout_prob": 7`: "hidden_dropout_prob",
		`"model_type": "albert", "num_hidden_groups": 13`:          "num_hidden_groups",
		`"model_type": "albert", "inner_group_num": 1000`:          "inner_group_num",
		`"model_type": "distilbert", "max_position_embeddings": 0`: "max_position_embeddings",
	} {
		if !strings.Contains(fields, "model_type") {
			fields = `"model_type": "bert", ` + fields
		}
		_, err := model.ParseClassifierConfig([]byte("{" + fields + "}"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", fields, err, want)
		}
	}
}

func FuzzClassifierConfig(f *testing.F) {
	for _, kind := range []string{"bert", "albert", "distilbert", "electra"} {
		f.Add([]byte(`{"model_type": "` + kind + `", "num_labels": 3, "id2label": {"0": "a", "1": "b"}, "hidden_dropout_prob": null, "dim": 8}`))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := model.ParseClassifierConfig(data)
		if err != nil {
			return
		}
		again, err := c.JSON("float32")
		if err != nil {
			t.Fatal(err)
		}
		if read, err := model.ParseClassifierConfig(again); err != nil || !reflect.DeepEqual(read, c) {
			t.Errorf("%+v was read again as %+v, %v", c, read, err)
		}
	})
}
