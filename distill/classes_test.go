package distill_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/random"
)

// classCase is rows of logits of a classifier with all that their loss depends on.
type classCase struct {
	options distill.Options
	teacher [][]float64 // by example
	logits  []float32   // (N, labels)
	batch   datasets.Batch
}

func randomClasses() *classCase {
	const rows, labels = 7, 20 // of a stride that is not their number
	rng := random.Stream(1, "classes")
	c := &classCase{logits: normal(rng, rows*labels, 2)}
	for i := range rows {
		c.teacher = append(c.teacher, softmax(doublesOf(normal(rng, labels, 1.5)), 1))
		c.batch.Example = append(c.batch.Example, int32(rows-1-i))
		c.batch.Targets = append(c.batch.Targets, int32(rng.IntN(labels)))
		c.batch.Weights = append(c.batch.Weights, float32(1+i%3))
	}
	return c
}

func doublesOf(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// reference is the loss by its definition.
func (c *classCase) reference(logits []float64) float64 {
	o := c.options.WithDefaults()
	beta := map[string]float64{distill.ForwardKL: 0, distill.ReverseKL: 1}[o.Divergence]
	if o.Divergence == distill.JSD {
		beta = *o.Beta
	}
	sum, labels := 0.0, len(c.teacher[0])
	for i, w := range c.batch.Weights {
		row := logits[i*labels : (i+1)*labels]
		p := softmax(row, 1)
		value := divergenceRef(c.teacher[c.batch.Example[i]], p, beta, o.Temperature)
		sum += float64(w) * (*o.Alpha*value - (1-*o.Alpha)*math.Log(p[c.batch.Targets[i]]))
	}
	return sum
}

// run is the loss and its gradient, two rows at a time.
func (c *classCase) run(t *testing.T) (float64, []float32) {
	t.Helper()
	objective, err := distill.NewClassObjective(c.options, c.teacher)
	if err != nil {
		t.Fatal(err)
	}
	n, labels := len(c.batch.Targets), len(c.teacher[0])
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	loss, err := objective.RowLoss(c.batch, rows)
	if err != nil {
		t.Fatal(err)
	}
	dev, stride := cpu.New(1), labels+12
	m := compute.Mat{Array: dev.New(n, stride), Rows: n, Cols: labels, Stride: stride}
	for i := range n {
		copy(dev.Host(m.RowRange(i, i+1)), c.logits[i*labels:])
	}
	sum, grad := 0.0, []float32(nil)
	for from := 0; from < n; from += 2 {
		to := min(from+2, n)
		part, err := loss(dev, m.RowRange(from, to), from, to)
		if err != nil {
			t.Fatal(err)
		}
		sum += part
	}
	for i := range n {
		grad = append(grad, dev.Host(m.RowRange(i, i+1))...)
	}
	return sum, grad
}

func TestClassLossIsItsDefinition(t *testing.T) {
	for name, o := range everyDivergence() {
		c := randomClasses()
		c.options = o
		if o.ForClasses() != nil {
			if _, err := distill.NewClassObjective(o, c.teacher); err == nil || !strings.Contains(err.Error(), "divergence: uld") {
				t.Errorf("%s: %v, want a refusal", name, err)
			}
			continue
		}
		logits := doublesOf(c.logits)
		sum, grad := c.run(t)
		if want := c.reference(logits); !(math.Abs(sum-want) <= 1e-6*(1+math.Abs(want))) {
			t.Errorf("%s: loss %v, want %v", name, sum, want)
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
				t.Fatalf("%s: gradient of logit %d is %v, want %v", name, i, grad[i], want)
			}
		}
	}
}

// A teacher that is sure gives finite numbers, those of the labels' cross-entropy.
func TestClassLossOfASureTeacher(t *testing.T) {
	for _, divergence := range []string{distill.ForwardKL, distill.ReverseKL, distill.JSD} {
		c := randomClasses()
		c.options = distill.Options{Divergence: divergence}
		for i := range c.teacher {
			clear(c.teacher[i])
			c.teacher[i][c.batch.Targets[len(c.teacher)-1-i]] = 1
		}
		sum, grad := c.run(t)
		alpha := 0.0
		c.options = distill.Options{Alpha: &alpha}
		want, _ := c.run(t)
		if divergence == distill.ForwardKL && !(math.Abs(sum-want) <= 1e-5*want) {
			t.Errorf("loss %v, want the cross-entropy %v", sum, want)
		}
		if math.IsInf(sum, 0) || slices.ContainsFunc(grad, func(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }) || math.IsNaN(sum) {
			t.Errorf("%s: loss %v, gradient %v", divergence, sum, grad)
		}
	}
}

func TestClassObjectiveRefuses(t *testing.T) {
	for want, teacher := range map[string][][]float64{
		"example 1: the labels' probabilities sum to 0.8": {{1, 0}, {0.5, 0.3}}, "example 0: probability -0.1 of label 1": {{1.1 - 0.1, -0.1}},
		"example 0: probability NaN": {{math.NaN(), 1}}, "example 0: the labels' probabilities sum to 0,": {{}},
	} {
		if _, err := distill.NewClassObjective(distill.Options{}, teacher); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if _, err := distill.NewClassObjective(distill.Options{Divergence: "x"}, nil); err == nil {
		t.Error("no error of a divergence that is none")
	}
	objective, err := distill.NewClassObjective(distill.Options{}, [][]float64{{0.5, 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := objective.RowLoss(datasets.Batch{Example: []int32{1}, Targets: []int32{0}, Weights: []float32{1}}, []int32{0}); err == nil || !strings.Contains(err.Error(), "example 1") {
		t.Errorf("error %v, want one of example 1", err)
	}
	dev := cpu.New(1)
	for name, c := range map[string]struct {
		target int32
		labels int
	}{"more labels": {0, 3}, "a class outside": {2, 2}, "no class": {-1, 2}} {
		loss, err := objective.RowLoss(datasets.Batch{Example: []int32{0}, Targets: []int32{c.target}, Weights: []float32{1}}, []int32{0})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := loss(dev, compute.Of(dev.New(1, c.labels)), 0, 1); err == nil || !strings.Contains(err.Error(), "example 0") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
