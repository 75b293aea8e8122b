package model_test

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/gradcheck"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/safetensors"
)

// Every weight of every family gets its gradient: full training.
func TestClassifierGradients(t *testing.T) {
	for name, config := range tinyEncoders() {
		t.Run(name, func(t *testing.T) {
			config.VocabSize, config.MaxPositionEmbeddings, config.IntermediateSize = 9, 5, 8
			config.HiddenAct = "gelu_new" // smooth
			c := randomClassifier(t, config)
			texts, labels := []model.Text{{Tokens: []int32{1, 5, 8, 2}}, {Tokens: []int32{3, 3, 0}}}, []int32{2, 0}
			if config.TypeVocabSize > 1 {
				texts[1].Types = []int32{0, 1, 1}
			}
			in := labelled(texts, labels)
			g, err := c.Graph(len(in.Tokens), true, 0)
			if err != nil {
				t.Fatal(err)
			}
			loss := func() float64 {
				sum, err := g.Run(in)
				if err != nil {
					t.Fatal(err)
				}
				return sum
			}
			loss()
			grads := map[string][]float32{}
			for _, p := range c.Params() {
				grads[p.Name] = slices.Clone(p.Grad.Float32s())
				if strings.Contains(p.Name, "position_embeddings") && config.SinusoidalPositions {
					t.Errorf("%s is trained", p.Name)
				}
			}
			rng := random.Stream(9, "weights to try")
			for _, p := range c.Params() {
				// Some values of each, as each costs four runs: those with the largest gradients show most.
				i := rng.IntN(len(p.Value.Float32s()))
				for j, v := range grads[p.Name] {
					if v*v > grads[p.Name][i]*grads[p.Name][i] {
						i = j
					}
				}
				want, got := gradcheck.Numeric(loss, p.Value.Float32s()[i:i+1], 1.0/256)[0], float64(grads[p.Name][i])
				if !(math.Abs(got-want) <= 1e-2*math.Abs(want)+2e-4) {
					t.Errorf("gradient of %s: value %d is %v, want %v", p.Name, i, got, want)
				}
			}
		})
	}
}

func TestClassifierSaveAndLoad(t *testing.T) {
	for name, config := range tinyEncoders() {
		t.Run(name, func(t *testing.T) {
			c := randomClassifier(t, config)
			dir := t.TempDir()
			if err := c.Save(dir); err != nil {
				t.Fatal(err)
			}
			again, err := model.LoadClassifier(cpu.New(1), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			again.Config.Dropouts = nil
			if !reflect.DeepEqual(again.Config, config) {
				t.Errorf("configuration %+v, want %+v", again.Config, config)
			}
			texts := sampleTexts(config)
			if !slices.Equal(logitsOfTexts(t, again, texts), logitsOfTexts(t, c, texts)) {
				t.Error("logits changed")
			}
			if again.Parameters() != c.Parameters() || again.Bytes() != 4*again.Parameters() {
				t.Errorf("%d parameters in %d bytes, want %d", again.Parameters(), again.Bytes(), c.Parameters())
			}
		})
	}
}

func TestLoadClassifierRefusals(t *testing.T) {
	good := t.TempDir()
	if err := randomClassifier(t, tinyEncoders()["bert"]).Save(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config map[string]any
		change func(list []safetensors.Tensor) []safetensors.Tensor
		want   []string
	}{
		"no head": {nil, func(list []safetensors.Tensor) []safetensors.Tensor {
			return slices.DeleteFunc(list, func(x safetensors.Tensor) bool { return x.Name == "classifier.weight" })
		}, []string{"classifier.weight", "missing"}},
		"a tensor too many": {nil, func(list []safetensors.Tensor) []safetensors.Tensor {
			return append(list, safetensors.Tensor{Name: "bert.encoder.layer.3.output.dense.bias", Dtype: safetensors.F32, Shape: []int{1}, Data: make([]byte, 4)})
		}, []string{"bert.encoder.layer.3.output.dense.bias", "not part"}},
		"a type": {nil, func(list []safetensors.Tensor) []safetensors.Tensor {
			x := find(t, list, "bert.pooler.dense.bias")
			x.Dtype, x.Shape = safetensors.F64, []int{6}
			return list
		}, []string{"bert.pooler.dense.bias", "shape"}},
		"more labels":  {map[string]any{"id2label": nil, "label2id": nil, "num_labels": 9}, nil, []string{"classifier.weight", "[3 12]", "[9 12]"}},
		"fewer layers": {map[string]any{"num_hidden_layers": 2}, nil, []string{"bert.encoder.layer.2", "not part"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyDir(t, good)
			editJSON(t, filepath.Join(dir, "config.json"), c.config)
			if c.change != nil {
				editTensors(t, filepath.Join(dir, "model.safetensors"), c.change)
			}
			_, err := model.LoadClassifier(cpu.New(1), dir)
			fails(t, err, append(c.want, dir)...)
		})
	}
}

// A pretrained encoder of any task gets a new head; its own weights are the same.
func TestLoadEncoder(t *testing.T) {
	config := tinyEncoders()["bert"]
	full := t.TempDir()
	c := randomClassifier(t, config)
	if err := c.Save(full); err != nil {
		t.Fatal(err)
	}
	rename := func(change func(name string) (string, bool)) func([]safetensors.Tensor) []safetensors.Tensor {
		return func(list []safetensors.Tensor) []safetensors.Tensor {
			var out []safetensors.Tensor
			for _, x := range list {
				if name, ok := change(x.Name); ok {
					x.Name = name
					out = append(out, x)
				}
			}
			return out
		}
	}
	for name, change := range map[string]func([]safetensors.Tensor) []safetensors.Tensor{
		"of another task": func(list []safetensors.Tensor) []safetensors.Tensor {
			return append(list, safetensors.Tensor{Name: "cls.predictions.bias", Dtype: safetensors.F32, Shape: []int{1}, Data: make([]byte, 4)})
		},
		"old names": rename(func(name string) (string, bool) {
			return strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(name), true
		}),
		"bare": rename(func(name string) (string, bool) {
			return strings.TrimPrefix(name, "bert."), strings.HasPrefix(name, "bert.")
		}),
		"no pooler": rename(func(name string) (string, bool) { return name, !strings.Contains(name, "pooler") }),
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyDir(t, full)
			editTensors(t, filepath.Join(dir, "model.safetensors"), change)
			m, err := model.LoadEncoder(cpu.New(1), dir, []string{"a", "b", "c", "d"}, random.Stream(1, "head"))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if err := errorOf(m.Unfreeze, c.Unfreeze); err != nil {
				t.Fatal(err)
			}
			for i, p := range m.Params() {
				same := slices.Equal(p.Value.Float32s(), c.Params()[i].Value.Float32s())
				fresh := strings.HasPrefix(p.Name, "classifier") || name == "no pooler" && strings.Contains(p.Name, "pooler")
				if p.Name != c.Params()[i].Name || same == fresh {
					t.Errorf("%s is the same %v, new %v", p.Name, same, fresh)
				}
			}
			rows, err := m.Logits(sampleTexts(config))
			if err != nil || len(rows[0]) != 4 {
				t.Errorf("logits %v, %v", rows, err)
			}
		})
	}
	dir := copyDir(t, full)
	editTensors(t, filepath.Join(dir, "model.safetensors"), rename(func(name string) (string, bool) {
		return strings.Replace(name, "layer.1.output.dense.bias", "layer.7.output.dense.bias", 1), true
	}))
	_, err := model.LoadEncoder(cpu.New(1), dir, []string{"a", "b"}, random.Stream(1, "head"))
	fails(t, err, "layer.1.output.dense.bias", "missing")
}

