package autodiff_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// bothWays attends in both directions, without rotary positions.
func bothWays() *autodiff.Attention {
	return &autodiff.Attention{Heads: 2, KVHeads: 2, HeadDim: 4, Scale: 0.6, Bidirectional: true}
}

// encoderLayer is a layer that normalizes after its sums.
func encoderLayer(f *fixture, trained, selects bool) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
	a := bothWays()
	qkv := f.linear(width, part{out: width, lora: true}, part{out: width, bias: true}, part{out: width})
	out := f.linear(width, part{out: width, trained: trained, bias: true})
	up, down := f.linear(width, part{out: 6, bias: true}), f.linear(6, part{out: width, lora: true, dropout: 0.2})
	var norms [4]*autodiff.Gain
	for i := range norms {
		norms[i] = f.gain(width, trained)
	}
	return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
		g.Begin()
		defer g.End()
		attended := g.Attention(g.Linear(g.Branch(x), qkv), a)
		if selects {
			attended = g.Select(attended)
		}
		x = g.LayerNorm(g.Add(x, g.Linear(attended, out)), norms[0], norms[1], 1e-5)
		inner := g.Activate(g.Linear(g.Branch(x), up), compute.GELU)
		return g.LayerNorm(g.Add(x, g.Dropout(g.Linear(inner, down), 0.3)), norms[2], norms[3], 1e-5)
	}
}

func activated(act compute.Activation) func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
	return func(*fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Activate(x, act) }
	}
}

func layerNormed(gain, bias bool) func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
	return func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		n, b := f.gain(width, gain), f.gain(width, bias)
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.LayerNorm(x, n, b, 1e-5) }
	}
}

// encoderOperations are those that encoders alone use.
var encoderOperations = []operation{
	{"activation, gelu", width, activated(compute.GELU)},
	{"activation, gelu_new", width, activated(compute.GELUTanh)},
	{"activation, silu", width, activated(compute.SiLU)},
	{"activation, tanh", width, activated(compute.Tanh)},
	{"layer norm, frozen", width, layerNormed(false, false)},
	{"layer norm, gain trained", width, layerNormed(true, false)},
	{"layer norm, bias trained", width, layerNormed(false, true)},
	{"layer norm, both trained", width, layerNormed(true, true)},
	{"attention in both directions", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		a := bothWays()
		l := f.linear(width, part{out: a.Cols()})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Attention(g.Linear(x, l), a) }
	}},
	{"branch", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Branch(x) }
	}},
	{"branch, residual", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		l := f.linear(width, part{out: width, trained: true})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Add(x, g.Linear(g.Branch(x), l)) }
	}},
	{"branch, residual of selected rows", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		l := f.linear(width, part{out: width, trained: true})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Add(x, g.Select(g.Linear(g.Branch(x), l)))
		}
	}},
	{"branch that nothing is added to", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		l := f.linear(width, part{out: width})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			g.Branch(x)
			return g.Add(x, g.Linear(x, l))
		}
	}},
	{"encoder layers", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		first, second := encoderLayer(f, true, false), encoderLayer(f, false, true)
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return second(g, first(g, x)) }
	}},
	{"an encoder layer twice", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		layer := encoderLayer(f, true, false)
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return layer(g, layer(g, x)) }
	}},
}

func TestEncoderGradients(t *testing.T) {
	for _, op := range encoderOperations {
		for _, trained := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, input trained %v", op.name, trained), func(t *testing.T) {
				f := newFixture(t)
				input := f.table(6, width, trained)
				build, head := op.build(f), f.linear(op.cols, part{out: 4, bias: true, trained: true})
				g := autodiff.New(f.dev, rows, true)
				g.Loss(g.Linear(g.Select(build(g, g.Embed(input))), head))
				in := packed()
				in.Rows = []int32{1, 2, 4, 5}
				tolerance := 3e-4
				if strings.Contains(op.name, "encoder layer") {
					tolerance = 8e-3 // norms leave small gradients of large losses
				}
				f.checkGradientsWithin(g, in, tolerance)
			})
		}
	}
}

func TestEmbeddingGradients(t *testing.T) {
	f := newFixture(t)
	words, positions, types := f.table(6, width, true), f.table(3, width, true), f.table(3, width, true)
	head := f.linear(width, part{out: 4})
	g := autodiff.New(f.dev, rows, true)
	x := g.Add(g.Add(g.Embed(words), g.EmbedTypes(types)), g.EmbedPositions(positions))
	g.Loss(g.Linear(g.Select(x), head))
	in := packed()
	in.Rows, in.Loss = []int32{0, 2, 3, 4, 5}, crossEntropy(3, 0, 2, 1, 0)
	f.checkGradients(g, in)
}

