package distill_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
)

// lossCase is rows of logits with everything that their loss depends on.
type lossCase struct {
	v       int
	options distill.Options
	logits  []float32           // (N,V)
	top     [][]model.TopTokens // per example; nil: no distribution, a prompt token
	target  []int32             // (N)
	weight  []float32           // (N)
}

// batch lays the rows out one after the other: row i is the place-th token of
// example e, or a prompt token.
func (c *lossCase) batch() (datasets.Batch, []int32, *distill.TopTable) {
	n := len(c.target)
	b := datasets.Batch{B: 1, T: n, Targets: c.target, Weights: c.weight}
	var table *distill.TopTable
	row := 0
	for e, places := range c.top {
		if places == nil {
			b.Example, b.Offset = append(b.Example, int32(e)), append(b.Offset, -1)
			row++
		}
		for o := range places {
			if table == nil {
				table = distill.NewTopTable(len(places[0].IDs))
			}
			b.Example, b.Offset = append(b.Example, int32(e)), append(b.Offset, int32(o))
			row++
		}
	}
	if table == nil {
		table = distill.NewTopTable(1)
	}
	for _, places := range c.top {
		if err := table.Append(places); err != nil {
			panic(err)
		}
	}
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	return b, rows, table
}

// run returns the loss and its gradient in the logits.
func (c *lossCase) run(t *testing.T) (float64, []float32) {
	t.Helper()
	b, rows, table := c.batch()
	o, err := distill.NewObjective(c.options, table)
	if err != nil {
		t.Fatal(err)
	}
	loss, err := o.RowLoss(b, rows)
	if err != nil {
		t.Fatal(err)
	}
	dev := cpu.New(2)
	logits := compute.Of(dev.New(len(rows), c.v))
	copy(dev.Host(logits), c.logits)
	sum, err := loss(dev, logits, 0, len(rows))
	if err != nil {
		t.Fatal(err)
	}
	return sum, slices.Clone(dev.Host(logits))
}

// reference is the loss by its definition, in float64 and without tricks.
func (c *lossCase) reference(logits []float64) float64 {
	o := c.options.WithDefaults()
	beta := map[string]float64{distill.ForwardKL: 0, distill.ReverseKL: 1}[o.Divergence]
	if o.Divergence == distill.JSD {
		beta = *o.Beta
	}
	total, i := 0.0, 0
	row := func(top *model.TopTokens) {
		p := softmax(logits[i*c.v:(i+1)*c.v], 1)
		cross := -math.Log(p[c.target[i]])
		value := cross
		if top != nil {
			if o.Divergence == distill.ULD {
				p = slices.Sorted(slices.Values(p))
				slices.Reverse(p)
				top = &model.TopTokens{IDs: ranks(len(top.IDs)), LogProbs: top.LogProbs}
			}
			teacher, student := collapse(top, p)
			if o.Divergence == distill.ULD {
				beta = math.NaN()
			}
			value = *o.Alpha*divergenceRef(teacher, student, beta, o.Temperature) + (1-*o.Alpha)*cross
		}
		total += float64(c.weight[i]) * value
		i++
	}
	for _, places := range c.top {
		if places == nil {
			row(nil)
		}
		for o := range places {
			row(&places[o])
		}
	}
	return total
}

// ranks are 0, 1, … n−1.
func ranks(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(i)
	}
	return list
}

// collapse returns both distributions over the stored tokens and the rest.
func collapse(top *model.TopTokens, p []float64) (teacher, student []float64) {
	rest, restStudent := 1.0, 1.0
	for j, id := range top.IDs {
		q := math.Exp(float64(top.LogProbs[j]))
		teacher, student = append(teacher, q), append(student, p[id])
		rest, restStudent = rest-q, restStudent-p[id]
	}
	if len(top.IDs) < len(p) {
		teacher, student = append(teacher, max(rest, 1e-8)), append(student, max(restStudent, 1e-30))
	}
	return teacher, student
}

func divergenceRef(teacher, student []float64, beta, temperature float64) float64 {
	t, s := tempered(teacher, temperature), tempered(student, temperature)
	kl := func(p, q []float64) float64 {
		sum := 0.0
		for j := range p {
			if p[j] > 0 {
				sum += p[j] * math.Log(p[j]/q[j])
			}
		}
		return sum
	}
	switch {
	case beta == 0:
		return kl(t, s)
	case beta == 1:
		return kl(s, t)
	case math.IsNaN(beta): // universal
		sum := 0.0
		for j := range t {
			sum += math.Abs(t[j] - s[j])
		}
		return sum
	}
	m := make([]float64, len(t))
	for j := range m {
		m[j] = beta*t[j] + (1-beta)*s[j]
	}
	return beta*kl(t, m) + (1-beta)*kl(s, m)
}

