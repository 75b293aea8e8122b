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
	activation compute.Activation
	positions  int // of Extend
	params     []*autodiff.Param
	trainable  int                   // values of params
	sizes      map[string]updateSize // of the low-rank updates, by module
	restore    []func()              // undo what an adapter changed beside its updates
	close      func() error
	release    func()
}

// Layer is one block of the decoder.
type Layer struct {
	AttentionNorm, MLPNorm    *autodiff.Gain // before the branches
	AttentionPost, MLPPost    *autodiff.Gain // after them, or nil
	HeadNorms                 *autodiff.HeadNorms
	QKV, Output, GateUp, Down *autodiff.Linear

	attention                *autodiff.Attention
	attentionPlace, mlpPlace string // where in the model, for messages
	modules                  []module
	norms                    []norm
}

// Params are the arrays that training changes, in a fixed order: all weights
// after Unfreeze, the low-rank matrices after AddLoRA, none of a frozen model.
func (m *Model) Params() []*autodiff.Param { return m.params }

// Positions are the most tokens that a sequence can have.
func (m *Model) Positions() int { return max(m.Config.MaxPositionEmbeddings, m.positions) }

// Extend lets sequences have up to n tokens where the configuration has fewer
// positions. It is for comparing with software that computes those as well:
// rotary angles go on, and what a model makes of them it was not trained for.
func (m *Model) Extend(n int) { m.positions = n }

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
	a, f := newAssembler(w, &m.Config), c.family()
	m.Embed = &autodiff.Table{Weight: a.matrix(f.names.embed, c.VocabSize, c.HiddenSize)}
	if f.scaledEmbed {
		m.Embed.Scale = float32(math.Sqrt(float64(c.HiddenSize)))
	}
	for i := range c.NumHiddenLayers {
		m.Layers = append(m.Layers, a.layer(i))
		if a.err != nil {
			return nil, a.err
		}
	}
	m.Norm = a.gain(f.names.norm, c.HiddenSize)
	m.Head = m.Embed
	if !c.TieWordEmbeddings {
		m.Head = &autodiff.Table{Weight: a.matrix(f.names.head, c.VocabSize, c.HiddenSize)}
	}
	m.Head.SoftCap = float32(c.FinalLogitSoftcap)
	return m, a.err
}

// parameters estimates what Parameters counts, without biases; a float64, as
// the sizes of a configuration can overflow an int.
func (c *Config) parameters() float64 {
	d, head := float64(c.HiddenSize), float64(c.HeadDim)
	layer := func(queries, keys, width int) float64 {
		return d * (2*head*float64(queries+keys) + 3*float64(width) + 2)
	}
	sum := float64(c.NumHiddenLayers) * layer(c.NumAttentionHeads, c.NumKeyValueHeads, c.IntermediateSize)
	if c.LayerHeads != nil {
		sum = 0
		for i := range c.NumHiddenLayers {
			queries, keys := c.heads(i)
			sum += layer(queries, keys, c.intermediate(i))
		}
	}
	tables := 2.0
	if c.TieWordEmbeddings {
		tables = 1
	}
	return sum + tables*float64(c.VocabSize)*d + d
}

// module is a matrix of the model by its Hugging Face path, without ".weight".
type module struct {
	name string
	part *autodiff.Part
}

// modules lists the linear layers, except the head, in the model's order.
func (m *Model) modules() []module {
	var list []module
	for _, l := range m.Layers {
		list = append(list, l.modules...)
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
	for _, l := range m.Layers {
		list = append(list, l.norms...)
	}
	return append(list, norm{m.Config.family().names.norm, m.Norm})
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
// InitializerRange, norms that multiply by one, biases zero, as transformers does it.
func New(dev compute.Device, c Config, rng *rand.Rand) (*Model, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("new model: %w", err)
	}
	if n := c.parameters(); n > maxNewParameters {
		return nil, fmt.Errorf("new model: %.3g parameters: want at most %.3g", n, float64(maxNewParameters))
	}
	return assemble(dev, c, &randomWeights{dev, rng, c.InitializerRange, 1 - c.family().gainOffset})
}

type randomWeights struct {
	dev compute.Device
	rng *rand.Rand
	std float64
	one float32 // the weight of a norm that multiplies by one
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
			values[i] = r.one
		}
	}
	return a, nil
}
