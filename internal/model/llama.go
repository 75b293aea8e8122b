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
	// Begin and End enclose a layer, which may be computed again for its
	// gradient: it reads one value from before it, and one of its own is read after it.
	Begin()
	End()
	Embed(t *autodiff.Table) V
	RMSNorm(x V, gain *autodiff.Gain, eps float32) V
	Linear(x V, l *autodiff.Linear) V
	// HeadNorm normalizes the heads of queries and keys.
	HeadNorm(qkv V, a *autodiff.Attention, n *autodiff.HeadNorms) V
	Attention(qkv V, a *autodiff.Attention) V
	// Select may leave out rows that nothing reads any more.
	Select(x V) V
	GLU(gateUp V, act compute.Activation) V
	Add(x, branch V) V
	Dropout(x V, p float32) V
}

// hidden is the Llama architecture (Touvron et al. 2023) up to the final norm:
// token rows to the rows that the head reads. Families differ in what their
// layers have: fused matrices, biases, norms of heads and of branches, windows.
// dropout is of the embeddings and of each branch before it is added.
func hidden[V any](o ops[V], m *Model, dropout float32) V {
	eps := float32(m.Config.RMSNormEps)
	o.At("embedding")
	x := o.Dropout(o.Embed(m.Embed), dropout)
	for i := range m.Layers {
		l := &m.Layers[i]
		o.Begin()
		o.At(l.attentionPlace)
		a := o.Linear(o.RMSNorm(x, l.AttentionNorm, eps), l.QKV)
		if l.HeadNorms != nil {
			a = o.HeadNorm(a, l.attention, l.HeadNorms)
		}
		a = o.Attention(a, l.attention)
		if i == len(m.Layers)-1 {
			a = o.Select(a)
		}
		a = o.Linear(a, l.Output)
		if l.AttentionPost != nil {
			a = o.RMSNorm(a, l.AttentionPost, eps)
		}
		x = o.Add(x, o.Dropout(a, dropout))
		o.At(l.mlpPlace)
		f := o.GLU(o.Linear(o.RMSNorm(x, l.MLPNorm, eps), l.GateUp), m.activation)
		f = o.Linear(f, l.Down)
		if l.MLPPost != nil {
			f = o.RMSNorm(f, l.MLPPost, eps)
		}
		x = o.Add(x, o.Dropout(f, dropout))
		o.End()
	}
	o.At("head")
	return o.RMSNorm(x, m.Norm, eps)
}

// Graph builds the graph of the loss over n rows. With train it has gradients
// for m.Params, and dropout: its own, as the dropouts that a configuration asks
// of training are not implemented, and refused.
func (m *Model) Graph(n int, train bool, dropout float32) (*autodiff.Graph, error) {
	if c := &m.Config; train && (c.AttentionDropout != 0 || c.ResidualDropout != 0) {
		return nil, fmt.Errorf("train: attention_dropout %v and resid_pdrop %v of the model's configuration are not supported: set them to 0",
			c.AttentionDropout, c.ResidualDropout)
	}
	g := autodiff.New(m.dev, n, train)
	g.Head(hidden(g, m, dropout), m.Head)
	return g, g.Err()
}
