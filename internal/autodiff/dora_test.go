package autodiff_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gradcheck"
)

// addMagnitude makes p's update a DoRA update.
func (f *fixture) addMagnitude(p *autodiff.Part) {
	p.LoRA.Magnitude = f.param(f.array(p.Weight.Out), true)
}

// row is row j of W + scale·B·A in float64.
func (f *fixture) row(p *autodiff.Part, j int) []float64 {
	u, out := p.LoRA, make([]float64, p.Weight.In)
	w := make([]float32, p.Weight.In)
	p.Weight.Row(w, j)
	a, b := f.values(u.A.Value), f.values(u.B.Value)
	r := u.A.Value.Shape()[0]
	for i := range out {
		out[i] = float64(w[i])
		for k := range r {
			out[i] += float64(u.Scale) * float64(b[j*r+k]) * float64(a[k*p.Weight.In+i])
		}
	}
	return out
}

func length(row []float64) float64 {
	sum := 0.0
	for _, v := range row {
		sum += v * v
	}
	return math.Sqrt(sum)
}

func TestDoRANorms(t *testing.T) {
	f := newFixture(t)
	p := f.linear(40, part{out: 33, lora: true}).Parts[0]
	f.addMagnitude(p)
	// A row that the update cancels but for a part in a million, and one of zeros.
	w, b, a := f.values(p.Weight.Array()), f.values(p.LoRA.B.Value), f.values(p.LoRA.A.Value)
	for i := range 40 {
		w[5*40+i] = -p.LoRA.Scale * (1 + 1e-6*float32(i)) * (b[15]*a[i] + b[16]*a[40+i] + b[17]*a[80+i])
		w[6*40+i] = 0
	}
	clear(b[18:21])
	for j, got := range p.LoRA.Norms(f.dev, p.Weight) {
		want := length(f.row(p, j))
		if !(math.Abs(float64(got)-want) <= 1e-6*want) {
			t.Errorf("length of row %d is %v, want %v", j, got, want)
		}
	}
}

// Without dropout the rows of the updated matrix have the magnitudes as lengths.
func TestDoRAForward(t *testing.T) {
	f := newFixture(t)
	table, l := f.table(6, width, false), f.linear(width, part{out: 5, lora: true, bias: true}, part{out: 4, lora: true}, part{out: 3})
	f.addMagnitude(l.Parts[0])
	in := packed()
	build := func(g *autodiff.Graph) autodiff.Value { return g.Linear(g.Embed(table), l) }
	got := f.output(false, in, 12, build)
	if !slices.Equal(f.output(true, in, 12, build), got) {
		t.Error("training computes other values")
	}
	x := f.values(table.Weight.Array())[int(in.Tokens[0])*width:]
	p := l.Parts[0]
	for j := range 5 {
		row := f.row(p, j)
		want := 0.0
		for i, v := range row {
			want += v * float64(x[i])
		}
		want = want*float64(f.values(p.LoRA.Magnitude.Value)[j])/length(row) + float64(f.values(p.Bias)[j])
		if !(math.Abs(float64(got[j])-want) <= 1e-5*(1+math.Abs(want))) {
			t.Errorf("output %d is %v, want %v", j, got[j], want)
		}
	}
}

