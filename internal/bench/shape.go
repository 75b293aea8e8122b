package bench

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/spelling"
)

// positions is how long a sequence of any shape may be. What a model was
// trained with is less for some, which changes nothing of its speed.
const positions = 8192

// shapes are the models that can be measured, by name; the numbers are those
// of their config.json.
var shapes = []struct {
	name, modelType string
	d, ff, layers   int
	heads, kv, wide int // heads, key/value heads, width of one
	vocabulary      int
	theta           float64
}{
	{"tiny", "llama", 64, 128, 2, 4, 2, 16, 256, 1e4},            // for tests of the benchmarks themselves
	{"stories15", "llama", 288, 768, 6, 6, 6, 48, 32000, 1e4},    // stories15M
	{"smol135", "llama", 576, 1536, 30, 9, 3, 64, 49152, 1e5},    // SmolLM2-135M
	{"smol360", "llama", 960, 2560, 32, 15, 5, 64, 49152, 1e5},   // SmolLM2-360M
	{"qwen05", "qwen2", 896, 4864, 24, 14, 2, 64, 151936, 1e6},   // Qwen2.5-0.5B
	{"llama1b", "llama", 2048, 8192, 16, 32, 8, 64, 128256, 5e5}, // Llama-3.2-1B
}

// Shapes returns the names of the shapes, the smallest first.
func Shapes() []string {
	names := make([]string, len(shapes))
	for i, s := range shapes {
		names[i] = s.name
	}
	return names
}

// Shape returns the configuration of a named shape: a model whose head is its
// embedding, without special tokens.
func Shape(name string) (model.Config, error) {
	for _, s := range shapes {
		if s.name != name {
			continue
		}
		return model.Config{
			ModelType: s.modelType, HiddenSize: s.d, IntermediateSize: s.ff, NumHiddenLayers: s.layers,
			NumAttentionHeads: s.heads, NumKeyValueHeads: s.kv, HeadDim: s.wide, VocabSize: s.vocabulary,
			MaxPositionEmbeddings: positions, RMSNormEps: 1e-5, RopeTheta: s.theta, HiddenAct: "silu",
			TieWordEmbeddings: true, AttentionBias: s.modelType == "qwen2", InitializerRange: 0.02, BOS: -1, PAD: -1,
		}, nil
	}
	return model.Config{}, errors.New(spelling.Unknown("shape", name, Shapes()))
}

// matrix is one matrix (out,in) of a model; its rows are in values long.
type matrix struct {
	name    string // the last part of Hugging Face's, as q_proj
	layer   int    // -1 for the embedding
	out, in int
}

// embedding is the matrix that is the head too.
const embedding = "embed_tokens"

// linears are the matrices of one layer.
func linears(c *model.Config, layer int) []matrix {
	q, kv := c.NumAttentionHeads*c.HeadDim, c.NumKeyValueHeads*c.HeadDim
	d, ff := c.HiddenSize, c.IntermediateSize
	return []matrix{
		{"q_proj", layer, q, d}, {"k_proj", layer, kv, d}, {"v_proj", layer, kv, d}, {"o_proj", layer, d, q},
		{"gate_proj", layer, ff, d}, {"up_proj", layer, ff, d}, {"down_proj", layer, d, ff},
	}
}

// matrices are all of a model's.
func matrices(c *model.Config) []matrix {
	list := []matrix{{embedding, -1, c.VocabSize, c.HiddenSize}}
	for i := range c.NumHiddenLayers {
		list = append(list, linears(c, i)...)
	}
	return list
}

var linearName = regexp.MustCompile(`^model\.layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)\.weight$`)

// parseMatrix tells which matrix a Hugging Face name is.
func parseMatrix(path string, out, in int) (matrix, error) {
	if path == "model.embed_tokens.weight" {
		return matrix{embedding, -1, out, in}, nil
	}
	parts := linearName.FindStringSubmatch(path)
	if parts == nil {
		return matrix{}, fmt.Errorf("%s is no matrix of these models", path)
	}
	layer, err := strconv.Atoi(parts[1])
	return matrix{parts[2], layer, out, in}, err
}
