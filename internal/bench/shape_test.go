package bench

import (
	"strings"
	"testing"
)

// The parameters that Hugging Face counts of the models that the shapes are of.
func TestShapesHaveTheirModelsParameters(t *testing.T) {
	want := map[string]int{
		"tiny": 256*64 + 2*(64*64*2+64*32*2+3*64*128+2*64) + 64, "stories15": 15_191_712, "smol135": 134_515_008,
		"smol360": 361_821_120, "qwen05": 494_032_768, "llama1b": 1_235_814_400,
	}
	for _, name := range Shapes() {
		c, err := Shape(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		n := c.HiddenSize * (2*c.NumHiddenLayers + 1)
		if c.AttentionBias {
			n += c.NumHiddenLayers * (c.NumAttentionHeads + 2*c.NumKeyValueHeads) * c.HeadDim
		}
		for _, m := range matrices(&c) {
			n += m.out * m.in
		}
		if n != want[name] {
			t.Errorf("%s has %d parameters, want %d", name, n, want[name])
		}
	}
	if len(want) != len(Shapes()) {
		t.Errorf("%d shapes, want %d", len(Shapes()), len(want))
	}
	if _, err := Shape("smol-135"); err == nil || !strings.Contains(err.Error(), "did you mean smol135?") {
		t.Errorf("error %v", err)
	}
}

func TestMatrixNames(t *testing.T) {
	for path, want := range map[string]matrix{
		"model.embed_tokens.weight":               {embedding, -1, 3, 5},
		"model.layers.0.self_attn.q_proj.weight":  {"q_proj", 0, 3, 5},
		"model.layers.17.mlp.down_proj.weight":    {"down_proj", 17, 3, 5},
		"model.layers.2.input_layernorm.weight":   {},
		"model.layers.2.self_attn.q_proj.weight2": {},
		"lm_head.weight":                          {},
	} {
		got, err := parseMatrix(path, 3, 5)
		if got != want || (err == nil) == (want == matrix{}) {
			t.Errorf("%s is %+v (%v), want %+v", path, got, err, want)
		}
	}
}
