package distill

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/gradcheck"
	"github.com/retort-ml/retort/internal/model"
)

// likeliestRef sorts all.
func likeliestRef(logits []float32, k int) []int32 {
	ids := make([]int32, len(logits))
	for i := range ids {
		ids[i] = int32(i)
	}
	slices.SortStableFunc(ids, func(a, b int32) int {
		switch x, y := orLeast(logits[a]), orLeast(logits[b]); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return ids[:min(k, len(ids))]
}

func TestLikeliest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var s rowScratch
	for _, v := range []int{1, 2, 7, 8, 9, 31, 100, 1000} {
		for _, k := range []int{0, 1, 2, 3, 7, 8, 31, 64, v - 1, v, v + 1} {
			for name, value := range map[string]func(i int) float32{
				"random":     func(int) float32 { return float32(rng.NormFloat64()) },
				"ties":       func(int) float32 { return float32(rng.IntN(4)) },
				"equal":      func(int) float32 { return 3 },
				"ascending":  func(i int) float32 { return float32(i) },
				"descending": func(i int) float32 { return float32(-i) },
				"infinite":   func(int) float32 { return float32(math.Inf(rng.IntN(2)*2 - 1)) },
				"NaN":        func(i int) float32 { return []float32{1, float32(math.NaN()), float32(i)}[rng.IntN(3)] },
			} {
				logits := make([]float32, v)
				for i := range logits {
					logits[i] = value(i)
				}
				if got, want := s.likeliest(logits, k), likeliestRef(logits, k); !slices.Equal(got, want) {
					t.Fatalf("%s, V=%d, K=%d: %v, want %v", name, v, k, got, want)
				}
			}
		}
	}
}

// uldLoss is the loss of one row of a teacher's probabilities, which are of a
// vocabulary that the student does not have.
func uldLoss(t *testing.T, o Options, logits []float32, q []float64) (float64, []float32) {
	t.Helper()
	top := model.TopTokens{}
	for j, p := range q {
		top.IDs, top.LogProbs = append(top.IDs, int32(1000+7*j)), append(top.LogProbs, float32(math.Log(p)))
	}
	table := NewTopTable(len(q))
	if err := table.Append([]model.TopTokens{top}); err != nil {
		t.Fatal(err)
	}
	o.Divergence = ULD
	objective, err := NewObjective(o, table)
	if err != nil {
		t.Fatal(err)
	}
	b := datasets.Batch{B: 1, T: 1, Targets: []int32{1}, Weights: []float32{1}, Example: []int32{0}, Offset: []int32{0}}
	loss, err := objective.RowLoss(b, []int32{0})
	if err != nil {
		t.Fatal(err)
	}
	dev := cpu.New(1)
	m := compute.Of(dev.New(1, len(logits)))
	copy(dev.Host(m), logits)
	sum, err := loss(dev, m, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	return sum, slices.Clone(dev.Host(m))
}

// Distances worked by hand.
func TestUniversalDistance(t *testing.T) {
	logs := func(p ...float64) []float32 {
		x := make([]float32, len(p))
		for i := range p {
			x[i] = float32(math.Log(p[i]))
		}
		return x
	}
	for _, c := range []struct {
		name    string
		student []float32
		teacher []float64
		want    float64
	}{
		{"equal, in another order", logs(.1, .6, .3), []float64{.6, .3, .1}, 0},
		{"the teacher's are not sorted", logs(.1, .6, .3), []float64{.1, .6, .3}, 0},
		{"a larger vocabulary's zeros", logs(.5, .3, .2), []float64{.7, .3}, .2 + 0 + .2},
		{"an unknown tail", logs(.5, .3, .1, .1), []float64{.6}, .1 + .1},
		{"equal with an unknown tail", logs(.1, .2, .5, .2), []float64{.5, .2}, 0},
		{"a smaller student", logs(.75, .25), []float64{.5, .3, .2}, .75 - .5/.8 + .3/.8 - .25},
	} {
		if got, _ := uldLoss(t, Options{}, c.student, c.teacher); !(math.Abs(got-c.want) <= 1e-6) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestUniversalGradient(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, o := range []Options{{}, {Alpha: new(0.4)}, {Temperature: 2}, {Temperature: 0.5, Alpha: new(0.9)}} {
		logits := make([]float32, 23)
		for i := range logits {
			logits[i] = float32(i%6) + float32(0.3*rng.Float64()) // no two change places within a step
		}
		rng.Shuffle(len(logits), func(i, j int) { logits[i], logits[j] = logits[j], logits[i] })
		q := []float64{.4, .25, .1, .05, .02}
		_, grad := uldLoss(t, o, logits, q)
		f := func() float64 { sum, _ := uldLoss(t, o, logits, q); return sum }
		if err := gradcheck.Compare(grad, gradcheck.Numeric(f, logits, 1.0/1024), 2e-3); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Where tokens are equally likely the gradient is a subgradient: finite, summing
// to 0, and going down along it does not go up.
func TestUniversalGradientOfTies(t *testing.T) {
	logits := []float32{2, 1, 1, 1, 0, 0}
	q := []float64{.3, .3, .2}
	before, grad := uldLoss(t, Options{}, logits, q)
	total := 0.0
	for i, g := range grad {
		total += float64(g)
		logits[i] -= 0.05 * g
	}
	if !(math.Abs(total) <= 1e-6) {
		t.Errorf("the gradient %v adds up to %v", grad, total)
	}
	if after, _ := uldLoss(t, Options{}, logits, q); !(after < before) {
		t.Errorf("the loss went from %v to %v", before, after)
	}
}

func BenchmarkUniversalRowLoss(b *testing.B) {
	const n, v, k = 64, 49_152, 64
	rng := rand.New(rand.NewPCG(1, 1))
	host := make([]float32, n*v)
	for i := range host {
		host[i] = float32(2 * rng.NormFloat64())
	}
	table := NewTopTable(k)
	var places []model.TopTokens
	batch := datasets.Batch{B: 1, T: n}
	for i := range n {
		top := model.TopTokens{}
		for j := range k {
			top.IDs, top.LogProbs = append(top.IDs, int32(j)), append(top.LogProbs, float32(-3-0.1*float64(j)))
		}
		places = append(places, top)
		batch.Targets, batch.Weights = append(batch.Targets, rng.Int32N(v)), append(batch.Weights, 1)
		batch.Example, batch.Offset = append(batch.Example, 0), append(batch.Offset, int32(i))
	}
	if err := table.Append(places); err != nil {
		b.Fatal(err)
	}
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	for _, divergence := range []string{ForwardKL, ULD} {
		b.Run(divergence, func(b *testing.B) {
			o, err := NewObjective(Options{Alpha: new(0.5), Divergence: divergence}, table)
			if err != nil {
				b.Fatal(err)
			}
			loss, err := o.RowLoss(batch, rows)
			if err != nil {
				b.Fatal(err)
			}
			dev := cpu.New(2)
			logits := compute.Of(dev.New(n, v))
			for b.Loop() {
				b.StopTimer()
				copy(dev.Host(logits), host)
				b.StartTimer()
				if _, err := loss(dev, logits, 0, n); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
