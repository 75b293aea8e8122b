package model_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/gradcheck"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/safetensors"
)

// variants are ways to make updates, each of a tied and of an untied model.
var variants = map[string]model.LoRA{
	"plain":           {R: 2},
	"rslora":          {R: 3, RSLoRA: true},
	"dora":            {R: 2, DoRA: true},
	"patterns":        {R: 2, RankPattern: map[string]int{"v_proj": 3, "layers.1.mlp.up_proj": 4}, AlphaPattern: map[string]float64{"o_proj": 9}},
	"layers":          {R: 2, Targets: []string{"q_proj", "up_proj"}, Layers: []int{1}, LayersPattern: []string{"layers"}},
	"pattern":         {R: 2, TargetPattern: `model\.layers\.\d+\.(mlp|self_attn)\.[qu]\w+`, ExcludePattern: `.*0.*`},
	"embedding":       {R: 2, Targets: []string{"embed_tokens", "q_proj"}},
	"head":            {R: 2, Targets: []string{"lm_head", "down_proj"}},
	"head, dora":      {R: 2, Targets: []string{"lm_head", "down_proj"}, DoRA: true},
	"both tables":     {R: 2, Targets: []string{"lm_head", "embed_tokens"}},
	"dora tables":     {R: 2, Targets: []string{"lm_head", "embed_tokens", "v_proj"}, DoRA: true},
	"whole tables":    {R: 2, Targets: []string{"q_proj"}, ModulesToSave: []string{"embed_tokens", "lm_head"}},
	"whole head":      {R: 2, Targets: []string{"q_proj"}, ModulesToSave: []string{"lm_head"}},
	"whole norms":     {R: 2, Targets: []string{"q_proj"}, ModulesToSave: []string{"norm", "o_proj"}},
	"gaussian":        {R: 2, Init: "gaussian"},
	"not a no-op":     {R: 2, Init: "false"},
	"excluded layers": {R: 2, Exclude: []string{"mlp.down_proj", "k_proj"}},
}

func eachVariant(t *testing.T, f func(t *testing.T, o model.LoRA, tied bool)) {
	for name, o := range variants {
		for _, tied := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, tied %v", name, tied), func(t *testing.T) { f(t, o, tied) })
		}
	}
}

var variantTokens = []int32{1, 2, 3, 4, 10, 0}

// What is written is read as the same numbers, and merging is the update.
func TestVariantsSaveLoadAndMerge(t *testing.T) {
	eachVariant(t, func(t *testing.T, o model.LoRA, tied bool) {
		m, again := tiny(t, tied), tiny(t, tied)
		plain := rowLogits(t, m, variantTokens)
		addNonzeroLoRA(t, m, o)
		want := rowLogits(t, m, variantTokens)
		if slices.Equal(want, plain) {
			t.Fatal("the updates do nothing")
		}
		dir := t.TempDir()
		if err := m.SaveAdapter(dir, "base"); err != nil {
			t.Fatal(err)
		}
		if err := again.LoadAdapter(dir); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(rowLogits(t, again, variantTokens), want) {
			t.Error("the saved adapter gives other logits")
		}
		if m.Bytes() != again.Bytes() || m.Trainable() != again.Trainable() {
			t.Errorf("%d bytes and %d trainable values, after loading %d and %d", m.Bytes(), m.Trainable(), again.Bytes(), again.Trainable())
		}
		m.Merge()
		if m.LoRA != nil || len(m.Params()) != 0 {
			t.Error("updates are left after merging")
		}
		near(t, "logits after merging", rowLogits(t, m, variantTokens), want)
		saved := t.TempDir()
		if err := m.Save(saved); err != nil {
			t.Fatal(err)
		}
		whole, err := model.Load(m.Device(), saved)
		if err != nil {
			t.Fatal(err)
		}
		defer whole.Close()
		if !slices.Equal(rowLogits(t, whole, variantTokens), rowLogits(t, m, variantTokens)) {
			t.Error("the saved merged model gives other logits")
		}
	})
}

func TestVariantsDoNothingAtFirst(t *testing.T) {
	eachVariant(t, func(t *testing.T, o model.LoRA, tied bool) {
		m := tiny(t, tied)
		plain := rowLogits(t, m, variantTokens)
		if err := m.AddLoRA(o, random.Stream(3, "lora")); err != nil {
			t.Fatal(err)
		}
		if same := slices.Equal(rowLogits(t, m, variantTokens), plain); same == (o.Init == "false") {
			t.Errorf("logits unchanged: %v", same)
		}
	})
}

