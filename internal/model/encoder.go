package model

import (
	"fmt"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// Classifier is an encoder with a classification head, and its weights on a
// device: BERT (Devlin et al. 2019), DistilBERT (Sanh et al. 2019), ALBERT (Lan
// et al. 2020) or ELECTRA (Clark et al. 2020). Training changes it.
type Classifier struct {
	Config ClassifierConfig
	LoRA   *LoRA // how the low-rank updates were made; nil without any

	words, positions, types *autodiff.Table // (V,E), (positions,E), (types,E); types nil without them
	embeddingNorm           layerNorm
	project                 *autodiff.Linear // from E to D; nil where they are the same
	// layers in the order that rows go through them: those that share weights are one.
	layers     []*encoderLayer
	head       []*autodiff.Linear // as the family's head
	attention  *autodiff.Attention
	activation compute.Activation

	dev       compute.Device
	tensors   []modelTensor // all weights, in the file's order
	linears   []module      // by Hugging Face path
	params    []*autodiff.Param
	trainable int
	close     func() error
}

// layerNorm is a normalization's scale and shift, (D) each.
type layerNorm struct{ gain, bias *autodiff.Gain }

// encoderLayer is one layer of weights.
type encoderLayer struct {
	qkv, output, up, down     *autodiff.Linear
	attentionNorm, outputNorm layerNorm
}

// modelTensor is one array of weights, a matrix or a vector, where it stands.
type modelTensor struct {
	name   string // with .weight or .bias
	weight **compute.Weight
	values **tensor.Dense // of a vector
	param  **autodiff.Param
}

// Graph builds the graph of the loss of n rows, the supervised rows being the
// first tokens of sequences. With train it has gradients for c.Params, and
// dropout: of the embeddings, of each branch before it is added, and of what
// the last layer of the head reads. Without train it evaluates: c.Logits runs
// the same graph.
func (c *Classifier) Graph(n int, train bool, dropout float32) (*autodiff.Graph, error) {
	g := autodiff.New(c.dev, n, train)
	g.Loss(c.logits(g, dropout))
	return g, g.Err()
}

// logits is the architecture of all families: layers that normalize after each
// sum, and a head on the first token of each sequence.
func (c *Classifier) logits(g *autodiff.Graph, dropout float32) autodiff.Value {
	norm := func(x autodiff.Value, n layerNorm) autodiff.Value {
		return g.LayerNorm(x, n.gain, n.bias, float32(c.Config.LayerNormEps))
	}
	g.At("embedding")
	x := g.Embed(c.words)
	if c.types != nil {
		x = g.Add(x, g.EmbedTypes(c.types))
	}
	x = g.Dropout(norm(g.Add(x, g.EmbedPositions(c.positions)), c.embeddingNorm), dropout)
	if c.project != nil {
		x = g.Linear(x, c.project)
	}
	for i, l := range c.layers {
		g.Begin()
		g.At(fmt.Sprintf("layer %d attention", i))
		a := g.Attention(g.Linear(g.Branch(x), l.qkv), c.attention)
		if i == len(c.layers)-1 {
			a = g.Select(a)
		}
		x = norm(g.Add(x, g.Dropout(g.Linear(a, l.output), dropout)), l.attentionNorm)
		g.At(fmt.Sprintf("layer %d mlp", i))
		f := g.Activate(g.Linear(g.Branch(x), l.up), c.activation)
		x = norm(g.Add(x, g.Dropout(g.Linear(f, l.down), dropout)), l.outputNorm)
		g.End()
	}
	g.At("head")
	for i, h := range encoders[c.Config.ModelType].head {
		if h.linear {
			x = g.Linear(g.Dropout(x, dropout), c.head[i])
		} else {
			x = g.Activate(g.Linear(x, c.head[i]), h.activation)
		}
	}
	return x
}

// Params are the arrays that training changes, in a fixed order: all weights
// after Unfreeze, the low-rank matrices and the modules saved whole after
// AddLoRA, none of a frozen model.
func (c *Classifier) Params() []*autodiff.Param { return c.params }

// Trainable is how many values training changes: those of Params.
func (c *Classifier) Trainable() int { return c.trainable }

// Device is where the weights are.
func (c *Classifier) Device() compute.Device { return c.dev }

// KeyCols is the width of a row's keys, and of its values.
func (c *Classifier) KeyCols() int { return c.Config.HiddenSize }

// Close releases mapped files. The classifier must not be used afterwards.
func (c *Classifier) Close() error {
	if c.close == nil {
		return nil
	}
	closing := c.close
	c.close = nil
	return closing()
}
