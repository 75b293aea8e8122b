package model_test

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/safetensors"
)

// plainEncoder computes a classifier in float64, one row after the other, from
// the files that were saved of it.
type plainEncoder struct {
	t      *testing.T
	f      *safetensors.Model
	c      model.ClassifierConfig
	prefix string
}

// at is the tensor name, row by row: a vector is one row.
func (e *plainEncoder) at(name string) [][]float64 {
	e.t.Helper()
	info, ok := e.f.Info(name)
	if !ok {
		e.t.Fatalf("no tensor %s", name)
	}
	data, err := e.f.Bytes(name)
	if err != nil {
		e.t.Fatal(err)
	}
	cols := info.Shape[len(info.Shape)-1]
	var rows [][]float64
	for i, v := range floatsOfBytes(data) {
		if i%cols == 0 {
			rows = append(rows, nil)
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], float64(v))
	}
	return rows
}

func floatsOfBytes(data []byte) []float32 {
	var list []float32
	for ; len(data) > 0; data = data[4:] {
		list = append(list, math.Float32frombits(uint32(data[0])|uint32(data[1])<<8|uint32(data[2])<<16|uint32(data[3])<<24))
	}
	return list
}

func (e *plainEncoder) linear(x [][]float64, name string) [][]float64 {
	w, b := e.at(name+".weight"), e.at(name + ".bias")[0]
	var y [][]float64
	for _, row := range x {
		out := make([]float64, len(w))
		for o := range w {
			out[o] = b[o]
			for i, v := range row {
				out[o] += v * w[o][i]
			}
		}
		y = append(y, out)
	}
	return y
}

func (e *plainEncoder) norm(x [][]float64, name string) [][]float64 {
	gain, bias := e.at(name + ".weight")[0], e.at(name + ".bias")[0]
	for _, row := range x {
		mean, variance := 0.0, 0.0
		for _, v := range row {
			mean += v / float64(len(row))
		}
		for _, v := range row {
			variance += (v - mean) * (v - mean) / float64(len(row))
		}
		for i, v := range row {
			row[i] = (v-mean)/math.Sqrt(variance+e.c.LayerNormEps)*gain[i] + bias[i]
		}
	}
	return x
}

func each(x [][]float64, f func(v float64) float64) [][]float64 {
	for _, row := range x {
		for i := range row {
			row[i] = f(row[i])
		}
	}
	return x
}

func plus(a, b [][]float64) [][]float64 {
	for i := range a {
		for j := range a[i] {
			a[i][j] += b[i][j]
		}
	}
	return a
}

func gelu(v float64) float64 { return v * math.Erfc(-v/math.Sqrt2) / 2 }

var plainActivations = map[string]func(float64) float64{
	"gelu": gelu,
	"gelu_new": func(v float64) float64 {
		return v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
	},
	"relu": func(v float64) float64 { return max(v, 0) },
	"silu": func(v float64) float64 { return v / (1 + math.Exp(-v)) },
}

// attend is softmax(q·kᵀ/sqrt(E))·v by heads, over all rows.
func (e *plainEncoder) attend(q, k, v [][]float64) [][]float64 {
	width := len(q[0]) / e.c.NumAttentionHeads
	y := make([][]float64, len(q))
	for i := range q {
		y[i] = make([]float64, len(q[0]))
		for h := 0; h < len(q[0]); h += width {
			total := 0.0
			weights := make([]float64, len(k))
			for j := range k {
				for c := h; c < h+width; c++ {
					weights[j] += q[i][c] * k[j][c] / math.Sqrt(float64(width))
				}
				weights[j] = math.Exp(weights[j])
				total += weights[j]
			}
			for j := range v {
				for c := h; c < h+width; c++ {
					y[i][c] += weights[j] / total * v[j][c]
				}
			}
		}
	}
	return y
}

// layer has the names of BERT's parts, which the other families' are given for.
func (e *plainEncoder) layer(x [][]float64, prefix string, names map[string]string) [][]float64 {
	name := func(bert string) string {
		if other, ok := names[bert]; ok {
			bert = other
		}
		return prefix + bert
	}
	a := e.attend(e.linear(x, name("attention.self.query")), e.linear(x, name("attention.self.key")), e.linear(x, name("attention.self.value")))
	x = e.norm(plus(e.linear(a, name("attention.output.dense")), x), name("attention.output.LayerNorm"))
	f := each(e.linear(x, name("intermediate.dense")), plainActivations[e.c.HiddenAct])
	return e.norm(plus(e.linear(f, name("output.dense")), x), name("output.LayerNorm"))
}

var plainNames = map[string]map[string]string{
	"distilbert": {
		"attention.self.query": "attention.q_lin", "attention.self.key": "attention.k_lin", "attention.self.value": "attention.v_lin",
		"attention.output.dense": "attention.out_lin", "attention.output.LayerNorm": "sa_layer_norm",
		"intermediate.dense": "ffn.lin1", "output.dense": "ffn.lin2", "output.LayerNorm": "output_layer_norm",
	},
	"albert": {
		"attention.self.query": "attention.query", "attention.self.key": "attention.key", "attention.self.value": "attention.value",
		"attention.output.dense": "attention.dense", "attention.output.LayerNorm": "attention.LayerNorm",
		"intermediate.dense": "ffn", "output.dense": "ffn_output", "output.LayerNorm": "full_layer_layer_norm",
	},
}

