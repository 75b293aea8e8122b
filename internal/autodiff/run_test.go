package autodiff_test

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
)

// block is a graph with every operation in it: a layer of a transformer over a
// tied table, dropout everywhere.
func (f *fixture) block() func(g *autodiff.Graph) {
	a := attention()
	table, gain := f.table(6, width, true), f.gain(width, true)
	qkv := f.linear(width, part{out: 24, bias: true, lora: true, dropout: 0.1}, part{out: 8, trained: true}, part{out: 8})
	out, gateUp := f.linear(24, part{out: width}), f.linear(width, part{out: 16, lora: true}, part{out: 16})
	down := f.linear(16, part{out: width, trained: true})
	return func(g *autodiff.Graph) {
		x := g.Dropout(g.Embed(table), 0.1)
		x = g.Add(x, g.Linear(g.Attention(g.Linear(g.RMSNorm(x, gain, 1e-5), qkv), a), out))
		x = g.Add(x, g.Dropout(g.Linear(g.GLU(g.Linear(g.RMSNorm(x, gain, 1e-5), gateUp), compute.SiLU), down), 0.2))
		g.Head(x, table)
	}
}

func (f *fixture) gradients() []float32 {
	var all []float32
	for _, p := range f.params {
		all = append(all, f.values(p.Grad)...)
	}
	return all
}

func (f *fixture) clearGradients() {
	for _, p := range f.params {
		clear(f.values(p.Grad))
	}
}

func supervised() autodiff.Inputs {
	in := packed()
	in.Rows, in.Loss = []int32{0, 1, 3, 4}, crossEntropy(1, 4, 5, 2)
	return in
}

// mustRun is Run without an error.
func (f *fixture) mustRun(g *autodiff.Graph, in autodiff.Inputs) float64 {
	f.t.Helper()
	sum, err := g.Run(in)
	if err != nil {
		f.t.Fatal(err)
	}
	return sum
}

func TestGradientsOfABlock(t *testing.T) {
	f := newFixture(t)
	g := autodiff.New(f.dev, rows, true)
	f.block()(g)
	f.checkGradients(g, supervised())
}

func TestRunsAccumulate(t *testing.T) {
	f := newFixture(t)
	g := autodiff.New(f.dev, rows, true)
	f.block()(g)
	in, other := supervised(), supervised()
	other.DropoutKey, other.Tokens = 5, []int32{0, 0, 1, 2, 3, 4, 5}
	first := f.mustRun(g, in)
	a := f.gradients()
	f.clearGradients()
	f.mustRun(g, other)
	b := f.gradients()
	if again := f.mustRun(g, in); again != first {
		t.Errorf("loss %v, then %v", first, again)
	}
	for i, sum := range f.gradients() {
		if want := float64(a[i]) + float64(b[i]); !(math.Abs(float64(sum)-want) <= 1e-6*(1+math.Abs(want))) {
			t.Fatalf("gradient %d is %v, want %v + %v", i, sum, a[i], b[i])
		}
	}
}

func TestSameInputsGiveTheSameBits(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var losses []float64
	var gradients [][]float32
	for _, threads := range []int{1, 2, 2, 3} {
		runtime.GOMAXPROCS(min(threads, 2))
		f := newFixture(t)
		f.dev = cpu.New(threads)
		g := autodiff.New(f.dev, rows, true)
		f.block()(g)
		f.mustRun(g, supervised())
		f.clearGradients()
		losses = append(losses, f.mustRun(g, supervised()))
		gradients = append(gradients, f.gradients())
	}
	for i := range losses {
		if losses[i] != losses[0] || !slices.Equal(gradients[i], gradients[0]) {
			t.Errorf("run %d differs from the first", i)
		}
	}
}

