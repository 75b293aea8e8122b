package autodiff_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gorgonia.org/tensor"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/random"
)

const (
	rows  = 7 // of the graphs under test
	width = 8
)

// fixture makes random weights, and remembers those that are trained.
type fixture struct {
	t      *testing.T
	dev    *cpu.Device
	rng    *rand.Rand
	params []*autodiff.Param
}

func newFixture(t *testing.T) *fixture {
	return &fixture{t: t, dev: cpu.New(2), rng: random.Stream(1, "autodiff test")}
}

// array is normal with mean 0 and standard deviation 0.5.
func (f *fixture) array(shape ...int) *tensor.Dense {
	a := f.dev.New(shape...)
	for i := range f.values(a) {
		f.values(a)[i] = float32(f.rng.NormFloat64() / 2)
	}
	return a
}

func (f *fixture) values(a *tensor.Dense) []float32 { return f.dev.Host(compute.Of(a)) }

// param is a Param that shares values, or nil.
func (f *fixture) param(values *tensor.Dense, trained bool) *autodiff.Param {
	if !trained {
		return nil
	}
	p := &autodiff.Param{Name: fmt.Sprintf("p%d %v", len(f.params), values.Shape()), Value: values, Grad: f.dev.New(values.Shape()...)}
	f.params = append(f.params, p)
	return p
}

func (f *fixture) table(v, d int, trained bool) *autodiff.Table {
	a := f.array(v, d)
	return &autodiff.Table{Weight: compute.SharedF32(a), Param: f.param(a, trained)}
}

func (f *fixture) gain(d int, trained bool) *autodiff.Gain {
	a := f.array(d)
	return &autodiff.Gain{Values: a, Param: f.param(a, trained)}
}

// part describes a Part to make.
type part struct {
	out                 int
	bias, trained, lora bool
	dropout             float32
}

func (f *fixture) linear(in int, parts ...part) *autodiff.Linear {
	l := &autodiff.Linear{}
	for _, o := range parts {
		w := f.array(o.out, in)
		p := &autodiff.Part{Weight: compute.SharedF32(w), WeightParam: f.param(w, o.trained)}
		if o.bias {
			p.Bias = f.array(o.out)
			p.BiasParam = f.param(p.Bias, o.trained)
		}
		if o.lora {
			p.LoRA = &autodiff.LoRA{A: f.param(f.array(3, in), true), B: f.param(f.array(o.out, 3), true), Scale: 1.5, Dropout: o.dropout}
		}
		l.Parts = append(l.Parts, p)
	}
	return l
}

// attention has the heads of qwen-like models: three queries to one key.
func attention() *autodiff.Attention {
	return &autodiff.Attention{Heads: 6, KVHeads: 2, HeadDim: 4, Scale: 0.6, Rotation: compute.NewRotation([]float64{1, 0.3})}
}

// packed is rows of three segments, the last of one row of padding.
func packed() autodiff.Inputs {
	return autodiff.Inputs{
		Tokens:     []int32{3, 1, 4, 1, 5, 2, -1},
		Positions:  []int32{0, 1, 2, 0, 1, 2, 0},
		From:       []int32{0, 0, 0, 3, 3, 3, 6},
		To:         []int32{3, 3, 3, 6, 6, 6, 7},
		Types:      []int32{0, 1, 1, 1, 0, 2, 0},
		Rows:       []int32{0, 1, 2, 3, 4, 5, 6},
		Loss:       linearLoss,
		DropoutKey: 99,
	}
}

// linearLoss is a sum of all logits with fixed factors: its gradient is the
// factors, and what is differentiated is the graph below the head.
func linearLoss(dev compute.Device, logits compute.Mat, from, to int) (float64, error) {
	sum := 0.0
	for i, v := range dev.Host(logits) {
		factor := math.Sin(float64(1 + from*logits.Cols + i))
		sum += factor * float64(v)
		dev.Host(logits)[i] = float32(factor)
	}
	return sum, nil
}

// crossEntropy is the loss of token ids as targets of Inputs.Rows.
func crossEntropy(targets ...int32) autodiff.RowLoss {
	return func(dev compute.Device, logits compute.Mat, from, to int) (float64, error) {
		weights, losses := slices.Repeat([]float32{1}, to-from), make([]float64, to-from)
		dev.CrossEntropy(logits, targets[from:to], weights, losses)
		sum := 0.0
		for _, l := range losses {
			sum += l
		}
		return sum, nil
	}
}

// run builds a graph and runs it once.
func (f *fixture) run(train bool, in autodiff.Inputs, build func(g *autodiff.Graph)) float64 {
	f.t.Helper()
	g := autodiff.New(f.dev, rows, train)
	build(g)
	sum, err := g.Run(in)
	if err != nil {
		f.t.Fatal(err)
	}
	return sum
}

// output is the value (rows, cols) that build makes, read through a head with
// the identity as its matrix.
func (f *fixture) output(train bool, in autodiff.Inputs, cols int, build func(g *autodiff.Graph) autodiff.Value) []float32 {
	f.t.Helper()
	identity := f.dev.New(cols, cols)
	for i := range cols {
		f.values(identity)[i*cols+i] = 1
	}
	var out []float32
	in.Loss = func(dev compute.Device, logits compute.Mat, from, to int) (float64, error) {
		out = append(out, dev.Host(logits)...)
		return 0, nil
	}
	f.run(train, in, func(g *autodiff.Graph) { g.Head(build(g), &autodiff.Table{Weight: compute.SharedF32(identity)}) })
	return out
}
