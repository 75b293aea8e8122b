package autodiff_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gradcheck"
)

// operation is a graph under test from its input to what the head reads.
type operation struct {
	name  string
	cols  int // of the result
	build func(f *fixture) func(g *autodiff.Graph, x autodiff.Value) autodiff.Value
}

// linearOperations are one to three parts × bias × what is trained × update.
func linearOperations() []operation {
	var list []operation
	for parts := 1; parts <= 3; parts++ {
		for i := range 12 {
			p := part{bias: i&1 != 0, trained: i&2 != 0, lora: i >= 4}
			if i >= 8 {
				p.dropout = 0.4
			}
			all := []part{p, {lora: p.lora}, p}[:parts]
			cols := 0
			for j := range all {
				all[j].out = 5 + j
				cols += all[j].out
			}
			list = append(list, operation{fmt.Sprintf("linear of %d, %+v", parts, p), cols, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
				l := f.linear(width, all...)
				return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Linear(x, l) }
			}})
		}
	}
	return list
}

// sums are the ways in which an Add and a norm of its first term can meet.
var sums = []operation{
	{"add, residual", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		gain, l := f.gain(width, true), f.linear(width, part{out: width})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Add(x, g.Linear(g.RMSNorm(x, gain, 1e-5), l))
		}
	}},
	{"add, two residuals after one another", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		gain, l := f.gain(width, false), f.linear(width, part{out: width})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			x = g.Add(x, g.Linear(g.RMSNorm(x, gain, 1e-5), l))
			return g.Add(x, g.Linear(g.RMSNorm(x, gain, 1e-5), l))
		}
	}},
	{"add, parallel branches of one norm", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		gain, l, m := f.gain(width, true), f.linear(width, part{out: width}), f.linear(width, part{out: width})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			n := g.RMSNorm(x, gain, 1e-5)
			return g.Add(g.Add(x, g.Linear(n, l)), g.Linear(n, m))
		}
	}},
	{"add, parallel branches of two norms", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		gain, l, m := f.gain(width, true), f.linear(width, part{out: width}), f.linear(width, part{out: width})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			a := g.Linear(g.RMSNorm(x, gain, 1e-5), l)
			return g.Add(g.Add(x, g.Linear(g.RMSNorm(x, gain, 1e-4), m)), a)
		}
	}},
	{"add, two sums over one norm", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		gain, l, m := f.gain(width, true), f.linear(width, part{out: width}), f.linear(width, part{out: width})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			n := g.RMSNorm(x, gain, 1e-5)
			return g.Add(g.Add(x, g.Linear(n, l)), g.Add(x, g.Linear(n, m)))
		}
	}},
	{"add, branch without the norm", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		gain, l := f.gain(width, true), f.linear(width, part{out: width})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			n := g.RMSNorm(x, gain, 1e-5)
			return g.Add(g.Add(x, g.Linear(x, l)), n)
		}
	}},
	{"add, norm that nothing reads", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		gain, l := f.gain(width, false), f.linear(width, part{out: width})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			g.RMSNorm(x, gain, 1e-5)
			return g.Add(x, g.Linear(x, l))
		}
	}},
	{"add, a value to itself", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Add(x, x) }
	}},
	{"add, the sum and its norm", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		gain := f.gain(width, false)
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			s := g.Add(x, x)
			return g.Add(s, g.RMSNorm(s, gain, 1e-5))
		}
	}},
	{"a value that three read", 6, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		l, m, n := f.linear(width, part{out: 6}), f.linear(width, part{out: 6}), f.linear(width, part{out: 6})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Add(g.Add(g.Linear(x, l), g.Linear(x, m)), g.Linear(x, n))
		}
	}},
}

var otherOperations = []operation{
	{"embed", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		return func(_ *autodiff.Graph, x autodiff.Value) autodiff.Value { return x }
	}},
	{"norm, gain frozen", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		gain := f.gain(width, false)
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.RMSNorm(x, gain, 1e-5) }
	}},
	{"norm, gain trained", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		gain := f.gain(width, true)
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.RMSNorm(x, gain, 1e-5) }
	}},
	{"attention", 24, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		a := attention()
		l := f.linear(width, part{out: a.Cols()})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Attention(g.Linear(x, l), a) }
	}},
	{"SiLU", width / 2, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.GLU(x, compute.SiLU) }
	}},
	{"GELU", width / 2, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.GLU(x, compute.GELUTanh) }
	}},
	{"exact GELU", width / 2, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.GLU(x, compute.GELU) }
	}},
	{"norm with an offset, gain trained", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		gain := f.gain(width, true)
		gain.Offset = 1
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.RMSNorm(x, gain, 1e-5) }
	}},
	{"attention in a window, capped, of heads turned in part", 24, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		a := attention()
		a.Window, a.SoftCap, a.Rotation = 2, 0.8, compute.NewRotation([]float64{1})
		l := f.linear(width, part{out: a.Cols()})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Attention(g.Linear(x, l), a) }
	}},
	{"attention of long segments", 24, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		a := attention()
		long := compute.NewRotation([]float64{0.5, 0.1})
		a.Long, a.LongFrom = func(int) *compute.Rotation { return long }, 2
		l := f.linear(width, part{out: a.Cols()})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Attention(g.Linear(x, l), a) }
	}},
	{"head norm", 24, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		a := attention()
		l := f.linear(width, part{out: a.Cols()})
		n := &autodiff.HeadNorms{Query: f.gain(4, true), Key: f.gain(4, false), Eps: 1e-3}
		n.Key.Offset = 1
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Attention(g.HeadNorm(g.Linear(x, l), a, n), a)
		}
	}},
	{"dropout", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Dropout(x, 0.3) }
	}},
}