// The gradients with the lengths held fixed: with and without dropout, whose
// elements are the same in every run.
func TestDoRAGradients(t *testing.T) {
	for _, dropout := range []float32{0, 0.4} {
		t.Run(fmt.Sprint("dropout ", dropout), func(t *testing.T) {
			f := newFixture(t)
			table := f.table(6, width, true)
			l := f.linear(width, part{out: 5, lora: true, bias: true, dropout: dropout}, part{out: 4, lora: true, dropout: dropout}, part{out: 3})
			f.addMagnitude(l.Parts[0])
			u, w := l.Parts[0].LoRA, l.Parts[0].Weight
			head := f.table(7, 12, false)
			g := autodiff.New(f.dev, rows, true)
			g.Head(g.Linear(g.Embed(table), l), head)
			magnitude := f.values(u.Magnitude.Value)
			scale := make([]float64, len(magnitude))
			for j, n := range u.Norms(f.dev, w) {
				scale[j] = float64(magnitude[j]) / float64(n)
			}
			run := func() float64 {
				sum, err := g.Run(packed())
				if err != nil {
					t.Fatal(err)
				}
				return sum
			}
			run()
			var grads [][]float32
			for _, p := range f.params {
				grads = append(grads, slices.Clone(f.values(p.Grad)))
			}
			for i, p := range f.params {
				want := gradcheck.Numeric(func() float64 {
					if p != u.Magnitude {
						for j, n := range u.Norms(f.dev, w) {
							magnitude[j] = float32(scale[j] * float64(n))
						}
					}
					return run()
				}, f.values(p.Value), 1.0/32)
				if err := gradcheck.Compare(grads[i], want, 2e-3); err != nil {
					t.Errorf("gradient of %s: %v", p.Name, err)
				}
			}
		})
	}
}

// A base in blocks has the lengths of what it stands for.
func TestDoRANormsOfBlocks(t *testing.T) {
	f := newFixture(t)
	p := f.linear(64, part{out: 9, lora: true}).Parts[0]
	f.addMagnitude(p)
	data := make([]byte, 0, 9*2*34)
	for i := range 18 {
		data = append(data, 0, 0x2c) // 1/16
		for k := range 32 {
			data = append(data, byte(int8(i*7-k*3)))
		}
	}
	var err error
	if p.Weight, err = compute.NewWeight(compute.Q8_0, 9, 64, data); err != nil {
		t.Fatal(err)
	}
	for j, got := range p.LoRA.Norms(f.dev, p.Weight) {
		want := length(f.row(p, j))
		if !(math.Abs(float64(got)-want) <= 1e-5*want) {
			t.Errorf("length of row %d is %v, want %v", j, got, want)
		}
	}
}

// Of an embedding the lengths are of its columns, also of those that the
// update all but cancels.
func TestDoRANormsOfAnEmbedding(t *testing.T) {
	f := newFixture(t)
	const V, D, r = 13, 5, 2
	table := f.array(V, D)
	u := &autodiff.LoRA{A: f.param(f.array(r, V), true), B: f.param(f.array(D, r), true), Magnitude: f.param(f.array(D), true), Scale: 0.5, Embedding: true}
	w, a, b := f.values(table), f.values(u.A.Value), f.values(u.B.Value)
	update := func(v, j int) float64 {
		sum := 0.0
		for k := range r {
			sum += float64(u.Scale) * float64(a[k*V+v]) * float64(b[j*r+k])
		}
		return sum
	}
	for v := range V {
		w[v*D+3] = float32(-update(v, 3) * (1 - 1e-4))
	}
	column := func(j int) []float64 {
		var out []float64
		for v := range V {
			out = append(out, float64(w[v*D+j])+update(v, j))
		}
		return out
	}
	for j, got := range u.Norms(f.dev, compute.SharedF32(table)) {
		want := length(column(j))
		if !(math.Abs(float64(got)-want) <= 1e-5*want) {
			t.Errorf("length of column %d is %v, want %v", j, got, want)
		}
	}
	merged := f.array(V, D)
	scaled := f.values(merged)
	for v := range V {
		for j := range D {
			scaled[v*D+j] = float32(float64(w[v*D+j]) + update(v, j))
		}
	}
	u.ScaleRows(f.dev, compute.Of(merged))
	for j, m := range f.values(u.Magnitude.Value) {
		sum := 0.0
		for v := range V {
			sum += float64(scaled[v*D+j]) * float64(scaled[v*D+j])
		}
		if want := math.Abs(float64(m)); !(math.Abs(math.Sqrt(sum)-want) <= 1e-5*want) {
			t.Errorf("merged column %d is %v long, want %v", j, math.Sqrt(sum), want)
		}
	}
}
