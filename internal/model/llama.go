package model

import (
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// ops is what an architecture is written in. V is a value of N rows: a node of
// a graph when training, an array when decoding.
type ops[V any] interface {
	At(place string)
	// Begin and End enclose a layer, which may be computed again for its
	// gradient: it reads one value from before it, and one of its own is read after it.
	Begin()
	End()
	Embed(t *autodiff.Table) V
	RMSNorm(x V, gain *autodiff.Gain, eps float32) V
	Linear(x V, l *autodiff.Linear) V
	Attention(qkv V, a *autodiff.Attention) V
	// Select may leave out rows that nothing reads any more.
	Select(x V) V
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
	for i := range m.Layers {
		l := &m.Layers[i]
		o.Begin()
		o.At(l.attentionPlace)
		a := o.Attention(o.Linear(o.RMSNorm(x, l.AttentionNorm, eps), l.QKV), m.attention)
		if i == len(m.Layers)-1 {
			a = o.Select(a)
		}
		x = o.Add(x, o.Dropout(o.Linear(a, l.Output), dropout))
		o.At(l.mlpPlace)
		f := o.GLU(o.Linear(o.RMSNorm(x, l.MLPNorm, eps), l.GateUp), m.activation)
		x = o.Add(x, o.Dropout(o.Linear(f, l.Down), dropout))
		o.End()
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
