package model_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/safetensors"
)

// The golden encoders, like the golden models, with a PEFT adapter each.
var goldenEncoders = []string{"albert-cls", "distilbert-cls", "electra-cls"}

// goldenClassifier loads one, with its reference values.
func goldenClassifier(t *testing.T, name string) (*model.Classifier, golden) {
	t.Helper()
	dir := shared(t, "golden", "hf", name)
	c, err := model.LoadClassifier(cpu.New(2), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	f, err := safetensors.Open(filepath.Join(dir, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return c, golden{t, f}
}

// goldenTexts are the golden batch (3,20) without its padding.
func goldenTexts(g golden) []model.Text {
	ids, mask := g.ints("input_ids"), g.ints("attention_mask")
	texts := make([]model.Text, 3)
	for i, id := range ids {
		if mask[i] != 0 {
			texts[i/20].Tokens = append(texts[i/20].Tokens, id)
		}
	}
	return texts
}

func logitsOfTexts(t *testing.T, c *model.Classifier, texts []model.Text) []float32 {
	t.Helper()
	rows, err := c.Logits(texts)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(rows...)
}

// labelled lays texts out as rows of a graph, with the cross-entropy of labels as loss.
func labelled(texts []model.Text, labels []int32) autodiff.Inputs {
	var in autodiff.Inputs
	for _, text := range texts {
		first := int32(len(in.Tokens))
		in.Rows = append(in.Rows, first)
		for i, id := range text.Tokens {
			in.Tokens, in.Positions = append(in.Tokens, id), append(in.Positions, int32(i))
			in.From, in.To = append(in.From, first), append(in.To, first+int32(len(text.Tokens)))
			if text.Types == nil {
				in.Types = append(in.Types, 0)
			} else {
				in.Types = append(in.Types, text.Types[i])
			}
		}
	}
	in.Loss = crossEntropy(labels)
	return in
}

// runLabelled is the mean loss of the labels, and adds to the gradients when training.
func runLabelled(t *testing.T, c *model.Classifier, train bool, texts []model.Text, labels []int32) float64 {
	t.Helper()
	in := labelled(texts, labels)
	g, err := c.Graph(len(in.Tokens), train, 0)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := g.Run(in)
	if err != nil {
		t.Fatal(err)
	}
	return sum / float64(len(labels))
}

func TestGoldenClassifiers(t *testing.T) {
	for _, name := range goldenEncoders {
		t.Run(name, func(t *testing.T) {
			c, g := goldenClassifier(t, name)
			near(t, "logits", logitsOfTexts(t, c, goldenTexts(g)), g.floats("logits"))
			nearNumber(t, "mean loss", runLabelled(t, c, false, goldenTexts(g), g.ints("labels")), float64(g.floats("loss_mean")[0]), 1e-5)
		})
	}
}

func TestGoldenClassifierAdapters(t *testing.T) {
	for _, name := range goldenEncoders {
		t.Run(name, func(t *testing.T) {
			c, g := goldenClassifier(t, name)
			texts, labels := goldenTexts(g), g.ints("labels")
			if err := c.LoadAdapter(shared(t, "golden", "hf", name, "adapter")); err != nil {
				t.Fatal(err)
			}
			near(t, "logits with the adapter", logitsOfTexts(t, c, texts), g.floats("lora_logits"))
			nearNumber(t, "mean loss with the adapter", runLabelled(t, c, true, texts, labels), float64(g.floats("lora_loss_mean")[0]), 1e-5)
			found := 0
			for _, p := range c.Params() {
				grad := slices.Clone(c.Device().Host(compute.Of(p.Grad)))
				for i := range grad {
					grad[i] /= float32(len(labels))
				}
				nearNorm(t, "gradient of "+p.Name, grad, g.floats("grad."+p.Name), 1e-3)
				found++
			}
			for _, tensor := range g.f.Names() {
				if strings.HasPrefix(tensor, "grad.") {
					found--
				}
			}
			if found != 0 {
				t.Errorf("%+d gradients compared with those of the reference", found)
			}
			c.Merge()
			near(t, "logits after merging", logitsOfTexts(t, c, texts), g.floats("lora_logits"))
		})
	}
}