func errorOf(all ...func() error) error {
	for _, f := range all {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// What is beside a text changes nothing of its own, and many are cut into runs.
func TestClassifierLogitsOfManyTexts(t *testing.T) {
	config := tinyEncoders()["electra"]
	config.HiddenSize, config.IntermediateSize, config.MaxPositionEmbeddings = 96, 200, 100
	c := randomClassifier(t, config)
	var texts []model.Text
	rng := random.Stream(5, "texts")
	for range 60 {
		text := model.Text{}
		for range 1 + rng.IntN([]int{8, 30, config.MaxPositionEmbeddings}[len(texts)%3]) {
			text.Tokens = append(text.Tokens, int32(rng.IntN(config.VocabSize)))
		}
		texts = append(texts, text)
	}
	all := logitsOfTexts(t, c, texts)
	for i := range texts {
		if alone := logitsOfTexts(t, c, texts[i:i+1]); !slices.Equal(all[3*i:3*i+3], alone) {
			t.Errorf("text %d: logits %v, %v beside others", i, alone, all[3*i:3*i+3])
		}
	}
	for name, text := range map[string]model.Text{
		"no tokens": {}, "101 tokens": {Tokens: make([]int32, 101)}, "id 23": {Tokens: []int32{23}}, "id -1": {Tokens: []int32{-1}},
		"2 types": {Tokens: []int32{1}, Types: []int32{0, 0}}, "type 3": {Tokens: []int32{1}, Types: []int32{3}},
	} {
		_, err := c.Logits([]model.Text{{Tokens: []int32{1}}, text})
		fails(t, err, "text 1", name)
	}
}

// Fixed positions are sines and cosines of falling frequencies, in pairs.
func TestSinusoidalPositions(t *testing.T) {
	c, err := model.NewClassifier(cpu.New(1), tinyEncoders()["distilbert, sines"], random.Stream(3, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := c.Save(dir); err != nil {
		t.Fatal(err)
	}
	list := tensorsOf(t, filepath.Join(dir, "model.safetensors"))
	got := floatsOfBytes(find(t, list, "distilbert.embeddings.position_embeddings.weight").Data)
	second := 3 * math.Pow(10000, -2.0/12) // the second pair's angle at position 3
	near(t, "position 0", got[:4], []float32{0, 1, 0, 1})
	near(t, "position 3", got[3*12:3*12+4], []float32{float32(math.Sin(3)), float32(math.Cos(3)), float32(math.Sin(second)), float32(math.Cos(second))})
}

// Halves of precision are read as they are and written as they were.
func TestClassifierOfHalves(t *testing.T) {
	full := t.TempDir()
	c := randomClassifier(t, tinyEncoders()["distilbert"])
	if err := c.Save(full); err != nil {
		t.Fatal(err)
	}
	editTensors(t, filepath.Join(full, "model.safetensors"), func(list []safetensors.Tensor) []safetensors.Tensor {
		for i := range list {
			list[i] = asHalf(list[i], safetensors.BF16, compute.F32ToBF16)
		}
		return list
	})
	half, err := model.LoadClassifier(cpu.New(1), full)
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	dir := t.TempDir()
	if err := half.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := model.LoadClassifier(cpu.New(1), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	texts := sampleTexts(half.Config)
	if !slices.Equal(logitsOfTexts(t, half, texts), logitsOfTexts(t, again, texts)) || half.Bytes() != again.Bytes() || half.Bytes() > 3*half.Parameters() {
		t.Errorf("logits changed, or %d and %d bytes for %d parameters", half.Bytes(), again.Bytes(), half.Parameters())
	}
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil || !strings.Contains(string(data), `"torch_dtype": "bfloat16"`) {
		t.Errorf("configuration %s, %v", data, err)
	}
}