// An adapter that cannot be read leaves the model as it was.
func TestVariantsFailWithoutTrace(t *testing.T) {
	eachVariant(t, func(t *testing.T, o model.LoRA, tied bool) {
		m, again := tiny(t, tied), tiny(t, tied)
		plain := rowLogits(t, again, variantTokens)
		addNonzeroLoRA(t, m, o)
		dir := t.TempDir()
		if err := m.SaveAdapter(dir, "base"); err != nil {
			t.Fatal(err)
		}
		editTensors(t, filepath.Join(dir, adapterWeightsFile), func(list []safetensors.Tensor) []safetensors.Tensor {
			return append(list, safetensors.Tensor{Name: "extra", Dtype: safetensors.F32, Shape: []int{1}, Data: make([]byte, 4)})
		})
		fails(t, again.LoadAdapter(dir), "tensor extra belongs to no target")
		if again.LoRA != nil || len(again.Params()) != 0 || !slices.Equal(rowLogits(t, again, variantTokens), plain) {
			t.Error("the model was changed")
		}
		if err := again.Unfreeze(); err != nil {
			t.Error(err)
		}
	})
}

// The gradients of every variant are those of the loss, with the lengths of
// DoRA's rows held fixed as PEFT does.
func TestVariantsGradients(t *testing.T) {
	in := pack(9, []int32{1, 2, 3, 2, 5}, []int32{6, 2, 10})
	eachVariant(t, func(t *testing.T, o model.LoRA, tied bool) {
		m := tiny(t, tied)
		addNonzeroLoRA(t, m, o)
		for _, p := range m.Params() {
			if strings.Contains(p.Name, "magnitude") || strings.Contains(p.Name, "norm") { // about what they are in use
				for i, v := range m.Device().Host(compute.Of(p.Value)) {
					m.Device().Host(compute.Of(p.Value))[i] = 1 + v
				}
			}
		}
		_, grads := lossAndGradients(t, m, 9, in)
		g, err := m.Graph(9, false, 0)
		if err != nil {
			t.Fatal(err)
		}
		hold := holdLengths(m)
		for i, p := range m.Params() {
			loss := func() float64 {
				if !strings.Contains(p.Name, "magnitude") {
					hold()
				}
				sum, err := g.Run(in)
				if err != nil {
					t.Fatal(err)
				}
				return sum
			}
			values := m.Device().Host(compute.Of(p.Value))
			n := min(len(values), 12)
			hold()                                               // the lengths as they were before other parameters' changes
			want := gradcheck.Numeric(loss, values[:n], 1.0/256) // the norms bend the loss much
			if err := gradcheck.Compare(grads[i][:n], want, within(1e-2, want)); err != nil {
				t.Errorf("gradient of %s: %v", p.Name, err)
			}
		}
	})
}

// within is a tolerance of the largest slope, and never less than what float32
// leaves uncertain of slopes of a loss about 20 over steps of 1/256.
func within(tolerance float64, slopes []float64) float64 {
	largest := 0.0
	for _, s := range slopes {
		largest = max(largest, math.Abs(s))
	}
	return max(tolerance, 3e-4/largest)
}

// holdLengths returns a function that changes DoRA's magnitudes so that the
// rows' scales are what they are now, as if their lengths were constants.
func holdLengths(m *model.Model) func() {
	type held struct {
		u     *autodiff.LoRA
		w     *compute.Weight
		scale []float64
	}
	var all []held
	add := func(u *autodiff.LoRA, w *compute.Weight) {
		if u == nil || u.Magnitude == nil {
			return
		}
		h := held{u: u, w: w}
		for j, n := range u.Norms(m.Device(), w) {
			h.scale = append(h.scale, float64(m.Device().Host(compute.Of(u.Magnitude.Value))[j])/float64(n))
		}
		all = append(all, h)
	}
	for _, p := range m.Linears() {
		add(p.LoRA, p.Weight)
	}
	add(m.Embed.LoRA, m.Embed.Weight)
	add(m.Head.LoRA, m.Head.Weight)
	return func() {
		for _, h := range all {
			for j, n := range h.u.Norms(m.Device(), h.w) {
				m.Device().Host(compute.Of(h.u.Magnitude.Value))[j] = float32(h.scale[j] * float64(n))
			}
		}
	}
}

