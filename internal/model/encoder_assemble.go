package model

import (
	"math"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// assembleClassifier makes a classifier of c from w.
func assembleClassifier(dev compute.Device, c ClassifierConfig, w weights) (*Classifier, error) {
	e := encoders[c.ModelType]
	m := &Classifier{Config: c, dev: dev, activation: encoderActivations[c.HiddenAct]}
	m.attention = &autodiff.Attention{Heads: c.NumAttentionHeads, KVHeads: c.NumAttentionHeads, HeadDim: c.HiddenSize / c.NumAttentionHeads,
		Scale: float32(1 / math.Sqrt(float64(c.HiddenSize/c.NumAttentionHeads))), Bidirectional: true}
	a := encoderAssembler{m: m, w: w}
	prefix := e.prefix + "."
	m.words = a.table(prefix+e.names.words, c.VocabSize, c.EmbeddingSize)
	m.positions = a.table(prefix+e.names.positions, c.MaxPositionEmbeddings, c.EmbeddingSize)
	if c.TypeVocabSize > 0 {
		m.types = a.table(prefix+e.names.types, c.TypeVocabSize, c.EmbeddingSize)
	}
	m.embeddingNorm = a.norm(prefix+e.names.embeddingNorm, c.EmbeddingSize)
	if e.names.alwaysProject || c.EmbeddingSize != c.HiddenSize {
		m.project = a.linear(c.HiddenSize, c.EmbeddingSize, prefix+e.names.project)
	}
	a.layers(e)
	for _, h := range e.head {
		out := c.HiddenSize
		if h.linear {
			out = len(c.Labels)
		}
		m.head = append(m.head, a.linear(out, c.HiddenSize, h.name))
	}
	return m, a.err
}

// encoderAssembler reads the weights of m, and keeps the first error.
type encoderAssembler struct {
	m   *Classifier
	w   weights
	err error
}

// layers reads the layers. Of albert's layers, each goes through one of the
// groups, which share the layers about equally, and a group's are done in turn.
func (a *encoderAssembler) layers(e encoder) {
	c := &a.m.Config
	var groups [][]*encoderLayer
	for i := range c.NumHiddenLayers {
		group := i
		if e.names.groupLayers {
			group = int(float64(i) / (float64(c.NumHiddenLayers) / float64(c.NumHiddenGroups)))
		}
		if group == len(groups) {
			var list []*encoderLayer
			for inner := range c.InnerGroupNum {
				prefix := e.layerPrefix(group, inner)
				if !e.names.groupLayers {
					prefix = e.layerPrefix(0, i)
				}
				list = append(list, a.layer(e.names, prefix))
				if a.err != nil {
					return
				}
			}
			groups = append(groups, list)
		}
		a.m.layers = append(a.m.layers, groups[group]...)
	}
}

func (a *encoderAssembler) layer(n encoderNames, prefix string) *encoderLayer {
	d, f := a.m.Config.HiddenSize, a.m.Config.IntermediateSize
	return &encoderLayer{
		qkv:           a.linear(d, d, prefix+n.query, prefix+n.key, prefix+n.value),
		output:        a.linear(d, d, prefix+n.output),
		attentionNorm: a.norm(prefix+n.attentionNorm, d),
		up:            a.linear(f, d, prefix+n.up),
		down:          a.linear(d, f, prefix+n.down),
		outputNorm:    a.norm(prefix+n.outputNorm, d),
	}
}

func (a *encoderAssembler) matrix(name string, out, in int) (w *compute.Weight) {
	if a.err == nil {
		w, a.err = a.w.matrix(name, out, in)
	}
	return w
}

func (a *encoderAssembler) vector(name string, n int) (v *tensor.Dense) {
	if a.err == nil {
		v, a.err = a.w.vector(name, n)
	}
	return v
}

func (a *encoderAssembler) add(t modelTensor) { a.m.tensors = append(a.m.tensors, t) }

func (a *encoderAssembler) table(name string, n, width int) *autodiff.Table {
	t := &autodiff.Table{Weight: a.matrix(name+".weight", n, width)}
	a.add(modelTensor{name: name + ".weight", weight: &t.Weight, param: &t.Param})
	return t
}

func (a *encoderAssembler) norm(name string, n int) layerNorm {
	l := layerNorm{&autodiff.Gain{Values: a.vector(name+".weight", n)}, &autodiff.Gain{Values: a.vector(name+".bias", n)}}
	a.add(modelTensor{name: name + ".weight", values: &l.gain.Values, param: &l.gain.Param})
	a.add(modelTensor{name: name + ".bias", values: &l.bias.Values, param: &l.bias.Param})
	return l
}

// linear reads matrices (out,in) with biases, side by side.
func (a *encoderAssembler) linear(out, in int, names ...string) *autodiff.Linear {
	l := &autodiff.Linear{}
	for _, name := range names {
		p := &autodiff.Part{Weight: a.matrix(name+".weight", out, in), Bias: a.vector(name+".bias", out)}
		l.Parts = append(l.Parts, p)
		a.m.linears = append(a.m.linears, module{name, p})
		a.add(modelTensor{name: name + ".weight", weight: &p.Weight, param: &p.WeightParam})
		a.add(modelTensor{name: name + ".bias", values: &p.Bias, param: &p.BiasParam})
	}
	return l
}
