package model

import (
	"fmt"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// ops is what an architecture is written in. V is a value of N rows: a node of
// a graph when training, an array when decoding.
type ops[V any] interface {
	At(place string)
	// Block is f(x), a layer, which may be computed again for its gradient.
	Block(x V, f func(x V) V) V
	Embed(t *autodiff.Table) V
	RMSNorm(x V, gain *autodiff.Gain, eps float32) V
	Linear(x V, l *autodiff.Linear) V
	Attention(qkv V, a *autodiff.Attention) V
	GLU(gateUp V, act compute.Activation) V
	Add(x, branch V) V
	Dropout(x V, p float32) V
}

// hidden is the Llama architecture (Touvron et al. 2023; Qwen2 differs by
// biases) up to the final norm: token rows to the rows that the head reads.
// dropout is of the embeddings and of each branch before it is added.
func hidden[V any](o ops[V], m *Model, dropout float32) V {
	eps := float32(m.Config.RMSNormEps)
	o.At("embedding")
	x := o.Dropout(o.Embed(m.Embed), dropout)
	for i, l := range m.Layers {
		x = o.Block(x, func(x V) V {
			o.At(fmt.Sprintf("layer %d attention", i))
			a := o.Attention(o.Linear(o.RMSNorm(x, l.AttentionNorm, eps), l.QKV), m.attention)
			x = o.Add(x, o.Dropout(o.Linear(a, l.Output), dropout))
			o.At(fmt.Sprintf("layer %d mlp", i))
			f := o.GLU(o.Linear(o.RMSNorm(x, l.MLPNorm, eps), l.GateUp), m.activation)
			return o.Add(x, o.Dropout(o.Linear(f, l.Down), dropout))
		})
	}
	o.At("head")
	return o.RMSNorm(x, m.Norm, eps)
}

// Graph builds the graph of the loss over n rows. With train it has gradients
// for m.Params, and dropout.
func (m *Model) Graph(n int, train bool, dropout float32) (*autodiff.Graph, error) {
	g := autodiff.New(m.dev, n, train)
	g.Head(hidden(g, m, dropout), m.Head)
	return g, g.Err()
}