func TestRecomputedEncoderIsTheSame(t *testing.T) {
	f := newFixture(t)
	table, layer, head := f.table(6, width, true), encoderLayer(f, true, false), f.linear(width, part{out: 3, trained: true})
	last := encoderLayer(f, true, true)
	var want []float32
	for n := range 4 {
		g := autodiff.New(f.dev, rows, true)
		g.Loss(g.Linear(last(g, layer(g, layer(g, g.Embed(table)))), head))
		if err := g.Recompute(n); err != nil {
			t.Fatal(err)
		}
		for _, p := range f.params {
			f.dev.Clear(compute.Of(p.Grad))
		}
		in := packed()
		in.Rows, in.Loss = []int32{0, 3}, crossEntropy(1, 2)
		f.mustRun(g, in)
		var got []float32
		for _, p := range f.params {
			got = append(got, f.values(p.Grad)...)
		}
		if want == nil {
			want = got
		} else if !slices.Equal(got, want) {
			t.Errorf("%d blocks recomputed: other gradients", n)
		}
	}
}

func TestBidirectionalAttentionForward(t *testing.T) {
	a := bothWays()
	testForward(t, width, func(f *fixture) (func(*autodiff.Graph, autodiff.Value) autodiff.Value, func(matrix) matrix) {
		l := f.linear(width, part{out: a.Cols()})
		plain := func(x matrix) matrix {
			qkv, y := x.timesTransposed(f.matrix(l.Parts[0].Weight.Array())), make(matrix, len(x))
			for i := range qkv {
				for h := range a.Heads {
					out, total := make([]float64, a.HeadDim), 0.0
					for j := packed().From[i]; j < packed().To[i]; j++ {
						score := 0.0
						for e := range a.HeadDim {
							score += qkv[i][h*a.HeadDim+e] * qkv[j][width+h*a.HeadDim+e]
						}
						weight := math.Exp(score * float64(a.Scale))
						total += weight
						for e := range out {
							out[e] += weight * qkv[j][2*width+h*a.HeadDim+e]
						}
					}
					for _, v := range out {
						y[i] = append(y[i], v/total)
					}
				}
			}
			return y
		}
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Attention(g.Linear(x, l), a) }, plain
	})
}

func TestEncoderGraphsRefuse(t *testing.T) {
	f := newFixture(t)
	words, small := f.table(6, width, false), f.table(2, width, false)
	loss := func(g *autodiff.Graph, x autodiff.Value) { g.Loss(g.Select(x)) }
	for _, c := range []struct {
		name, want string
		build      func(g *autodiff.Graph)
		change     func(in *autodiff.Inputs)
	}{
		{"no types", "0 ids for 7 rows", func(g *autodiff.Graph) { loss(g, g.EmbedTypes(small)) }, func(in *autodiff.Inputs) { in.Types = nil }},
		{"a type outside", "row 5: 2 is outside the table of 2", func(g *autodiff.Graph) { loss(g, g.EmbedTypes(small)) }, func(*autodiff.Inputs) {}},
		{"a position outside", "row 2: 2 is outside the table of 2", func(g *autodiff.Graph) { loss(g, g.EmbedPositions(small)) }, func(*autodiff.Inputs) {}},
		{"no to", "where segments end", func(g *autodiff.Graph) {
			loss(g, g.Attention(g.Linear(g.Embed(words), f.linear(width, part{out: 3 * width})), bothWays()))
		}, func(in *autodiff.Inputs) { in.To = nil }},
		{"loss of all rows", "not the supervised ones", func(g *autodiff.Graph) { g.Loss(g.Embed(words)) }, func(*autodiff.Inputs) {}},
		{"two losses", "has one already", func(g *autodiff.Graph) { x := g.Select(g.Embed(words)); g.Loss(x); g.Loss(x) }, func(*autodiff.Inputs) {}},
		{"norm width", "gain 5", func(g *autodiff.Graph) {
			loss(g, g.LayerNorm(g.Embed(words), f.gain(5, false), f.gain(width, false), 1))
		}, func(*autodiff.Inputs) {}},
		{"bias width", "bias 5", func(g *autodiff.Graph) {
			loss(g, g.LayerNorm(g.Embed(words), f.gain(width, false), f.gain(5, false), 1))
		}, func(*autodiff.Inputs) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, in := autodiff.New(f.dev, rows, false), packed()
			c.build(g)
			c.change(&in)
			if _, err := g.Run(in); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}
