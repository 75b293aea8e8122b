package model_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/safetensors"
)

// The golden models are tiny ones written by transformers 4.53 with a PEFT 0.16
// adapter, and what those libraries compute with them in float32.
var goldenModels = []string{"llama-gqa", "llama-tied-mha", "qwen2-bias", "llama3-ropescaled", "mistral-window",
	"qwen3-qknorm", "phi3-fused", "gemma", "gemma2-softcap", "gemma3-text"}

func goldenDir(name string) string {
	dir := filepath.Join("testdata", "golden", name)
	if _, err := os.Stat(dir); err != nil {
		return filepath.Join("..", "..", "..", "shared", "golden", "hf", name)
	}
	return dir
}

// skipWithout skips a test of a golden model that is in neither place.
func skipWithout(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Stat(goldenDir(name)); err != nil {
		t.Skipf("needs %s", goldenDir(name))
	}
}

// golden reads the reference values.
type golden struct {
	t *testing.T
	f *safetensors.File
}

func openGolden(t *testing.T, name string) golden {
	t.Helper()
	skipWithout(t, name)
	f, err := safetensors.Open(filepath.Join(goldenDir(name), "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return golden{t, f}
}

func (g golden) floats(name string) []float32 {
	g.t.Helper()
	data, err := g.f.Bytes(name)
	if err != nil {
		g.t.Fatal(err)
	}
	w, err := compute.NewWeight(compute.F32, 1, len(data)/4, data)
	if err != nil {
		g.t.Fatal(err)
	}
	return slices.Clone(w.Floats())
}

func (g golden) ints(name string) []int32 {
	g.t.Helper()
	floats := g.floats(name) // the same four bytes a value
	out := make([]int32, len(floats))
	for i, v := range floats {
		out[i] = int32(math.Float32bits(v))
	}
	return out
}

func load(t *testing.T, name string) *model.Model {
	t.Helper()
	skipWithout(t, name)
	m, err := model.Load(cpu.New(2), goldenDir(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// goldenInputs is the golden batch (2,40) as rows of a graph, with the shifted
// cross-entropy as loss: position t predicts label t+1.
func goldenInputs(g golden) autodiff.Inputs {
	ids, labels := g.ints("input_ids"), g.ints("labels")
	const T = 40
	in := autodiff.Inputs{Tokens: ids}
	var targets []int32
	for i := range ids {
		in.Positions = append(in.Positions, int32(i%T))
		in.From = append(in.From, int32(i/T*T))
		if i%T < T-1 && labels[i+1] >= 0 {
			in.Rows = append(in.Rows, int32(i))
			targets = append(targets, labels[i+1])
		}
	}
	in.Loss = crossEntropy(targets)
	return in
}

func crossEntropy(targets []int32) autodiff.RowLoss {
	return func(dev compute.Device, logits compute.Mat, from, to int) (float64, error) {
		weights, losses := make([]float32, to-from), make([]float64, to-from)
		for i := range weights {
			weights[i] = 1
		}
		dev.CrossEntropy(logits, targets[from:to], weights, losses)
		sum := 0.0
		for _, l := range losses {
			sum += l
		}
		return sum, nil
	}
}

// near fails unless got and want agree within 2e-4 absolute + 2e-4 relative.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !(math.Abs(float64(got[i]-want[i])) <= 2e-4+2e-4*math.Abs(float64(want[i]))) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// nearNorm fails unless the difference's norm is within tol of want's.
func nearNorm(t *testing.T, what string, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	diff, norm := 0.0, 0.0
	for i := range got {
		diff += math.Pow(float64(got[i]-want[i]), 2)
		norm += math.Pow(float64(want[i]), 2)
	}
	if !(math.Sqrt(diff) <= tol*math.Sqrt(norm)) || norm == 0 {
		t.Errorf("%s: differs by %.3g of its norm %.3g", what, math.Sqrt(diff/norm), math.Sqrt(norm))
	}
}

func nearNumber(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol*math.Abs(want)) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// logitsOf decodes the golden batch: its two sequences in one step.
func logitsOf(t *testing.T, m *model.Model, ids []int32) []float32 {
	t.Helper()
	d := model.NewDecoder(m)
	h, err := d.Step([]model.Run{{Cache: d.NewCache(40), Tokens: ids[:40]}, {Cache: d.NewCache(40), Tokens: ids[40:]}})
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]int32, len(ids))
	for i := range rows {
		rows[i] = int32(i)
	}
	return m.Device().Host(d.Logits(h, rows))
}

func TestGoldenLogitsAndLoss(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			m, g := load(t, name), openGolden(t, name)
			near(t, "logits", logitsOf(t, m, g.ints("input_ids")), g.floats("logits"))
			in := goldenInputs(g)
			if len(in.Rows) != int(g.ints("loss_tokens")[0]) {
				t.Errorf("%d supervised tokens, want %d", len(in.Rows), g.ints("loss_tokens")[0])
			}
			graph, err := m.Graph(80, false, 0)
			if err != nil {
				t.Fatal(err)
			}
			sum, err := graph.Run(in)
			if err != nil {
				t.Fatal(err)
			}
			nearNumber(t, "loss", sum, float64(g.floats("loss_sum")[0]), 1e-5)
			nearNumber(t, "mean loss", sum/float64(len(in.Rows)), float64(g.floats("loss_mean")[0]), 1e-5)
		})
	}
}