// PEFT's fields, all of them and no other, in its order.
func TestAdapterConfigIsPEFTs(t *testing.T) {
	m := load(t, "llama-gqa")
	dir := filepath.Join(goldenDir("llama-gqa"), "adapter")
	if err := m.LoadAdapter(dir); err != nil {
		t.Fatal(err)
	}
	saved := t.TempDir()
	if err := m.SaveAdapter(saved, ""); err != nil {
		t.Fatal(err)
	}
	read := func(dir string) (map[string]any, []byte) {
		data, err := os.ReadFile(filepath.Join(dir, adapterConfigFile))
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(data, &fields); err != nil {
			t.Fatal(err)
		}
		return fields, data
	}
	want, wantData := read(dir)
	got, gotData := read(saved)
	if a, b := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(a, b) {
		t.Errorf("fields %v, want %v", a, b)
	}
	// Targets are a set in PEFT, written in any order: apart from them, byte for byte.
	cut := func(data []byte) string {
		from, to := bytes.Index(data, []byte(`"target_modules"`)), bytes.Index(data, []byte(`"task_type"`))
		return string(data[:from]) + string(data[to:])
	}
	if cut(gotData) != cut(wantData) {
		t.Errorf("%s\nwant\n%s", gotData, wantData)
	}
	names := func(dir string) []string {
		f, err := safetensors.Open(filepath.Join(dir, adapterWeightsFile))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return append(slices.Sorted(slices.Values(f.Names())), f.Metadata()["format"])
	}
	if a, b := names(saved), names(dir); !slices.Equal(a, b) {
		t.Errorf("tensors %v, want %v", a, b)
	}
}

// An outline with updates counts as the model does.
func TestVariantsOfOutlines(t *testing.T) {
	eachVariant(t, func(t *testing.T, o model.LoRA, tied bool) {
		m := tiny(t, tied)
		outline, err := model.NewOutline(tinyConfig(tied), compute.F32)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []*model.Model{m, outline} {
			if err := m.AddLoRA(o, random.Stream(3, "lora")); err != nil {
				t.Fatal(err)
			}
		}
		if m.Bytes() != outline.Bytes() || m.Trainable() != outline.Trainable() || m.Parameters() != outline.Parameters() {
			t.Errorf("outline: %d bytes, %d trainable of %d; want %d, %d of %d", outline.Bytes(), outline.Trainable(), outline.Parameters(), m.Bytes(), m.Trainable(), m.Parameters())
		}
		if n := len(outline.Params()); n != len(m.Params()) {
			t.Errorf("%d parameters, want %d", n, len(m.Params()))
		}
		planned := func(m *model.Model) int {
			g, err := m.Graph(9, true, 0)
			if err != nil {
				t.Fatal(err)
			}
			n, err := g.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if a, b := planned(outline), planned(m); a != b {
			t.Errorf("a graph of %d bytes, want %d", a, b)
		}
		m.Merge()
		outline.Merge()
		if m.Bytes() != outline.Bytes() {
			t.Errorf("merged outline of %d bytes, want %d", outline.Bytes(), m.Bytes())
		}
	})
}

// Computing layers again for their gradients changes no bit, nor does the
// number of threads, with dropout too.
func TestVariantsRecomputed(t *testing.T) {
	in := pack(9, []int32{1, 2, 3, 2, 5}, []int32{6, 2, 10})
	in.DropoutKey = 5
	eachVariant(t, func(t *testing.T, o model.LoRA, tied bool) {
		o.Dropout = 0.3
		var all [][][]float32
		for _, recomputed := range []int{0, 1, 2} {
			m, err := model.New(cpu.New(1+recomputed), tinyConfig(tied), random.Stream(7, "tiny"))
			if err != nil {
				t.Fatal(err)
			}
			addNonzeroLoRA(t, m, o)
			g, err := m.Graph(9, true, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Recompute(recomputed); err != nil {
				t.Fatal(err)
			}
			if _, err := g.Run(in); err != nil {
				t.Fatal(err)
			}
			var grads [][]float32
			for _, p := range m.Params() {
				grads = append(grads, slices.Clone(m.Device().Host(compute.Of(p.Grad))))
			}
			all = append(all, grads)
		}
		for i := range all[0] {
			if !slices.Equal(all[1][i], all[0][i]) || !slices.Equal(all[2][i], all[0][i]) {
				t.Errorf("gradient %d differs", i)
			}
		}
	})
}
