package model_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
)

func smallConfig() model.Config {
	return model.Config{ModelType: "qwen2", HiddenSize: 32, IntermediateSize: 64, NumHiddenLayers: 2, NumAttentionHeads: 2,
		NumKeyValueHeads: 1, HeadDim: 16, VocabSize: 40, MaxPositionEmbeddings: 64, RMSNormEps: 1e-5, RopeTheta: 10000,
		HiddenAct: "silu", TieWordEmbeddings: true, AttentionBias: true, BOS: -1, PAD: -1}
}

// The matrices are those given, by name and shape; norms are one, biases zero.
func TestAssemble(t *testing.T) {
	given := map[string]*compute.Weight{}
	m, err := model.Assemble(cpu.New(1), smallConfig(), func(name string, out, in int) (*compute.Weight, error) {
		w, err := compute.NewWeight(compute.Q8_0, out, in, make([]byte, out*compute.Q8_0.RowBytes(in)))
		given[name] = w
		return w, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(given) != 1+2*7 || given["model.embed_tokens.weight"] != m.Embed.Weight || given["model.layers.1.mlp.up_proj.weight"] != m.Layers[1].GateUp.Parts[1].Weight {
		t.Errorf("%d matrices, or not those given", len(given))
	}
	if v := m.Norm.Values.Float32s(); v[0] != 1 || v[31] != 1 {
		t.Errorf("norm %v", v)
	}
	if v := m.Layers[0].QKV.Parts[2].Bias.Float32s(); len(v) != 16 || v[3] != 0 {
		t.Errorf("bias %v", v)
	}
	if len(m.Params()) != 0 {
		t.Error("the model is not frozen")
	}
}

func TestAssembleFaults(t *testing.T) {
	broken := errors.New("no such matrix")
	for _, c := range []struct {
		name string
		give func(name string, out, in int) (*compute.Weight, error)
		want string
	}{
		{"error", func(string, int, int) (*compute.Weight, error) { return nil, broken }, "model.embed_tokens.weight: no such matrix"},
		{"shape", func(_ string, out, in int) (*compute.Weight, error) {
			return compute.NewWeight(compute.F32, 7, in, make([]byte, 4*7*in))
		}, "model.embed_tokens.weight is (7, 32), the configuration wants (40, 32)"},
	} {
		if _, err := model.Assemble(cpu.New(1), smallConfig(), c.give); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %s", c.name, err, c.want)
		}
	}
	bad := smallConfig()
	bad.HeadDim = 0
	if _, err := model.Assemble(cpu.New(1), bad, nil); err == nil || !strings.Contains(err.Error(), "head_dim is 0") {
		t.Errorf("error %v", err)
	}
}

// Every step tells how many sequences got a token.
func TestGenerateTellsItsSteps(t *testing.T) {
	c := smallConfig()
	m, err := model.Assemble(cpu.New(1), c, func(name string, out, in int) (*compute.Weight, error) {
		return compute.NewWeight(compute.F32, out, in, make([]byte, 4*out*in))
	})
	if err != nil {
		t.Fatal(err)
	}
	steps, tokens := 0, 0
	answers := generate(t, m, [][]int32{{1}, {2, 3}, {4}}, model.GenerateOptions{MaxTokens: 4, Batch: 2,
		Stepped: func(n int) { steps, tokens = steps+1, tokens+n }})
	if len(answers) != 3 || tokens != 12 || steps != 8 {
		t.Errorf("%d steps, %d tokens, want 8 and 12", steps, tokens)
	}
}
