package autodiff_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// layers is a graph of n blocks with every operation in them, of which the last
// computes the supervised rows alone.
func (f *fixture) layers(n int) func(g *autodiff.Graph) { return f.layersWith(n, true, 0.1) }

func (f *fixture) layersWith(n int, selects bool, dropout float32) func(g *autodiff.Graph) {
	a, table := attention(), f.table(6, width, true)
	type layer struct {
		norm                   *autodiff.Gain
		qkv, out, gateUp, down *autodiff.Linear
	}
	var list []layer
	for range n {
		list = append(list, layer{f.gain(width, true),
			f.linear(width, part{out: 24, bias: true, lora: true, dropout: dropout}, part{out: 8, trained: true}, part{out: 8}),
			f.linear(24, part{out: width, lora: true}), f.linear(width, part{out: 160, lora: true}, part{out: 160}), f.linear(160, part{out: width, trained: true})})
	}
	return func(g *autodiff.Graph) {
		x := g.Dropout(g.Embed(table), dropout)
		for i, l := range list {
			g.Begin()
			attended := g.Attention(g.Linear(g.RMSNorm(x, l.norm, 1e-5), l.qkv), a)
			if selects && i == n-1 {
				attended = g.Select(attended)
			}
			x = g.Add(x, g.Linear(attended, l.out))
			x = g.Add(x, g.Dropout(g.Linear(g.GLU(g.Linear(g.RMSNorm(x, l.norm, 1e-5), l.gateUp), compute.SiLU), l.down), 2*dropout))
			g.End()
		}
		g.Head(x, table)
	}
}

// What is computed again is what would have been kept, and takes less memory.
func TestRecompute(t *testing.T) {
	f := newFixture(t)
	build := f.layers(4)
	var want []float32
	var wantLoss float64
	last := 0
	for n := 0; n <= 4; n++ {
		g := autodiff.New(f.dev, rows, true)
		build(g)
		if err := g.Recompute(n); err != nil {
			t.Fatal(err)
		}
		bytes, err := g.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d blocks recomputed: %d bytes", n, bytes)
		for run := range 2 {
			f.clearGradients()
			loss := f.mustRun(g, supervised())
			if n == 0 && run == 0 {
				want, wantLoss = f.gradients(), loss
			}
			if loss != wantLoss || !slices.Equal(f.gradients(), want) {
				t.Fatalf("%d blocks recomputed, run %d: other bits than with all kept", n, run)
			}
		}
		if n > 0 && n < 4 && bytes >= last { // the last is needed again at once
			t.Errorf("%d blocks recomputed: %d bytes, %d with one less", n, bytes, last)
		}
		last = bytes
	}
}

func TestFitMemory(t *testing.T) {
	f := newFixture(t)
	build := f.layers(4)
	bytesOf := func(n int) int {
		g := autodiff.New(f.dev, rows, true)
		build(g)
		if err := g.Recompute(n); err != nil {
			t.Fatal(err)
		}
		bytes, err := g.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	for n := range 4 {
		g := autodiff.New(f.dev, rows, true)
		build(g)
		got, err := g.FitMemory(bytesOf(n))
		if err != nil || got != n {
			t.Errorf("%d bytes: %d blocks, %v, want %d", bytesOf(n), got, err, n)
		}
	}
	g := autodiff.New(f.dev, rows, true)
	build(g)
	if _, err := g.FitMemory(bytesOf(4) - 1); err == nil || !strings.Contains(err.Error(), "at least") {
		t.Errorf("a budget that is too small: %v", err)
	}
	if err := g.Recompute(5); err == nil {
		t.Error("five of four blocks were accepted")
	}
	if _, err := g.FitMemory(1 << 30); err != nil {
		t.Error(err)
	}
	f.mustRun(g, supervised())
	if err := g.Recompute(1); err == nil {
		t.Error("a graph that has been run was planned again")
	}
}

// A graph without gradients keeps nothing: its memory does not grow with its layers.
func TestForwardReusesMemory(t *testing.T) {
	f := newFixture(t)
	var sizes []int
	for _, n := range []int{2, 6} {
		g := autodiff.New(f.dev, rows, false)
		f.layers(n)(g)
		bytes, err := g.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, bytes)
	}
	if sizes[0] != sizes[1] {
		t.Errorf("%d bytes with 2 layers, %d with 6", sizes[0], sizes[1])
	}
}

// Attention turns its input in place, so nothing else may read that.
func TestValueChangedInPlaceHasOneReader(t *testing.T) {
	f := newFixture(t)
	a := attention()
	l, other := f.linear(width, part{out: a.Cols(), trained: true}), f.linear(a.Cols(), part{out: 24})
	for name, build := range map[string]func(g *autodiff.Graph, x autodiff.Value) autodiff.Value{
		"before": func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			y := g.Linear(x, other)
			return g.Add(y, g.Attention(x, a))
		},
		"after": func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			y := g.Attention(x, a)
			return g.Add(g.Linear(x, other), y)
		},
	} {
		g := autodiff.New(f.dev, rows, true)
		build(g, g.Linear(g.Embed(f.table(6, width, false)), l))
		if err := g.Err(); err == nil || !strings.Contains(err.Error(), "in place") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
