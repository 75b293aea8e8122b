package model_test

import (
	"math"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gradcheck"
	"github.com/retort-ml/retort/internal/model"
)

// pack is sequences one after another as the rows of a graph, padded to n;
// every token but a sequence's last predicts the next.
func pack(n int, sequences ...[]int32) autodiff.Inputs {
	var in autodiff.Inputs
	var targets []int32
	for _, s := range sequences {
		from := int32(len(in.Tokens))
		for i, id := range s {
			if i < len(s)-1 {
				in.Rows, targets = append(in.Rows, from+int32(i)), append(targets, s[i+1])
			}
			in.Tokens, in.Positions, in.From = append(in.Tokens, id), append(in.Positions, int32(i)), append(in.From, from)
		}
	}
	for i := len(in.Tokens); i < n; i++ {
		in.Tokens, in.Positions, in.From = append(in.Tokens, -1), append(in.Positions, 0), append(in.From, int32(i))
	}
	in.Loss = crossEntropy(targets)
	return in
}

// lossAndGradients is the sum over runs of one graph.
func lossAndGradients(t *testing.T, m *model.Model, rows int, inputs ...autodiff.Inputs) (float64, [][]float32) {
	t.Helper()
	g, err := m.Graph(rows, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, in := range inputs {
		sum, err := g.Run(in)
		if err != nil {
			t.Fatal(err)
		}
		total += sum
	}
	var grads [][]float32
	for _, p := range m.Params() {
		values := m.Device().Host(compute.Of(p.Grad))
		grads = append(grads, slices.Clone(values))
		clear(values)
	}
	return total, grads
}

var trainings = []struct {
	name   string
	tied   bool
	change func(t *testing.T, m *model.Model)
}{
	{"all weights, tied", true, unfreeze},
	{"all weights, untied", false, unfreeze},
	{"low rank", false, func(t *testing.T, m *model.Model) { addNonzeroLoRA(t, m, model.LoRA{R: 3}) }},
}

func unfreeze(t *testing.T, m *model.Model) {
	if err := m.Unfreeze(); err != nil {
		t.Fatal(err)
	}
}

func TestPackedRowsAreSeparateSequences(t *testing.T) {
	a, b, c := []int32{1, 2, 3, 4, 5}, []int32{6, 2, 10}, []int32{0, 7, 7, 9, 2, 1, 3}
	for _, training := range trainings {
		t.Run(training.name, func(t *testing.T) {
			m := tiny(t, training.tied)
			training.change(t, m)
			loss, grads := lossAndGradients(t, m, 20, pack(20, a, b, c))
			wantLoss, want := lossAndGradients(t, m, 7, pack(7, a), pack(7, b), pack(7, c))
			nearNumber(t, "packed loss", loss, wantLoss, 1e-6)
			for i, p := range m.Params() {
				nearNorm(t, "gradient of "+p.Name, grads[i], want[i], 1e-5)
			}
			// What one sequence holds does not reach the others.
			other, _ := lossAndGradients(t, m, 20, pack(20, a, []int32{3, 3, 3}, c))
			alone, _ := lossAndGradients(t, m, 7, pack(7, b))
			third, _ := lossAndGradients(t, m, 7, pack(7, []int32{3, 3, 3}))
			nearNumber(t, "loss of the others", other-third, loss-alone, 1e-6)
		})
	}
}

func TestGradientsOfEveryParameter(t *testing.T) {
	in := pack(9, []int32{1, 2, 3, 2, 5}, []int32{6, 2, 10})
	for _, training := range trainings {
		t.Run(training.name, func(t *testing.T) {
			m := tiny(t, training.tied)
			training.change(t, m)
			_, grads := lossAndGradients(t, m, 9, in)
			g, err := m.Graph(9, false, 0)
			if err != nil {
				t.Fatal(err)
			}
			loss := func() float64 {
				sum, err := g.Run(in)
				if err != nil {
					t.Fatal(err)
				}
				return sum
			}
			for i, p := range m.Params() {
				values := m.Device().Host(compute.Of(p.Value))
				n := min(len(values), 12) // enough to see a wrong one
				want := gradcheck.Numeric(loss, values[:n], 1.0/64)
				if err := gradcheck.Compare(grads[i][:n], want, 5e-3); err != nil {
					t.Errorf("gradient of %s: %v", p.Name, err)
				}
			}
		})
	}
}

func TestUnfreezeTrainsEveryWeight(t *testing.T) {
	for _, tied := range []bool{true, false} {
		m := tiny(t, tied)
		want := rowLogits(t, m, []int32{1, 2, 3})
		unfreeze(t, m)
		n, names := 0, map[string]bool{}
		for _, p := range m.Params() {
			n += p.Value.Shape().TotalSize()
			names[p.Name] = true
		}
		if n != m.Parameters() || len(names) != len(m.Params()) || names["lm_head.weight"] == tied {
			t.Errorf("tied %v: %d values of %d in %v", tied, n, m.Parameters(), names)
		}
		if !slices.Equal(rowLogits(t, m, []int32{1, 2, 3}), want) {
			t.Error("unfreezing changed the logits")
		}
		// What changes a Param changes the model.
		for _, p := range m.Params() {
			m.Device().Host(compute.Of(p.Value))[0] += 0.25
			got := rowLogits(t, m, []int32{0, 1, 2, 3})
			m.Device().Host(compute.Of(p.Value))[0] -= 0.25
			if slices.Equal(got, rowLogits(t, m, []int32{0, 1, 2, 3})) {
				t.Errorf("%s changes nothing", p.Name)
			}
		}
	}
}

func TestGraphOfAFrozenModel(t *testing.T) {
	m := tiny(t, true)
	g, err := m.Graph(5, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.Run(pack(5, []int32{1, 2, 3}))
	fails(t, err, "nothing to train")
	if _, err := m.Graph(0, false, 0); err == nil {
		t.Error("no error from a graph of no rows")
	}
	_, err = m.Graph(3, true, 1)
	fails(t, err, "embedding", "dropout", "1")
}

func TestDropoutIsForTrainingOnly(t *testing.T) {
	m := tiny(t, true)
	unfreeze(t, m)
	in := pack(5, []int32{1, 2, 3, 4, 5})
	loss := func(train bool, dropout float32, key uint64) float64 {
		g, err := m.Graph(5, train, dropout)
		if err != nil {
			t.Fatal(err)
		}
		in.DropoutKey = key
		sum, err := g.Run(in)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	plain := loss(false, 0, 1)
	if loss(false, 0.3, 1) != plain || loss(true, 0, 1) != plain {
		t.Error("dropout without training, or training without dropout, changes the loss")
	}
	if a := loss(true, 0.3, 1); a == plain || a != loss(true, 0.3, 1) || a == loss(true, 0.3, 2) || math.IsNaN(a) {
		t.Errorf("loss %v with dropout, %v without", a, plain)
	}
}
