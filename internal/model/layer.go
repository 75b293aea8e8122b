package model

import (
	"fmt"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// assembler reads the weights of a model of c and keeps the first error.
type assembler struct {
	w   weights
	c   *Config
	f   *family
	err error

	rotation, local *compute.Rotation // local is of layers with a window
	long            longRotation
}

func newAssembler(w weights, c *Config) *assembler {
	a := &assembler{w: w, c: c, f: c.family()}
	a.rotation, a.long = c.rotation()
	if a.f.localRotations {
		a.local = compute.NewRotation(frequencies(c.LocalRopeTheta, c.HeadDim))
	}
	return a
}

func (a *assembler) matrix(name string, out, in int) *compute.Weight {
	if a.err != nil {
		return nil
	}
	var w *compute.Weight
	w, a.err = a.w.matrix(name+".weight", out, in)
	return w
}

func (a *assembler) vector(name string, n int) *tensor.Dense {
	if a.err != nil {
		return nil
	}
	var v *tensor.Dense
	v, a.err = a.w.vector(name, n)
	return v
}

func (a *assembler) gain(name string, n int) *autodiff.Gain {
	return &autodiff.Gain{Values: a.vector(name+".weight", n), Offset: a.f.gainOffset}
}

// layer reads the i-th layer.
func (a *assembler) layer(i int) Layer {
	c, n := a.c, &a.f.names
	queries, keys := c.heads(i)
	q, kv, width := queries*c.HeadDim, keys*c.HeadDim, c.intermediate(i)
	p := layerParts{assembler: a, prefix: fmt.Sprintf(n.prefix, i)}
	p.attentionPlace, p.mlpPlace = fmt.Sprintf("layer %d attention", i), fmt.Sprintf("layer %d mlp", i)
	p.attention = a.attentionOf(i)
	p.AttentionNorm = p.norm(n.attentionNorm, c.HiddenSize)
	if a.f.postNorms {
		p.AttentionPost = p.norm(n.attentionPost, c.HiddenSize)
	}
	p.MLPNorm = p.norm(n.mlpNorm, c.HiddenSize)
	if a.f.postNorms {
		p.MLPPost = p.norm(n.mlpPost, c.HiddenSize)
	}
	if c.hasHeadNorms() {
		p.HeadNorms = &autodiff.HeadNorms{Query: p.norm(n.queryNorm, c.HeadDim), Key: p.norm(n.keyNorm, c.HeadDim), Eps: float32(c.RMSNormEps)}
	}
	p.QKV = p.linear(c.AttentionBias, c.HiddenSize, n.qkv, q, kv, kv)
	p.Output = p.linear(c.OutputBias, q, []string{n.output}, c.HiddenSize)
	p.GateUp = p.linear(c.MLPBias, c.HiddenSize, n.gateUp, width, width)
	p.Down = p.linear(c.MLPBias, width, []string{n.down}, c.HiddenSize)
	return p.Layer
}

// attentionOf describes the attention of the i-th layer.
func (a *assembler) attentionOf(i int) *autodiff.Attention {
	c := a.c
	queries, keys := c.heads(i)
	t := &autodiff.Attention{Heads: queries, KVHeads: keys, HeadDim: c.HeadDim, Scale: c.scoreScale(),
		SoftCap: float32(c.AttnLogitSoftcap), Window: c.window(i), Rotation: a.rotation}
	if t.Window > 0 && a.local != nil {
		t.Rotation = a.local
	} else if a.long != nil {
		t.Long, t.LongFrom, t.KeepsKeys = a.long, c.longFrom(), c.Rope.Type == "dynamic"
	}
	return t
}

// layerParts lists what a layer is made of.
type layerParts struct {
	*assembler
	prefix string
	Layer
}

func (p *layerParts) norm(name string, n int) *autodiff.Gain {
	g := p.gain(p.prefix+name, n)
	p.norms = append(p.norms, norm{p.prefix + name, g})
	return g
}

// linear reads matrices side by side, one for each of outs or, with one name,
// all of them in one.
func (p *layerParts) linear(bias bool, in int, names []string, outs ...int) *autodiff.Linear {
	if len(names) == 1 {
		sum := 0
		for _, out := range outs {
			sum += out
		}
		outs = []int{sum}
	}
	l := &autodiff.Linear{}
	for i, name := range names {
		part := &autodiff.Part{Weight: p.matrix(p.prefix+name, outs[i], in)}
		if bias {
			part.Bias = p.vector(p.prefix+name+".bias", outs[i])
		}
		l.Parts = append(l.Parts, part)
		p.modules = append(p.modules, module{p.prefix + name, part})
	}
	return l
}