func TestGradients(t *testing.T) {
	all := append(append(linearOperations(), sums...), otherOperations...)
	for _, op := range all {
		for _, trained := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, input trained %v", op.name, trained), func(t *testing.T) {
				f := newFixture(t)
				input := f.table(6, width, trained)
				build := op.build(f)
				head := f.table(4, op.cols, false)
				g := autodiff.New(f.dev, rows, true)
				g.Head(build(g, g.Embed(input)), head)
				if len(f.params) > 0 {
					f.checkGradients(g, packed())
				} else if _, err := g.Run(packed()); err == nil || !strings.Contains(err.Error(), "nothing to train") {
					t.Errorf("error %v, want one that nothing is trained", err)
				}
			})
		}
	}
}

// Rows of the embedding are scaled, logits capped, and both are one table.
func TestGradientsOfAScaledAndCappedTable(t *testing.T) {
	for _, trained := range []bool{true, false} {
		f := newFixture(t)
		table, l := f.table(6, width, trained), f.linear(width, part{out: width, lora: true})
		table.Scale, table.SoftCap = 3, 0.7
		g := autodiff.New(f.dev, rows, true)
		g.Head(g.Linear(g.Embed(table), l), table)
		f.checkGradientsWithin(g, packed(), 1e-3)
	}
}

// checkGradients compares the gradient of every Param with finite differences.
func (f *fixture) checkGradients(g *autodiff.Graph, in autodiff.Inputs) {
	f.t.Helper()
	f.checkGradientsWithin(g, in, 3e-4)
}

// checkGradientsWithin is checkGradients where float32 leaves larger
// differences of losses inexact: a tolerance of the largest gradient of a Param.
func (f *fixture) checkGradientsWithin(g *autodiff.Graph, in autodiff.Inputs, tolerance float64) {
	f.t.Helper()
	loss := func() float64 {
		sum, err := g.Run(in)
		if err != nil {
			f.t.Fatal(err)
		}
		return sum
	}
	loss()
	got := make([][]float32, len(f.params))
	for i, p := range f.params {
		got[i] = append(got[i], f.values(p.Grad)...)
	}
	for i, p := range f.params {
		want := gradcheck.Numeric(loss, f.values(p.Value), 1.0/64)
		if err := gradcheck.Compare(got[i], want, tolerance); err != nil {
			f.t.Errorf("gradient of %s: %v", p.Name, err)
		}
	}
}

func TestHeadGradients(t *testing.T) {
	for _, c := range []struct {
		name                 string
		tied, trained, input bool
	}{
		{"tied, trained", true, true, true},
		{"tied, frozen", true, false, true},
		{"untied, all trained", false, true, true},
		{"untied, head trained", false, true, false},
		{"untied, input trained", false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			input := f.table(6, width, c.input && (!c.tied || c.trained))
			head := input
			if !c.tied {
				head = f.table(11, width, c.trained)
			}
			gain := f.gain(width, c.tied && !c.trained)
			g := autodiff.New(f.dev, rows, true)
			g.Head(g.RMSNorm(g.Embed(input), gain, 1e-5), head)
			in := packed()
			in.Rows, in.Loss = []int32{0, 2, 3, 5}, crossEntropy(5, 0, 2, 2)
			f.checkGradients(g, in)
		})
	}
}

// More rows than the head takes at a time, selected by it or before it.
func TestHeadOfManyRows(t *testing.T) {
	t.Run("of all", func(t *testing.T) {
		testHeadOfManyRows(t, func(_ *autodiff.Graph, x autodiff.Value) autodiff.Value { return x })
	})
	t.Run("selected", func(t *testing.T) { testHeadOfManyRows(t, (*autodiff.Graph).Select) })
}

func testHeadOfManyRows(t *testing.T, rowsOf func(g *autodiff.Graph, x autodiff.Value) autodiff.Value) {
	const n = 600
	f := newFixture(t)
	table := f.table(3, 2, true)
	in := autodiff.Inputs{DropoutKey: 1}
	var targets []int32
	for i := range int32(n) {
		in.Tokens, in.Positions, in.From = append(in.Tokens, i%3), append(in.Positions, 0), append(in.From, i)
		if i%7 != 0 {
			in.Rows, targets = append(in.Rows, i), append(targets, i%2)
		}
	}
	in.Loss = crossEntropy(targets...)
	g := autodiff.New(f.dev, n, true)
	g.Head(rowsOf(g, g.Embed(table)), table)
	f.checkGradients(g, in)
}
