package autodiff_test

import (
	"math"
	"testing"

	"gorgonia.org/tensor"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// matrix is an array in float64, for the plain loops.
type matrix [][]float64

func (f *fixture) matrix(a *tensor.Dense) matrix { return toMatrix(f.values(a), compute.Of(a).Cols) }

func toMatrix(values []float32, cols int) matrix {
	var m matrix
	for i, v := range values {
		if i%cols == 0 {
			m = append(m, nil)
		}
		m[i/cols] = append(m[i/cols], float64(v))
	}
	return m
}

// timesTransposed is x·wᵀ.
func (x matrix) timesTransposed(w matrix) matrix {
	y := make(matrix, len(x))
	for i := range x {
		for _, row := range w {
			sum := 0.0
			for k := range row {
				sum += x[i][k] * row[k]
			}
			y[i] = append(y[i], sum)
		}
	}
	return y
}

// same fails unless got is want within 1e-5 of 1 plus the value.
func same(t *testing.T, got []float32, want matrix) {
	t.Helper()
	n := 0
	for i, row := range want {
		for j, w := range row {
			if n >= len(got) {
				t.Fatalf("%d values, want more", len(got))
			}
			if !(math.Abs(float64(got[n])-w) <= 1e-5*(1+math.Abs(w))) {
				t.Fatalf("row %d, column %d: %v, want %v", i, j, got[n], w)
			}
			n++
		}
	}
	if n != len(got) || n == 0 {
		t.Fatalf("%d values, want %d", len(got), n)
	}
}

// embedded is what Embed makes of packed's tokens.
func embedded(table matrix) matrix {
	var x matrix
	for _, id := range packed().Tokens {
		row := make([]float64, width)
		if id >= 0 {
			copy(row, table[id])
		}
		x = append(x, row)
	}
	return x
}

func TestEmbedForward(t *testing.T) {
	f := newFixture(t)
	a := f.array(6, width)
	table := &autodiff.Table{Weight: compute.SharedF32(a)}
	got := f.output(false, packed(), width, func(g *autodiff.Graph) autodiff.Value { return g.Embed(table) })
	same(t, got, embedded(f.matrix(a)))
}

// testForward compares build's output of embedded tokens with want.
func testForward(t *testing.T, cols int, build func(f *fixture) (func(g *autodiff.Graph, x autodiff.Value) autodiff.Value, func(x matrix) matrix)) {
	t.Helper()
	f := newFixture(t)
	a := f.array(6, width)
	fast, plain := build(f)
	for _, train := range []bool{false, true} {
		table := &autodiff.Table{Weight: compute.SharedF32(a), Param: f.param(a, train)}
		got := f.output(train, packed(), cols, func(g *autodiff.Graph) autodiff.Value { return fast(g, g.Embed(table)) })
		same(t, got, plain(embedded(f.matrix(a))))
	}
}

func TestRMSNormForward(t *testing.T) {
	testForward(t, width, func(f *fixture) (func(*autodiff.Graph, autodiff.Value) autodiff.Value, func(matrix) matrix) {
		gain := f.gain(width, false)
		plain := func(x matrix) matrix {
			for _, row := range x {
				squares := 0.0
				for _, v := range row {
					squares += v * v
				}
				for j := range row {
					row[j] *= f.matrix(gain.Values)[0][j] / math.Sqrt(squares/width+1e-3)
				}
			}
			return x
		}
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.RMSNorm(x, gain, 1e-3) }, plain
	})
}

func TestLinearForward(t *testing.T) {
	testForward(t, 15, func(f *fixture) (func(*autodiff.Graph, autodiff.Value) autodiff.Value, func(matrix) matrix) {
		l := f.linear(width, part{out: 4, bias: true}, part{out: 5, lora: true}, part{out: 6, bias: true, lora: true})
		plain := func(x matrix) matrix {
			y := make(matrix, len(x))
			for _, p := range l.Parts {
				base := x.timesTransposed(f.matrix(p.Weight.Array()))
				for i := range base {
					for j := range base[i] {
						if p.Bias != nil {
							base[i][j] += f.matrix(p.Bias)[0][j]
						}
						if p.LoRA != nil {
							low := x[i : i+1].timesTransposed(f.matrix(p.LoRA.A.Value)).timesTransposed(f.matrix(p.LoRA.B.Value))
							base[i][j] += 1.5 * low[0][j]
						}
					}
					y[i] = append(y[i], base[i]...)
				}
			}
			return y
		}
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Linear(x, l) }, plain
	})
}

func TestAddForward(t *testing.T) {
	testForward(t, width, func(f *fixture) (func(*autodiff.Graph, autodiff.Value) autodiff.Value, func(matrix) matrix) {
		l := f.linear(width, part{out: width})
		plain := func(x matrix) matrix {
			y := x.timesTransposed(f.matrix(l.Parts[0].Weight.Array()))
			for i := range y {
				for j := range y[i] {
					y[i][j] += x[i][j]
				}
			}
			return y
		}
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Add(x, g.Linear(x, l)) }, plain
	})
}

