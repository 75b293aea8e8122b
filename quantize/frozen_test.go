package quantize_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/quantize"
)

// frozen is a random model whose rows of 96 values begin within NF4's blocks.
func frozen(t *testing.T, intermediate int) *model.Model {
	t.Helper()
	m, err := model.New(cpu.New(2), model.Config{
		ModelType: "llama", HiddenSize: 96, IntermediateSize: intermediate, NumHiddenLayers: 2, NumAttentionHeads: 3,
		NumKeyValueHeads: 1, HeadDim: 32, VocabSize: 17, MaxPositionEmbeddings: 32, RMSNormEps: 1e-5, RopeTheta: 1e4,
		HiddenAct: "silu", InitializerRange: 0.1, BOS: -1, PAD: -1,
	}, rand.New(rand.NewPCG(6, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A model with a frozen base trains as one whose matrices hold the base's
// values in float32, and its other matrices are left alone.
func TestFrozenBaseTrains(t *testing.T) {
	for _, f := range []compute.Format{compute.F16, compute.BF16, compute.Q8_0, compute.Q4_0, compute.NF4} {
		t.Run(f.String(), func(t *testing.T) {
			m, plain := frozen(t, 160), frozen(t, 160)
			before := map[string]*compute.Weight{}
			for name, part := range m.Linears() {
				before[name] = part.Weight
			}
			if err := quantize.Frozen(m, f); err != nil {
				t.Fatal(err)
			}
			if m.Embed.Weight.Format != compute.F32 || m.Head.Weight.Format != compute.F32 {
				t.Errorf("embedding %s, head %s", m.Embed.Weight.Format, m.Head.Weight.Format)
			}
			stored := map[string]*compute.Weight{}
			for name, part := range m.Linears() {
				stored[name] = part.Weight
				checkClose(t, name, part.Weight, before[name], f)
			}
			for name, part := range plain.Linears() {
				values := make([]float32, part.Weight.Out*part.Weight.In)
				for i := range part.Weight.Out {
					stored[name].Row(values[i*part.Weight.In:][:part.Weight.In], i)
				}
				part.Weight = plainWeight(t, part.Weight.Out, part.Weight.In, values)
			}
			got, want := gradients(t, m), gradients(t, plain)
			for i, p := range m.Params() {
				if !slices.Equal(got[i], want[i]) {
					t.Errorf("the gradient of %s differs", p.Name)
				}
				if !slices.ContainsFunc(got[i], func(v float32) bool { return v > 0 }) {
					t.Errorf("the gradient of %s has no positive value", p.Name)
				}
			}
			if err := quantize.Frozen(m, f); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// checkClose fails unless the mean square error is about what a format loses
// of normal random numbers.
func checkClose(t *testing.T, name string, got, source *compute.Weight, f compute.Format) {
	t.Helper()
	if got.Format != f || got.Out != source.Out || got.In != source.In {
		t.Fatalf("%s: %s (%d, %d)", name, got.Format, got.Out, got.In)
	}
	square, lost := 0.0, 0.0
	a, b := make([]float32, got.In), make([]float32, got.In)
	for i := range got.Out {
		got.Row(a, i)
		source.Row(b, i)
		for j := range a {
			lost += float64(a[j]-b[j]) * float64(a[j]-b[j])
			square += float64(b[j]) * float64(b[j])
		}
	}
	most := map[compute.Format]float64{compute.F16: 1e-7, compute.BF16: 1e-5, compute.Q8_0: 5e-5, compute.Q4_0: 0.011, compute.NF4: 0.009}[f]
	if !(lost <= most*square) || lost == 0 {
		t.Errorf("%s: %s loses %v of the square", name, f, lost/square)
	}
}

// gradients are those of low-rank updates that do something.
func gradients(t *testing.T, m *model.Model) [][]float32 {
	t.Helper()
	rng := rand.New(rand.NewPCG(2, 7))
	if err := m.AddLoRA(model.LoRA{R: 4}, rng); err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		for i := range m.Device().Host(compute.Of(p.Value)) {
			m.Device().Host(compute.Of(p.Value))[i] = float32(rng.NormFloat64() / 8)
		}
	}
	const rows = 12
	in := autodiff.Inputs{}
	targets := make([]int32, rows)
	for i := range int32(rows) {
		in.Tokens, in.Positions = append(in.Tokens, i*5%17), append(in.Positions, i)
		in.From, in.Rows = append(in.From, 0), append(in.Rows, i)
		targets[i] = i * 3 % 17
	}
	in.Loss = func(dev compute.Device, logits compute.Mat, from, to int) (float64, error) {
		weights, losses := slices.Repeat([]float32{1}, to-from), make([]float64, to-from)
		dev.CrossEntropy(logits, targets[from:to], weights, losses)
		return losses[0], nil
	}
	g, err := m.Graph(rows, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Run(in); err != nil {
		t.Fatal(err)
	}
	var grads [][]float32
	for _, p := range m.Params() {
		grads = append(grads, m.Device().Host(compute.Of(p.Grad)))
	}
	return grads
}

func TestFrozenRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		format compute.Format
		ff     int
		change func(m *model.Model)
		want   []string
	}{
		{"rows", compute.NF4, 100, nil, []string{"store linear layers as NF4: tensor model.layers.0.mlp.down_proj.weight", "rows of 100 values are not whole blocks of 32"}},
		{"rows of Q8_0", compute.Q8_0, 100, nil, []string{"model.layers.0.mlp.down_proj.weight", "100"}},
		{"format", compute.Q4_K, 160, nil, []string{"no encoder of Q4_K: want one of F16, BF16, Q8_0, Q4_0, NF4"}},
		{"plain", compute.F32, 160, nil, []string{"no encoder of F32"}},
		{"trained", compute.NF4, 160, func(m *model.Model) {
			if err := m.Unfreeze(); err != nil {
				t.Fatal(err)
			}
		}, []string{"model.layers.0.self_attn.q_proj.weight is trained itself"}},
		{"lossy already", compute.NF4, 160, func(m *model.Model) {
			if err := quantize.Frozen(m, compute.Q4_0); err != nil {
				t.Fatal(err)
			}
		}, []string{"is Q4_0 already"}},
		{"no number", compute.NF4, 160, func(m *model.Model) {
			w := m.Layers[1].Output.Parts[0].Weight
			w.Floats()[5*w.In+7] /= 0
		}, []string{"tensor model.layers.1.self_attn.o_proj.weight: row 5: value 7 is"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := frozen(t, c.ff)
			if c.change != nil {
				c.change(m)
			}
			format := m.Layers[0].QKV.Parts[0].Weight.Format
			err := quantize.Frozen(m, c.format)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
			if c.name != "no number" && m.Layers[0].QKV.Parts[0].Weight.Format != format {
				t.Error("the model was changed")
			}
		})
	}
}