func (e *plainEncoder) logits(text model.Text) []float64 {
	var x [][]float64
	for i, id := range text.Tokens {
		row := append([]float64(nil), e.at(e.prefix + "embeddings.word_embeddings.weight")[id]...)
		x = append(x, row)
		plus([][]float64{row}, e.at(e.prefix + "embeddings.position_embeddings.weight")[i:])
		if e.c.ModelType != "distilbert" {
			kind := 0
			if text.Types != nil {
				kind = int(text.Types[i])
			}
			plus([][]float64{row}, e.at(e.prefix + "embeddings.token_type_embeddings.weight")[kind:])
		}
	}
	x = e.norm(x, e.prefix+"embeddings.LayerNorm")
	for i := range e.c.NumHiddenLayers {
		switch e.c.ModelType {
		case "albert":
			if i == 0 {
				x = e.linear(x, "albert.encoder.embedding_hidden_mapping_in")
			}
			group := i * e.c.NumHiddenGroups / e.c.NumHiddenLayers
			for inner := range e.c.InnerGroupNum {
				x = e.layer(x, fmt.Sprintf("albert.encoder.albert_layer_groups.%d.albert_layers.%d.", group, inner), plainNames["albert"])
			}
		case "distilbert":
			x = e.layer(x, fmt.Sprintf("distilbert.transformer.layer.%d.", i), plainNames["distilbert"])
		default:
			if i == 0 && e.c.EmbeddingSize != e.c.HiddenSize {
				x = e.linear(x, e.prefix+"embeddings_project")
			}
			x = e.layer(x, e.prefix+fmt.Sprintf("encoder.layer.%d.", i), nil)
		}
	}
	return e.head(x[:1])[0]
}

func (e *plainEncoder) head(x [][]float64) [][]float64 {
	switch e.c.ModelType {
	case "bert":
		return e.linear(each(e.linear(x, "bert.pooler.dense"), math.Tanh), "classifier")
	case "albert":
		return e.linear(each(e.linear(x, "albert.pooler"), math.Tanh), "classifier")
	case "distilbert":
		return e.linear(each(e.linear(x, "pre_classifier"), plainActivations["relu"]), "classifier")
	default:
		return e.linear(each(e.linear(x, "classifier.dense"), gelu), "classifier.out_proj")
	}
}

// tinyEncoders are small configurations of every family.
func tinyEncoders() map[string]model.ClassifierConfig {
	base := model.ClassifierConfig{VocabSize: 23, EmbeddingSize: 12, HiddenSize: 12, IntermediateSize: 20, NumHiddenLayers: 3,
		NumHiddenGroups: 1, InnerGroupNum: 1, NumAttentionHeads: 3, MaxPositionEmbeddings: 16, TypeVocabSize: 3, HiddenAct: "gelu",
		LayerNormEps: 1e-3, InitializerRange: 0.4, Labels: []string{"no", "yes", "maybe"}}
	with := func(kind string, change func(c *model.ClassifierConfig)) model.ClassifierConfig {
		c := base
		c.ModelType = kind
		change(&c)
		return c
	}
	distil := func(c *model.ClassifierConfig) { c.TypeVocabSize, c.LayerNormEps = 0, 1e-12 }
	return map[string]model.ClassifierConfig{
		"bert":                with("bert", func(*model.ClassifierConfig) {}),
		"bert, relu, one":     with("bert", func(c *model.ClassifierConfig) { c.HiddenAct, c.NumHiddenLayers, c.TypeVocabSize = "relu", 1, 2 }),
		"distilbert":          with("distilbert", distil),
		"distilbert, sines":   with("distilbert", func(c *model.ClassifierConfig) { distil(c); c.SinusoidalPositions = true }),
		"electra":             with("electra", func(c *model.ClassifierConfig) { c.EmbeddingSize = 8 }),
		"electra, no project": with("electra", func(c *model.ClassifierConfig) { c.HiddenAct = "silu" }),
		"albert":              with("albert", func(c *model.ClassifierConfig) { c.EmbeddingSize, c.HiddenAct = 8, "gelu_new" }),
		"albert, groups":      with("albert", func(c *model.ClassifierConfig) { c.NumHiddenLayers, c.NumHiddenGroups, c.InnerGroupNum = 5, 3, 2 }),
	}
}

// randomClassifier has random weights, norms and biases among them.
func randomClassifier(t *testing.T, c model.ClassifierConfig) *model.Classifier {
	t.Helper()
	m, err := model.NewClassifier(cpu.New(2), c, random.Stream(3, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Unfreeze(); err != nil {
		t.Fatal(err)
	}
	rng := random.Stream(4, "vectors")
	for _, p := range m.Params() {
		for i := range p.Value.Float32s() {
			if p.Value.Dims() == 1 {
				p.Value.Float32s()[i] += float32(rng.NormFloat64() * 0.2)
			}
		}
	}
	return m
}

func sampleTexts(c model.ClassifierConfig) []model.Text {
	texts := []model.Text{
		{Tokens: []int32{1, 5, 9, 2}}, {Tokens: []int32{1, 22, 22, 3, 7, 11, 4, 8, 2, 6, 1, 13, 14, 15, 16, 2}}, {Tokens: []int32{4}},
	}
	if c.TypeVocabSize > 1 {
		texts[0].Types = []int32{0, 0, 1, 1}
	}
	return texts
}

// The logits of every family are those of its plain reference, from its files.
func TestClassifiersComputeTheirReference(t *testing.T) {
	for name, config := range tinyEncoders() {
		t.Run(name, func(t *testing.T) {
			c := randomClassifier(t, config)
			dir := filepath.Join(t.TempDir(), "model")
			if err := c.Save(dir); err != nil {
				t.Fatal(err)
			}
			f, err := safetensors.OpenModel(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			e := &plainEncoder{t, f, config, config.ModelType + "."}
			var want []float32
			for _, text := range sampleTexts(config) {
				for _, v := range e.logits(text) {
					want = append(want, float32(v))
				}
			}
			near(t, "logits", logitsOfTexts(t, c, sampleTexts(config)), want)
		})
	}
}