func tempered(p []float64, temperature float64) []float64 {
	logs := make([]float64, len(p))
	for j := range p {
		logs[j] = math.Log(p[j])
	}
	return softmax(logs, temperature)
}

func softmax(x []float64, temperature float64) []float64 {
	out, sum := make([]float64, len(x)), 0.0
	top := slices.Max(x)
	for j := range x {
		out[j] = math.Exp((x[j] - top) / temperature)
		sum += out[j]
	}
	for j := range out {
		out[j] /= sum
	}
	return out
}

// topOf is the k likeliest of a distribution given by logits.
func topOf(logits []float32, k int) model.TopTokens {
	wide := make([]float64, len(logits))
	for j, x := range logits {
		wide[j] = float64(x)
	}
	p := softmax(wide, 1)
	ids := make([]int32, len(p))
	for j := range ids {
		ids[j] = int32(j)
	}
	slices.SortStableFunc(ids, func(a, b int32) int {
		if p[a] > p[b] {
			return -1
		}
		return 1
	})
	top := model.TopTokens{IDs: ids[:k]}
	for _, id := range top.IDs {
		top.LogProbs = append(top.LogProbs, float32(math.Log(p[id])))
	}
	return top
}

func normal(rng *rand.Rand, n int, scale float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(scale * rng.NormFloat64())
	}
	return x
}

// randomCase has answers of 2, 0 and 3 tokens and two prompt tokens.
func randomCase(seed uint64, v, k int, o distill.Options) *lossCase {
	rng := rand.New(rand.NewPCG(seed, 1))
	c := &lossCase{v: v, options: o}
	row := func() {
		c.logits = append(c.logits, normal(rng, v, 2)...)
		c.target, c.weight = append(c.target, rng.Int32N(int32(v))), append(c.weight, float32(0.25+rng.Float64()))
	}
	for _, n := range []int{2, -1, 3, -1} {
		var places []model.TopTokens
		for range n {
			places = append(places, topOf(normal(rng, v, 2), k))
			row()
		}
		if n < 0 {
			row()
		}
		c.top = append(c.top, places)
	}
	// A target among the stored tokens, and one outside.
	c.target[0], c.target[1] = c.top[0][0].IDs[0], c.top[0][1].IDs[k-1]
	return c
}

func everyDivergence() map[string]distill.Options {
	list := map[string]distill.Options{}
	for _, temperature := range []float64{0.5, 1, 3} {
		for _, alpha := range []float64{0, 0.3, 1} {
			at := fmt.Sprintf(" T=%v alpha=%v", temperature, alpha)
			list["forward"+at] = distill.Options{Alpha: &alpha, Temperature: temperature}
			list["reverse"+at] = distill.Options{Alpha: &alpha, Temperature: temperature, Divergence: distill.ReverseKL}
			list["uld"+at] = distill.Options{Alpha: &alpha, Temperature: temperature, Divergence: distill.ULD}
			for _, beta := range []float64{0.1, 0.5, 0.9} {
				list[fmt.Sprintf("jsd %v%s", beta, at)] = distill.Options{Alpha: &alpha, Temperature: temperature, Divergence: distill.JSD, Beta: &beta}
			}
		}
	}
	return list
}

func TestLossIsItsDefinition(t *testing.T) {
	for name, o := range everyDivergence() {
		for _, k := range []int{1, 5, 12, 13} { // with a tail, with one token in it, without
			c := randomCase(7, 13, k, o)
			logits := make([]float64, len(c.logits))
			for i, x := range c.logits {
				logits[i] = float64(x)
			}
			sum, grad := c.run(t)
			if want := c.reference(logits); !(math.Abs(sum-want) <= 2e-6*(1+math.Abs(want))) {
				t.Errorf("%s, K=%d: loss %v, want %v", name, k, sum, want)
			}
			const eps = 1e-5
			for i := range logits {
				x := logits[i]
				logits[i] = x + eps
				up := c.reference(logits)
				logits[i] = x - eps
				down := c.reference(logits)
				logits[i] = x
				if want := (up - down) / (2 * eps); !(math.Abs(float64(grad[i])-want) <= 2e-6+2e-5*math.Abs(want)) {
					t.Fatalf("%s, K=%d: gradient of logit %d of row %d is %v, want %v", name, k, i%c.v, i/c.v, grad[i], want)
				}
			}
		}
	}
}