// Gorgonia merges nodes with equal hashes and inputs.
func TestEqualOperationsStayApart(t *testing.T) {
	f := newFixture(t)
	table := f.table(6, width, true)
	a, b := f.linear(width, part{out: width}), f.linear(width, part{out: width})
	one := func(l *autodiff.Linear) []float32 {
		return f.output(true, packed(), width, func(g *autodiff.Graph) autodiff.Value { return g.Linear(g.Embed(table), l) })
	}
	ya, yb := one(a), one(b)
	both := f.output(true, packed(), width, func(g *autodiff.Graph) autodiff.Value {
		x := g.Embed(table)
		return g.Add(g.Linear(x, a), g.Linear(x, b))
	})
	for i, v := range both {
		if v != ya[i]+yb[i] {
			t.Fatalf("value %d: %v, want %v + %v", i, v, ya[i], yb[i])
		}
	}
	x := embedded(f.matrix(table.Weight.Array()))
	mixed := 0
	for i, v := range f.output(true, packed(), width, func(g *autodiff.Graph) autodiff.Value {
		x := g.Embed(table)
		return g.Add(g.Dropout(x, 0.5), g.Dropout(x, 0.5))
	}) {
		if want := x[i/width][i%width]; want != 0 && math.Abs(float64(v)/want-2) < 1e-5 {
			mixed++ // kept by one of the two
		}
	}
	if mixed < rows {
		t.Errorf("two dropouts of one value dropped the same elements (%d differ)", mixed)
	}
}

// Equal parts and equal operations drop different elements of their inputs.
func TestLowRankDropoutsDiffer(t *testing.T) {
	f := newFixture(t)
	l := f.linear(width, part{out: 4, lora: true, dropout: 0.5})
	l.Parts = append(l.Parts, l.Parts[0])
	table := f.table(6, width, false)
	once := f.output(true, packed(), 8, func(g *autodiff.Graph) autodiff.Value { return g.Linear(g.Embed(table), l) })
	twice := f.output(true, packed(), 8, func(g *autodiff.Graph) autodiff.Value {
		x := g.Embed(table)
		return g.Add(g.Linear(x, l), g.Linear(x, l))
	})
	parts, operations := 0, 0
	for i, v := range once {
		if i%8 < 4 && v != once[i+4] {
			parts++
		}
		if twice[i] != 2*v {
			operations++
		}
	}
	if parts < 10 || operations < 20 {
		t.Errorf("%d values differ between the parts, %d between the operations", parts, operations)
	}
}

func TestDropoutKeys(t *testing.T) {
	f := newFixture(t)
	g := autodiff.New(f.dev, rows, true)
	f.block()(g)
	in, other := supervised(), supervised()
	other.DropoutKey++
	a, b, again := f.mustRun(g, in), f.mustRun(g, other), f.mustRun(g, in)
	if a == b || a != again {
		t.Errorf("losses %v, with another key %v, with the first again %v", a, b, again)
	}
}

func TestNoSupervisedRows(t *testing.T) {
	f := newFixture(t)
	g := autodiff.New(f.dev, rows, true)
	f.block()(g)
	f.mustRun(g, supervised())
	f.clearGradients()
	in := supervised()
	in.Rows = nil
	if sum := f.mustRun(g, in); sum != 0 {
		t.Errorf("loss %v, want 0", sum)
	}
	for i, v := range f.gradients() {
		if v != 0 {
			t.Fatalf("gradient %d is %v, want 0", i, v)
		}
	}
}

