package model

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"

	"gorgonia.org/tensor"
)

// Model is an architecture with its weights on a device. A frozen model may
// have several Decoders; as they share its device, one of them runs at a time.
// Training changes a model.
type Model struct {
	Config Config
	Embed  *autodiff.Table // (V,D)
	Layers []Layer
	Norm   *autodiff.Gain  // (D)
	Head   *autodiff.Table // (V,D); Embed itself when the head is tied
	LoRA   *LoRA           // how the low-rank updates were made; nil without any

	dev        compute.Device
	attention  *autodiff.Attention
	activation compute.Activation
	params     []*autodiff.Param
	trainable  int                   // values of params
	sizes      map[string]updateSize // of the low-rank updates, by module
	restore    []func()              // undo what an adapter changed beside its updates
	close      func() error
	release    func()
}

// Layer is one block of the decoder.
type Layer struct {
	AttentionNorm, MLPNorm    *autodiff.Gain
	QKV, Output, GateUp, Down *autodiff.Linear

	attentionPlace, mlpPlace string // where in the model, for messages
}

// Params are the arrays that training changes, in a fixed order: all weights
// after Unfreeze, the low-rank matrices after AddLoRA, none of a frozen model.
func (m *Model) Params() []*autodiff.Param { return m.params }

// Device is where the weights are.
func (m *Model) Device() compute.Device { return m.dev }

// Close releases mapped files. The model must not be used afterwards.
func (m *Model) Close() error {
	if m.close == nil {
		return nil
	}
	c := m.close
	m.close, m.release = nil, nil
	return c()
}

// weights says where a model's weights come from, by Hugging Face names.
type weights interface {
	matrix(name string, out, in int) (*compute.Weight, error)
	vector(name string, n int) (*tensor.Dense, error)
}

// assemble makes a model of c from w.
func assemble(dev compute.Device, c Config, w weights) (*Model, error) {
	m := &Model{Config: c, dev: dev, activation: activations[c.HiddenAct]}
	m.attention = &autodiff.Attention{
		Heads: c.NumAttentionHeads, KVHeads: c.NumKeyValueHeads, HeadDim: c.HeadDim,
		Scale: float32(1 / math.Sqrt(float64(c.HeadDim))), Rotation: compute.NewRotation(c.frequencies()),
	}
	a := assembler{w: w}
	m.Embed = &autodiff.Table{Weight: a.matrix("model.embed_tokens", c.VocabSize, c.HiddenSize)}
	for i := range c.NumHiddenLayers {
		l := a.layer(&c, fmt.Sprintf("model.layers.%d.", i))
		l.attentionPlace, l.mlpPlace = fmt.Sprintf("layer %d attention", i), fmt.Sprintf("layer %d mlp", i)
		m.Layers = append(m.Layers, l)
		if a.err != nil {
			return nil, a.err
		}
	}
	m.Norm = a.gain("model.norm", c.HiddenSize)
	m.Head = m.Embed
	if !c.TieWordEmbeddings {
		m.Head = &autodiff.Table{Weight: a.matrix("lm_head", c.VocabSize, c.HiddenSize)}
	}
	return m, a.err
}

// frequencies are the rotary angles per position, theta^(−2j/E).
func (c *Config) frequencies() []float64 {
	f := make([]float64, c.HeadDim/2)
	for j := range f {
		f[j] = math.Pow(c.RopeTheta, -2*float64(j)/float64(c.HeadDim))
	}
	return f
}

// assembler reads weights and keeps the first error.
type assembler struct {
	w   weights
	err error
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
	return &autodiff.Gain{Values: a.vector(name+".weight", n)}
}

func (a *assembler) part(name string, out, in int, bias bool) *autodiff.Part {
	p := &autodiff.Part{Weight: a.matrix(name, out, in)}
	if bias {
		p.Bias = a.vector(name+".bias", out)
	}
	return p
}

func (a *assembler) layer(c *Config, prefix string) Layer {
	q, kv := c.NumAttentionHeads*c.HeadDim, c.NumKeyValueHeads*c.HeadDim
	linear := func(parts ...*autodiff.Part) *autodiff.Linear { return &autodiff.Linear{Parts: parts} }
	return Layer{
		AttentionNorm: a.gain(prefix+"input_layernorm", c.HiddenSize),
		MLPNorm:       a.gain(prefix+"post_attention_layernorm", c.HiddenSize),
		QKV: linear(
			a.part(prefix+"self_attn.q_proj", q, c.HiddenSize, c.AttentionBias),
			a.part(prefix+"self_attn.k_proj", kv, c.HiddenSize, c.AttentionBias),
			a.part(prefix+"self_attn.v_proj", kv, c.HiddenSize, c.AttentionBias)),
		Output: linear(a.part(prefix+"self_attn.o_proj", c.HiddenSize, q, c.OutputBias)),
		GateUp: linear(
			a.part(prefix+"mlp.gate_proj", c.IntermediateSize, c.HiddenSize, c.MLPBias),
			a.part(prefix+"mlp.up_proj", c.IntermediateSize, c.HiddenSize, c.MLPBias)),
		Down: linear(a.part(prefix+"mlp.down_proj", c.HiddenSize, c.IntermediateSize, c.MLPBias)),
	}
}