func TestEqualDistributionsDoNotDiverge(t *testing.T) {
	for name, o := range everyDivergence() {
		if *o.Alpha != 1 {
			continue
		}
		for _, k := range []int{4, 31} {
			rng := rand.New(rand.NewPCG(3, 4))
			c := &lossCase{v: 31, options: o, logits: normal(rng, 31, 2), target: []int32{3}, weight: []float32{1}}
			c.top = [][]model.TopTokens{{topOf(c.logits, k)}}
			sum, grad := c.run(t)
			if !(math.Abs(sum) <= 1e-7) {
				t.Errorf("%s, K=%d: D(p,p) = %v", name, k, sum)
			}
			if o.Divergence == distill.ULD {
				continue // its gradient jumps where the two are equal
			}
			for j, g := range grad {
				if !(math.Abs(float64(g)) <= 1e-6) {
					t.Errorf("%s, K=%d: gradient %v at %d of D(p,p)", name, k, g, j)
				}
			}
		}
	}
}

// Extremes: a student that is certain, right or wrong, about what the teacher
// stored, and a teacher whose stored tokens have all the mass.
func TestLossOfExtremes(t *testing.T) {
	const v = 50
	certain := func(id int) []float32 {
		x := make([]float32, v)
		x[id] = 200
		return x
	}
	flat := make([]float32, v)
	for name, o := range everyDivergence() {
		for what, pair := range map[string][2][]float32{
			"right": {certain(3), certain(3)}, "wrong": {certain(3), certain(40)},
			"unsure": {certain(3), flat}, "too sure": {flat, certain(3)},
		} {
			c := &lossCase{v: v, options: o, logits: slices.Clone(pair[1]), target: []int32{3}, weight: []float32{1}}
			top := topOf(pair[0], 5)
			for j := range top.LogProbs { // log of what underflows
				top.LogProbs[j] = max(top.LogProbs[j], -200)
			}
			c.top = [][]model.TopTokens{{top}}
			sum, grad := c.run(t)
			if !(sum > -1e-5 && sum < 1000) {
				t.Errorf("%s, %s: loss %v", name, what, sum)
			}
			total := 0.0
			for _, g := range grad {
				total += float64(g)
			}
			if !(math.Abs(total) <= 1e-4) { // logits may be shifted freely
				t.Errorf("%s, %s: the gradient adds up to %v", name, what, total)
			}
		}
	}
}

func TestLossIsTheSameAtAnyThreadCount(t *testing.T) {
	c := randomCase(11, 300, 40, distill.Options{Alpha: new(0.7), Temperature: 2, Divergence: distill.JSD})
	sum, grad := c.run(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, threads := range []int{1, 2, 7} {
		runtime.GOMAXPROCS(threads)
		if s, g := c.run(t); s != sum || !slices.Equal(g, grad) {
			t.Errorf("with %d threads the loss is %v, not %v, or the gradient differs", threads, s, sum)
		}
	}
}

func TestNaNLogitsAreSeen(t *testing.T) {
	for _, k := range []int{3, 9} {
		c := randomCase(2, 9, k, distill.Options{})
		c.logits[4] = float32(math.NaN())
		if sum, _ := c.run(t); !math.IsNaN(sum) {
			t.Errorf("K=%d: loss %v of a NaN", k, sum)
		}
	}
}

func TestObjectiveRefuses(t *testing.T) {
	cases := []struct {
		name   string
		change func(c *lossCase, b *datasets.Batch)
		want   string
	}{
		{"no distribution for a token", func(_ *lossCase, b *datasets.Batch) { b.Offset[1] = 2 }, "example 0: the teacher's probabilities end after 2 tokens, and token 2"},
		{"no such example", func(_ *lossCase, b *datasets.Batch) { b.Example[1] = 4 }, "example 4 is not among the 4 answers"},
		{"negative example", func(_ *lossCase, b *datasets.Batch) { b.Example[1] = -1 }, "example -1 is not"},
		{"target outside", func(_ *lossCase, b *datasets.Batch) { b.Targets[3] = 30 }, "example 2: target token id 30"},
		{"no target", func(_ *lossCase, b *datasets.Batch) { b.Targets[3] = -1 }, "example 2: target token id -1"},
		{"larger teacher vocabulary", func(c *lossCase, _ *datasets.Batch) { c.v = 5; c.logits = c.logits[:7*5] }, "outside the student's vocabulary of 5"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := randomCase(5, 30, 4, distill.Options{})
			l.target = []int32{0, 1, 2, 3, 4, 0, 1}
			b, rows, table := l.batch()
			c.change(l, &b)
			o, err := distill.NewObjective(l.options, table)
			if err != nil {
				t.Fatal(err)
			}
			loss, err := o.RowLoss(b, rows)
			if err == nil {
				dev := cpu.New(1)
				_, err = loss(dev, compute.Of(dev.New(len(rows), l.v)), 0, len(rows))
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	if _, err := distill.NewObjective(distill.Options{}, nil); err == nil {
		t.Error("no table: no error")
	}
	if _, err := distill.NewObjective(distill.Options{Temperature: -1}, distill.NewTopTable(1)); err == nil {
		t.Error("temperature -1: no error")
	}
}