func TestBuildingErrorsNamePlaceAndShapes(t *testing.T) {
	f := newFixture(t)
	table := f.table(6, width, true)
	wrong := func(change func(p *autodiff.Part)) *autodiff.Linear {
		l := f.linear(width, part{out: 4}, part{out: 5, bias: true, lora: true})
		change(l.Parts[1])
		return l
	}
	for _, c := range []struct {
		name  string
		build func(g *autodiff.Graph, x autodiff.Value) autodiff.Value
		want  string
	}{
		{"norm", func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.RMSNorm(x, f.gain(9, false), 1) }, "norm: input has 8 columns, gain 9"},
		{"linear", func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Linear(x, f.linear(9, part{out: 4}))
		}, "linear: input has 8 columns, weight of part 0 (4, 9)"},
		{"second part", func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Linear(x, wrong(func(p *autodiff.Part) { p.Weight = compute.SharedF32(f.array(5, 7)) }))
		}, "weight of part 1 (5, 7)"},
		{"bias", func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Linear(x, wrong(func(p *autodiff.Part) { p.Bias = f.array(4) }))
		}, "weight of part 1 (5, 8), bias (4)"},
		{"low rank", func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Linear(x, wrong(func(p *autodiff.Part) { p.LoRA.B = autodiff.NewParam(f.dev, "b", 5, 2) }))
		}, "low-rank A (3, 8) and B (5, 2)"},
		{"low-rank dropout", func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Linear(x, wrong(func(p *autodiff.Part) { p.LoRA.Dropout = 1 }))
		}, "dropout of part 1: probability 1"},
		{"attention", func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Attention(x, attention()) }, "input has 8 columns, 6 query and 2 key/value heads of 4 need 40"},
		{"glu", func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.GLU(g.Linear(x, f.linear(width, part{out: 5})), compute.SiLU)
		}, "5 columns are not two halves"},
		{"add", func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			return g.Add(x, g.Linear(x, f.linear(width, part{out: 5})))
		}, "add: 8 and 5 columns"},
		{"dropout", func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Dropout(x, float32(math.NaN())) }, "dropout: probability NaN"},
		{"head", func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			g.Head(x, f.table(6, 9, false))
			return x
		}, "head: input has 8 columns, weight (6, 9)"},
		{"two heads", func(g *autodiff.Graph, x autodiff.Value) autodiff.Value {
			g.Head(x, table)
			return x
		}, "head: the graph has one already"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := autodiff.New(f.dev, rows, true)
			x := g.Embed(table)
			if c.name == "two heads" {
				g.Head(x, table)
			}
			g.At("layer 3 mlp")
			y := c.build(g, x)
			g.At("later")
			// Nothing after the error changes it.
			g.Head(g.Add(g.RMSNorm(g.GLU(g.Attention(g.Linear(g.Dropout(y, 0.1), f.linear(width, part{out: 1})), attention()), compute.SiLU), f.gain(1, false), 1), y), table)
			_, err := g.Run(packed())
			if err == nil || err != g.Err() || !strings.HasPrefix(err.Error(), "layer 3 mlp: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one at layer 3 mlp with %q", err, c.want)
			}
		})
	}
}

