package bench

import (
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/model"
)

func shapeOf(t *testing.T, name string) model.Config {
	t.Helper()
	c, err := Shape(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// stored lists which layers hold a matrix in which format, by matrix.
func stored(c model.Config, l layout) map[string]map[string][]int {
	got := map[string]map[string][]int{}
	for _, m := range matrices(&c) {
		if got[m.name] == nil {
			got[m.name] = map[string][]int{}
		}
		f := l.format(m).name
		got[m.name][f] = append(got[m.name][f], m.layer)
	}
	return got
}

// What llama-quantize makes of 30 layers: 14 of them get more bits. Rows of 576
// are no whole blocks of 256, those of 1536 are.
func TestMixture(t *testing.T) {
	l, err := newLayout("Q4_K_M", 30)
	if err != nil {
		t.Fatal(err)
	}
	more := []int{0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29}
	small, large := stored(shapeOf(t, "smol135"), l), stored(shapeOf(t, "llama1b"), layout{linear: "Q4_K", table: "Q6_K", mixed: true, layers: 16})
	for _, c := range []struct {
		of     map[string]map[string][]int
		name   string
		format string
		layers int
	}{
		{small, embedding, "Q8_0", 1}, {small, "q_proj", "Q5_0", 30}, {small, "gate_proj", "Q5_0", 30},
		{small, "v_proj", "Q8_0", 14}, {small, "v_proj", "Q5_0", 16}, {small, "down_proj", "Q6_K", 14}, {small, "down_proj", "Q4_K", 16},
		{large, embedding, "Q6_K", 1}, {large, "o_proj", "Q4_K", 16}, {large, "v_proj", "Q6_K", 8}, {large, "down_proj", "Q4_K", 8},
	} {
		if got := c.of[c.name][c.format]; len(got) != c.layers {
			t.Errorf("%s is %s in layers %v, want %d of them", c.name, c.format, got, c.layers)
		}
	}
	for i, layer := range small["down_proj"]["Q6_K"] {
		if layer != more[i] {
			t.Errorf("layer %d has more bits, want %d", layer, more[i])
		}
	}
}

func TestTablesOfLayouts(t *testing.T) {
	smol, stories := shapeOf(t, "smol135"), shapeOf(t, "stories15")
	for _, c := range []struct {
		weights                        string
		training, inferring, pureTable string
	}{
		{"f32", "F32", "F32", "F32"}, {"BF16", "BF16", "BF16", "BF16"}, {"q8_0", "Q8_0", "Q8_0", "Q8_0"},
		{"q4_0", "BF16", "Q8_0", "Q4_0"}, {"nf4", "BF16", "BF16", "NF4"}, {"q4_k_m", "BF16", "Q6_K", "Q4_K"},
	} {
		// Formats that are missing are an error beside the layout.
		training, _ := trained(c.weights, &smol)
		inferring, _ := inferred(c.weights, &smol, false)
		pure, _ := inferred(c.weights, &smol, true)
		if training.table != c.training || inferring.table != c.inferring || pure.table != c.pureTable || pure.mixed {
			t.Errorf("%s: %+v, %+v, pure %+v", c.weights, training, inferring, pure)
		}
	}
	for _, name := range []string{"Q4_K", "Q6_K", "Q4_0"} {
		want := map[string]string{"Q4_K": "Q5_0", "Q6_K": "Q8_0", "Q4_0": "Q4_0"}[name]
		if f := fitting(name, stories.HiddenSize); f.name != want {
			t.Errorf("rows of 288 in %s become %s, want %s", name, f.name, want)
		}
		if f := fitting(name, 100); f.name != "F16" {
			t.Errorf("rows of 100 in %s become %s, want F16", name, f.name)
		}
	}
}

func TestUnknownWeights(t *testing.T) {
	c := shapeOf(t, "llama1b")
	if _, err := trained("q8", &c); err == nil || !strings.Contains(err.Error(), `unknown weights "q8" (did you mean q8_0?)`) {
		t.Errorf("error %v", err)
	}
}
