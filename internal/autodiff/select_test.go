package autodiff_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// selections are the ways in which a Select and what follows it can meet.
var selections = []operation{
	{"select", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Select(g.Select(x)) }
	}},
	{"select of a branch, residual", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		gain, l := f.gain(width, true), f.linear(width, part{out: width, trained: true, bias: true})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Add(x, g.Linear(g.Select(g.RMSNorm(x, gain, 1e-5)), l))
		}
	}},
	{"select of a branch without a norm", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		l := f.linear(width, part{out: width, lora: true, dropout: 0.3})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Add(x, g.Linear(g.Select(x), l))
		}
	}},
	{"select, then a residual", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		gain, up, down := f.gain(width, true), f.linear(width, part{out: 6}, part{out: 6, lora: true}), f.linear(6, part{out: width})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			x = g.Select(x)
			return g.Add(x, g.Dropout(g.Linear(g.GLU(g.Linear(g.RMSNorm(x, gain, 1e-5), up), compute.SiLU), down), 0.3))
		}
	}},
	{"select, a value that three read", 6, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		l, m, n := f.linear(width, part{out: 6}), f.linear(width, part{out: 6}), f.linear(width, part{out: 6})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			x = g.Select(x)
			return g.Add(g.Add(g.Linear(x, l), g.Linear(x, m)), g.Linear(x, n))
		}
	}},
	{"select, read with all rows too", width, func(f *fixture) func(*autodiff.Graph, autodiff.Value) autodiff.Value {
		l, m := f.linear(width, part{out: width}), f.linear(width, part{out: width})
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Add(g.Linear(x, l), g.Add(x, g.Linear(g.Select(x), m)))
		}
	}},
}

func TestSelectGradients(t *testing.T) {
	for _, op := range selections {
		for _, trained := range []bool{true, false} {
			f := newFixture(t)
			input := f.table(6, width, trained)
			build, head := op.build(f), f.table(4, op.cols, true)
			g := autodiff.New(f.dev, rows, true)
			g.Head(build(g, g.Embed(input)), head)
			in := packed()
			in.Rows, in.Loss = []int32{1, 2, 4, 5}, crossEntropy(3, 0, 2, 2)
			f.checkGradients(g, in)
			if t.Failed() {
				t.Fatalf("%s, input trained %v", op.name, trained)
			}
		}
	}
}

// What is left out changes neither the loss nor a gradient.
func TestSelectChangesNothing(t *testing.T) {
	losses, gradients := map[bool]float64{}, map[bool][]float32{}
	for _, selects := range []bool{false, true} {
		f := newFixture(t)
		g := autodiff.New(f.dev, rows, true)
		f.layersWith(2, selects, 0)(g)
		losses[selects] = f.mustRun(g, supervised())
		gradients[selects] = f.gradients()
	}
	if !(math.Abs(losses[true]-losses[false]) <= 1e-6*math.Abs(losses[false])) {
		t.Errorf("loss %v, without Select %v", losses[true], losses[false])
	}
	for i, want := range gradients[false] {
		if got := gradients[true][i]; !(math.Abs(float64(got-want)) <= 1e-5*(1+math.Abs(float64(want)))) {
			t.Fatalf("gradient %d is %v, without Select %v", i, got, want)
		}
	}
}

// A run's rows may be none, and fewer or more than the run before had.
func TestSelectFollowsTheRun(t *testing.T) {
	f := newFixture(t)
	build := f.layers(2)
	g := autodiff.New(f.dev, rows, true)
	build(g)
	for _, list := range [][]int32{{0, 1, 2, 3, 4, 5, 6}, {}, {5}, {0, 6}} {
		in := packed()
		in.Rows, in.Loss = list, crossEntropy(make([]int32, len(list))...)
		f.clearGradients()
		loss, got := f.mustRun(g, in), f.gradients()
		fresh := autodiff.New(f.dev, rows, true)
		build(fresh)
		f.clearGradients()
		if want := f.mustRun(fresh, in); loss != want || !slices.Equal(got, f.gradients()) {
			t.Errorf("rows %v: loss %v and gradients of a new graph differ: %v", list, want, loss)
		}
		if len(list) == 0 && slices.ContainsFunc(got, func(v float32) bool { return v != 0 }) {
			t.Error("no rows gave a gradient")
		}
	}
}

func TestSelectRefusesWhatReadsAllRows(t *testing.T) {
	f := newFixture(t)
	a := attention()
	table, l, square := f.table(6, width, true), f.linear(width, part{out: a.Cols()}), f.linear(width, part{out: width})
	for want, build := range map[string]func(g *autodiff.Graph, x autodiff.Value) autodiff.Value{
		"attention: it reads all rows": func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Attention(g.Linear(g.Select(x), l), a)
		},
		"a branch of all rows": func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Add(g.Select(x), g.Linear(x, square))
		},
	} {
		g := autodiff.New(f.dev, rows, true)
		build(g, g.Embed(table))
		if err := g.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