func TestRunRefusesInputs(t *testing.T) {
	f := newFixture(t)
	g := autodiff.New(f.dev, rows, true)
	f.block()(g)
	for _, c := range []struct {
		name   string
		change func(in *autodiff.Inputs)
		want   string
	}{
		{"tokens", func(in *autodiff.Inputs) { in.Tokens = in.Tokens[1:] }, "graph of 7 rows: 6 tokens"},
		{"positions", func(in *autodiff.Inputs) { in.Positions = nil }, "0 positions"},
		{"from", func(in *autodiff.Inputs) { in.From = append(in.From, 1) }, "8 from"},
		{"vocabulary", func(in *autodiff.Inputs) { in.Tokens[3] = 6 }, "row 3: token id 6 is outside the vocabulary of 6"},
		{"position", func(in *autodiff.Inputs) { in.Positions[2] = -1 }, "row 2: position -1"},
		{"from later", func(in *autodiff.Inputs) { in.From[2] = 3 }, "row 2: attends from row 3"},
		{"to earlier", func(in *autodiff.Inputs) { in.To[2] = 2 }, "row 2: attends up to row 2"},
		{"to outside", func(in *autodiff.Inputs) { in.To[2] = 8 }, "row 2: attends up to row 8"},
		{"few to", func(in *autodiff.Inputs) { in.To = in.To[:3] }, "3 to"},
		{"from negative", func(in *autodiff.Inputs) { in.From[2] = -1 }, "row 2: attends from row -1"},
		{"rows twice", func(in *autodiff.Inputs) { in.Rows = []int32{1, 1} }, "supervised row 1 after 1"},
		{"row outside", func(in *autodiff.Inputs) { in.Rows = []int32{7} }, "supervised row 7"},
		{"row negative", func(in *autodiff.Inputs) { in.Rows = []int32{-1} }, "supervised row -1"},
		{"no loss", func(in *autodiff.Inputs) { in.Loss = nil }, "no loss"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := supervised()
			c.change(&in)
			if _, err := g.Run(in); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	f.mustRun(g, supervised())
	if _, err := autodiff.New(f.dev, rows, false).Run(packed()); err == nil {
		t.Error("no error from a graph without a head")
	}
	if err := autodiff.New(f.dev, 0, false).Err(); err == nil || !strings.Contains(err.Error(), "graph of 0 rows") {
		t.Errorf("error of a graph without rows: %v", err)
	}
}

// A run that broke leaves nothing behind in the graph.
func TestNotFinite(t *testing.T) {
	f := newFixture(t)
	g := autodiff.New(f.dev, rows, true)
	g.At("head")
	f.block()(g)
	want := f.mustRun(g, supervised())
	f.clearGradients()
	f.mustRun(g, supervised())
	gradients := f.gradients()
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		weights := f.values(f.params[0].Value)
		kept := slices.Clone(weights)
		for i := range weights {
			weights[i] = bad
		}
		_, err := g.Run(supervised())
		if !errors.Is(err, autodiff.ErrNotFinite) || !strings.HasPrefix(err.Error(), "head: loss: loss of supervised rows 0 to 3") {
			t.Errorf("error %v, want %v, of the head", err, autodiff.ErrNotFinite)
		}
		// A gradient that is not finite without the loss being so.
		in := packed() // more rows than the next run supervises
		in.Loss = func(dev compute.Device, logits compute.Mat, _, _ int) (float64, error) {
			for i := range dev.Host(logits) {
				dev.Host(logits)[i] = bad
			}
			return 1, nil
		}
		f.mustRun(g, in)
		copy(weights, kept)
		f.clearGradients()
		if got := f.mustRun(g, supervised()); got != want || !slices.Equal(f.gradients(), gradients) {
			t.Errorf("after %v: loss %v, want %v; gradients the same: %v", bad, got, want, slices.Equal(f.gradients(), gradients))
		}
	}
}

func TestLossErrorEndsTheRun(t *testing.T) {
	f := newFixture(t)
	g := autodiff.New(f.dev, rows, true)
	f.block()(g)
	broken := errors.New("teacher's row is missing")
	in := supervised()
	in.Loss = func(compute.Device, compute.Mat, int, int) (float64, error) { return 0, broken }
	if _, err := g.Run(in); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	f.mustRun(g, supervised())
}

// liveBytes is the memory in use after a collection.
func liveBytes() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestRunsAllocateLittle(t *testing.T) {
	f := newFixture(t)
	g := autodiff.New(f.dev, rows, true)
	f.block()(g)
	in := supervised()
	f.mustRun(g, in)
	var before, after runtime.MemStats
	live := liveBytes()
	runtime.ReadMemStats(&before)
	const n = 50
	for range n {
		f.mustRun(g, in)
	}
	runtime.ReadMemStats(&after)
	perRun := int(after.TotalAlloc-before.TotalAlloc) / n
	t.Logf("%d bytes in %d objects a run", perRun, int(after.Mallocs-before.Mallocs)/n)
	if perRun > 64<<10 {
		t.Errorf("a run allocates %d bytes", perRun)
	}
	if grown := liveBytes() - live; grown > 64<<10 {
		t.Errorf("%d runs left %d bytes in use", n, grown)
	}
	runtime.KeepAlive(g)
}

// A finalizer within a cycle would keep every graph for ever.
func TestGraphsAreFreed(t *testing.T) {
	f := newFixture(t)
	const d = 256
	table := &autodiff.Table{Weight: compute.SharedF32(f.dev.New(6, d))}
	table.Param = f.param(table.Weight.Array(), true)
	build := func() {
		f.run(true, packed(), func(g *autodiff.Graph) {
			x := g.Embed(table)
			for range 20 {
				x = g.Add(x, x)
			}
			g.Head(x, table)
		})
	}
	build()
	live := liveBytes()
	for range 20 { // 140 KiB of activations each
		build()
	}
	if grown := liveBytes() - live; grown > 500<<10 {
		t.Errorf("20 graphs left %d bytes in use", grown)
	}
}