func TestGLUForward(t *testing.T) {
	for name, c := range map[string]struct {
		act   compute.Activation
		plain func(x float64) float64
	}{
		"SiLU": {compute.SiLU, func(x float64) float64 { return x / (1 + math.Exp(-x)) }},
		"GELU": {compute.GELUTanh, func(x float64) float64 {
			return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			testForward(t, width/2, func(*fixture) (func(*autodiff.Graph, autodiff.Value) autodiff.Value, func(matrix) matrix) {
				plain := func(x matrix) matrix {
					for i, row := range x {
						for j := range width / 2 {
							row[j] = c.plain(row[j]) * row[width/2+j]
						}
						x[i] = row[:width/2]
					}
					return x
				}
				return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.GLU(x, c.act) }, plain
			})
		})
	}
}

func TestAttentionForward(t *testing.T) {
	a := attention()
	testForward(t, a.Heads*a.HeadDim, func(f *fixture) (func(*autodiff.Graph, autodiff.Value) autodiff.Value, func(matrix) matrix) {
		l := f.linear(width, part{out: a.Cols()})
		plain := func(x matrix) matrix {
			return plainAttention(x.timesTransposed(f.matrix(l.Parts[0].Weight.Array())), a, packed())
		}
		return func(g *autodiff.Graph, x autodiff.Value) autodiff.Value { return g.Attention(g.Linear(x, l), a) }, plain
	})
}

func plainAttention(qkv matrix, a *autodiff.Attention, in autodiff.Inputs) matrix {
	kAt, vAt := a.Heads*a.HeadDim, (a.Heads+a.KVHeads)*a.HeadDim
	y := make(matrix, len(qkv))
	for i := range qkv {
		for h := range a.Heads {
			kv := h / (a.Heads / a.KVHeads) * a.HeadDim
			q := rotated(qkv[i][h*a.HeadDim:][:a.HeadDim], a, in.Positions[i])
			out, total := make([]float64, a.HeadDim), 0.0
			for j := int(in.From[i]); j <= i; j++ {
				k, score := rotated(qkv[j][kAt+kv:][:a.HeadDim], a, in.Positions[j]), 0.0
				for e := range q {
					score += q[e] * k[e]
				}
				weight := math.Exp(score * float64(a.Scale))
				total += weight
				for e := range out {
					out[e] += weight * qkv[j][vAt+kv+e]
				}
			}
			for _, v := range out {
				y[i] = append(y[i], v/total)
			}
		}
	}
	return y
}

// rotated turns the pairs (j, j+E/2) of a head.
func rotated(x []float64, a *autodiff.Attention, position int32) []float64 {
	half, y := len(x)/2, make([]float64, len(x))
	for j := range half {
		sin, cos := math.Sincos(float64(position) * a.Rotation.Frequencies[j])
		y[j], y[j+half] = x[j]*cos-x[j+half]*sin, x[j+half]*cos+x[j]*sin
	}
	return y
}

func TestDropoutForward(t *testing.T) {
	f := newFixture(t)
	a := f.array(6, width)
	table := &autodiff.Table{Weight: compute.SharedF32(a), Param: f.param(a, true)}
	x := embedded(f.matrix(a))
	build := func(g *autodiff.Graph) autodiff.Value { return g.Dropout(g.Embed(table), 0.25) }
	same(t, f.output(false, packed(), width, build), x) // not training: x itself
	kept, dropped := 0, 0
	for key := range uint64(40) {
		in := packed()
		in.DropoutKey = key
		for i, v := range f.output(true, in, width, build) {
			switch want := x[i/width][i%width]; {
			case v == 0 && want != 0:
				dropped++
			case want != 0:
				kept++
				if !(math.Abs(float64(v)-want/0.75) < 1e-6) {
					t.Fatalf("value %d: %v, want %v or 0", i, v, want/0.75)
				}
			}
		}
	}
	if share := float64(dropped) / float64(kept+dropped); !(math.Abs(share-0.25) < 0.03) {
		t.Errorf("%v of the values were dropped, want 0.25", share)
	}
}

func TestHeadForward(t *testing.T) {
	f := newFixture(t)
	a, w := f.array(6, width), f.array(9, width)
	x := embedded(f.matrix(a)).timesTransposed(f.matrix(w))
	want, targets := 0.0, []int32{8, 0, 3}
	in := packed()
	in.Rows, in.Loss = []int32{1, 4, 5}, crossEntropy(targets...)
	for i, r := range in.Rows {
		total := 0.0
		for _, v := range x[r] {
			total += math.Exp(v)
		}
		want += math.Log(total) - x[r][targets[i]]
	}
	got := f.run(false, in, func(g *autodiff.Graph) {
		g.Head(g.Embed(&autodiff.Table{Weight: compute.SharedF32(a)}), &autodiff.Table{Weight: compute.SharedF32(w)})
	})
	if !(math.Abs(got-want) < 1e-5) {
		t.Errorf("loss %v, want %v", got, want)
	}
}
