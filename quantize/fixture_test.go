package quantize_test

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/safetensors"
	"github.com/retort-ml/retort/internal/tokenizer"
)

// The golden models are tiny ones with 307 tokens, written by transformers.
var goldenModels = []string{"llama-gqa", "llama-tied-mha", "qwen2-bias"}

func goldenDir(name string) string {
	return filepath.Join("..", "internal", "model", "testdata", "golden", name)
}

func loadGolden(t *testing.T, name string) *model.Model {
	t.Helper()
	m, err := model.Load(cpu.New(2), goldenDir(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func loadGGUF(t *testing.T, path string) *model.Model {
	t.Helper()
	m, err := model.LoadGGUF(cpu.New(2), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// wide is a random model with all biases and an embedding of 5 MB.
func wide(t *testing.T) *model.Model {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	m, err := model.New(cpu.New(2), model.Config{
		ModelType: "llama", HiddenSize: 64, IntermediateSize: 96, NumHiddenLayers: 1, NumAttentionHeads: 3,
		NumKeyValueHeads: 1, HeadDim: 32, VocabSize: 20_000, MaxPositionEmbeddings: 32, RMSNormEps: 1e-5, RopeTheta: 1e4,
		HiddenAct: "silu", TieWordEmbeddings: true, AttentionBias: true, OutputBias: true, MLPBias: true,
		InitializerRange: 0.2, BOS: -1, PAD: -1,
	}, rng)
	if err != nil {
		t.Fatal(err)
	}
	l := m.Layers[0]
	for _, linear := range []*autodiff.Linear{l.QKV, l.Output, l.GateUp, l.Down} {
		for _, part := range linear.Parts {
			for i := range m.Device().Host(compute.Of(part.Bias)) {
				m.Device().Host(compute.Of(part.Bias))[i] = float32(rng.NormFloat64())
			}
		}
	}
	return m
}

// trained is a byte-level tokenizer of n tokens; 0 is BOS, 1 EOS, 2 PAD.
func trained(t *testing.T, n int) *tokenizer.Tokenizer {
	t.Helper()
	text := []string{"the printer on the third floor is out of paper again", "the password that was reset does not work",
		"please reset the password of the printer on the floor above"}
	tok, err := tokenizer.Train(slices.Values(text), tokenizer.TrainOptions{VocabSize: n, MinFrequency: 1})
	if err != nil {
		t.Fatal(err)
	}
	if tok.VocabSize() != n {
		t.Fatalf("%d tokens, want %d", tok.VocabSize(), n)
	}
	return tok
}

func vocab(t *testing.T, n int) tokenizer.GGUFVocab {
	t.Helper()
	v, err := trained(t, n).GGUF()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// goldenInts reads a tensor of golden.safetensors.
func goldenInts(t *testing.T, name, tensor string) []int32 {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(goldenDir(name), "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := f.Bytes(tensor)
	if err != nil {
		t.Fatal(err)
	}
	floats := make([]float32, len(data)/4) // the same four bytes a value
	compute.Dequantize(compute.F32, floats, data)
	ids := make([]int32, len(floats))
	for i, v := range floats {
		ids[i] = int32(math.Float32bits(v))
	}
	return ids
}

// logits are those of a sequence, row after row.
func logits(t *testing.T, m *model.Model, ids []int32) []float32 {
	t.Helper()
	d := model.NewDecoder(m)
	h, err := d.Step([]model.Run{{Cache: d.NewCache(len(ids)), Tokens: ids}})
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]int32, len(ids))
	for i := range rows {
		rows[i] = int32(i)
	}
	return slices.Clone(m.Device().Host(d.Logits(h, rows)))
}

// meanNats is the mean loss of the next tokens in a sequence.
func meanNats(t *testing.T, m *model.Model, ids []int32) float64 {
	t.Helper()
	all, v := logits(t, m, ids), m.Config.VocabSize
	sum := 0.0
	for i, next := range ids[1:] {
		row := all[i*v : (i+1)*v]
		exp := 0.0
		for _, x := range row {
			exp += math.Exp(float64(x))
		}
		sum += math.Log(exp) - float64(row[next])
	}
	return sum / float64(len(ids)-1)
}