// parameters estimates what Parameters counts, without biases; a float64, as
// the sizes of a configuration can overflow an int.
func (c *Config) parameters() float64 {
	d, head := float64(c.HiddenSize), float64(c.HeadDim)
	layer := d * (2*head*float64(c.NumAttentionHeads+c.NumKeyValueHeads) + 3*float64(c.IntermediateSize) + 2)
	tables := 2.0
	if c.TieWordEmbeddings {
		tables = 1
	}
	return float64(c.NumHiddenLayers)*layer + tables*float64(c.VocabSize)*d + d
}

// module is a matrix of the model by its Hugging Face path, without ".weight".
type module struct {
	name string
	part *autodiff.Part
}

// modules lists the linear layers, except the head, in the model's order.
func (m *Model) modules() []module {
	var list []module
	for i, l := range m.Layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		for j, name := range []string{"q_proj", "k_proj", "v_proj"} {
			list = append(list, module{p + "self_attn." + name, l.QKV.Parts[j]})
		}
		list = append(list, module{p + "self_attn.o_proj", l.Output.Parts[0]},
			module{p + "mlp.gate_proj", l.GateUp.Parts[0]},
			module{p + "mlp.up_proj", l.GateUp.Parts[1]},
			module{p + "mlp.down_proj", l.Down.Parts[0]})
	}
	return list
}

// Linears returns the linear layers, except the head, in the model's order, with
// their matrices' Hugging Face names: model.layers.0.self_attn.q_proj.weight.
// Who changes them must do it before a Graph or a Decoder is made.
func (m *Model) Linears() iter.Seq2[string, *autodiff.Part] {
	return func(yield func(string, *autodiff.Part) bool) {
		for _, mod := range m.modules() {
			if !yield(mod.name+".weight", mod.part) {
				return
			}
		}
	}
}

// norm is a gain of the model by its Hugging Face path, without ".weight".
type norm struct {
	name string
	gain *autodiff.Gain
}

// gains lists the norms in the model's order.
func (m *Model) gains() []norm {
	var list []norm
	for i, l := range m.Layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		list = append(list, norm{p + "input_layernorm", l.AttentionNorm}, norm{p + "post_attention_layernorm", l.MLPNorm})
	}
	return append(list, norm{"model.norm", m.Norm})
}

// Parameters counts the model's values, without low-rank updates.
func (m *Model) Parameters() int {
	n := m.Embed.Weight.Out * m.Embed.Weight.In
	if !m.tied() {
		n += m.Head.Weight.Out * m.Head.Weight.In
	}
	for _, g := range m.gains() {
		n += g.gain.Values.Shape().TotalSize()
	}
	for _, mod := range m.modules() {
		n += mod.part.Weight.Out * mod.part.Weight.In
		if mod.part.Bias != nil {
			n += mod.part.Bias.Shape().TotalSize()
		}
	}
	return n
}

// maxNewParameters is the largest model that New makes, 128 GB of float32:
// sizes beyond that are a mistake, and a process that runs out of memory cannot say so.
const maxNewParameters = 1 << 35

// New makes a model with random weights: normal with standard deviation
// InitializerRange, norms one, biases zero, as transformers does it.
func New(dev compute.Device, c Config, rng *rand.Rand) (*Model, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("new model: %w", err)
	}
	if n := c.parameters(); n > maxNewParameters {
		return nil, fmt.Errorf("new model: %.3g parameters: want at most %.3g", n, float64(maxNewParameters))
	}
	return assemble(dev, c, &randomWeights{dev, rng, c.InitializerRange})
}

type randomWeights struct {
	dev compute.Device
	rng *rand.Rand
	std float64
}

func (r *randomWeights) matrix(_ string, out, in int) (*compute.Weight, error) {
	a := r.dev.New(out, in)
	values := r.dev.Host(compute.Of(a))
	for i := range values {
		values[i] = float32(r.rng.NormFloat64() * r.std)
	}
	return compute.SharedF32(a), nil
}

func (r *randomWeights) vector(name string, n int) (*tensor.Dense, error) {
	a := r.dev.New(n)
	if isGain(name) {
		values := r.dev.Host(compute.Of(a))
		for i := range values {
			values[i] = 1
		}
	}
	return a, nil
}