func TestGoldenGreedyTokens(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			m, g := load(t, name), openGolden(t, name)
			want := g.ints("greedy_prompt12_new20")
			prompt := g.ints("input_ids")[:12]
			want = want[len(want)-20:]
			// Beside other prompts, so that batching and replacing are part of the test.
			prompts := [][]int32{g.ints("input_ids")[:3], prompt, g.ints("input_ids")[5:22], prompt}
			answers := map[int][]int32{}
			err := model.NewDecoder(m).Generate(t.Context(), prompts, model.GenerateOptions{MaxTokens: 20, Batch: 2},
				func(i int, a model.Answer) error { answers[i] = a.Tokens; return nil })
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range []int{1, 3} {
				if !slices.Equal(answers[i], want) {
					t.Errorf("answer %d: %v, want %v", i, answers[i], want)
				}
			}
		})
	}
}

func TestGoldenAdapter(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			m, g := load(t, name), openGolden(t, name)
			if err := m.LoadAdapter(filepath.Join(goldenDir(name), "adapter")); err != nil {
				t.Fatal(err)
			}
			want := g.floats("lora_logits")
			near(t, "logits with the adapter", logitsOf(t, m, g.ints("input_ids")), want)

			in := goldenInputs(g)
			graph, err := m.Graph(80, true, 0)
			if err != nil {
				t.Fatal(err)
			}
			sum, err := graph.Run(in)
			if err != nil {
				t.Fatal(err)
			}
			n := float64(len(in.Rows))
			nearNumber(t, "mean loss with the adapter", sum/n, float64(g.floats("lora_loss_mean")[0]), 1e-5)
			for _, p := range m.Params() {
				grad := slices.Clone(m.Device().Host(compute.Of(p.Grad)))
				for i := range grad {
					grad[i] /= float32(n)
				}
				nearNorm(t, "gradient of "+p.Name, grad, g.floats("lora_grad."+p.Name), 1e-3)
			}

			m.Merge()
			near(t, "logits after merging", logitsOf(t, m, g.ints("input_ids")), want)
		})
	}
}

func TestAdapterRoundTrip(t *testing.T) {
	m, g := load(t, "llama-gqa"), openGolden(t, "llama-gqa")
	if err := m.LoadAdapter(filepath.Join(goldenDir("llama-gqa"), "adapter")); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := m.SaveAdapter(dir, "base"); err != nil {
		t.Fatal(err)
	}
	again := load(t, "llama-gqa")
	if err := again.LoadAdapter(dir); err != nil {
		t.Fatal(err)
	}
	near(t, "logits", logitsOf(t, again, g.ints("input_ids")), g.floats("lora_logits"))
}

func TestSaveAndLoadGiveTheSameModel(t *testing.T) {
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			m, g := load(t, name), openGolden(t, name)
			want := slices.Clone(logitsOf(t, m, g.ints("input_ids")))
			dir := t.TempDir()
			if err := m.Save(dir); err != nil {
				t.Fatal(err)
			}
			again, err := model.Load(cpu.New(1), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if fmt.Sprint(again.Config) != fmt.Sprint(m.Config) {
				t.Errorf("configuration %v, want %v", again.Config, m.Config)
			}
			if !slices.Equal(logitsOf(t, again, g.ints("input_ids")), want) {
				t.Error("logits changed")
			}
		})
	}
}
