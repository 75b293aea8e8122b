package model_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/gradcheck"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
)

// familyConfigs are small models of every family, with what their
// configurations may say.
var familyConfigs = map[string]fields{
	"llama linear":              {"rope_scaling": fields{"rope_type": "linear", "factor": 4}, "hidden_act": "gelu", "mlp_bias": true, "attention_bias": true},
	"llama dynamic":             {"rope_scaling": fields{"type": "dynamic", "factor": 2}},
	"llama beyond":              {"rope_scaling": fields{"type": "dynamic", "factor": 2}, "max_position_embeddings": 7},
	"llama yarn":                {"rope_parameters": fields{"rope_type": "yarn", "rope_theta": 500, "factor": 4, "original_max_position_embeddings": 8}, "hidden_act": "gelu_new"},
	"llama yarn, more":          {"rope_scaling": fields{"rope_type": "yarn", "factor": 4, "mscale": 0.8, "mscale_all_dim": 0.5, "beta_fast": 3, "beta_slow": 0.5}},
	"llama yarn, not truncated": {"rope_scaling": fields{"rope_type": "yarn", "type": "yarn", "factor": 4, "original_max_position_embeddings": 16, "beta_fast": 2, "truncate": false}, "rope_theta": 3, "head_dim": 8, "hidden_act": "gelu_fast"},
	"llama 3":                   {"rope_scaling": fields{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 12}, "head_dim": 6},
	"mistral":                   {"model_type": "mistral", "sliding_window": 3, "head_dim": 6},
	"mistral, no window":        {"model_type": "mistral", "sliding_window": null},
	"qwen2":                     {"model_type": "qwen2", "use_sliding_window": true, "sliding_window": 2, "max_window_layers": 1},
	"qwen3":                     {"model_type": "qwen3", "head_dim": 6, "attention_bias": true, "use_sliding_window": true, "sliding_window": 4, "layer_types": []string{"sliding_attention", "full_attention"}},
	"phi3":                      {"model_type": "phi3", "partial_rotary_factor": 0.5, "sliding_window": 5},
	"phi3 longrope": {"model_type": "phi3", "original_max_position_embeddings": 6,
		"rope_scaling": fields{"type": "su", "short_factor": []float64{1, 1.5}, "long_factor": []float64{2, 5}}},
	"gemma":  {"model_type": "gemma", "head_dim": 6},
	"gemma2": {"model_type": "gemma2", "head_dim": 6, "query_pre_attn_scalar": 9, "sliding_window": 3, "attn_logit_softcapping": 0.7, "final_logit_softcapping": 2},
	"gemma2, no caps": {"model_type": "gemma2", "head_dim": 4, "sliding_window": 40, "attn_logit_softcapping": null, "final_logit_softcapping": null,
		"tie_word_embeddings": false},
	"gemma3": {"model_type": "gemma3_text", "head_dim": 4, "sliding_window": 3, "sliding_window_pattern": 2, "rope_local_base_freq": 10, "final_logit_softcapping": 3,
		"rope_scaling": fields{"rope_type": "linear", "factor": 8}},
	"openelm":                {"model_type": "openelm", "num_query_heads": []int{2, 6}, "num_kv_heads": []int{1, 3}, "ffn_multipliers": []float64{0.5, 1.75}, "normalize_qk_projections": true, "share_input_output_layers": true},
	"openelm by multipliers": {"model_type": "openelm", "qkv_multipliers": []float64{0.5, 1}, "num_gqa_groups": 2, "ffn_multipliers": []float64{0.5, 2}},
}

// familyConfig is a configuration of familyConfigs, of two layers.
func familyConfig(t *testing.T, name string) model.Config {
	t.Helper()
	all := fields{"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 4,
		"num_key_value_heads": 2, "head_dim": 4, "vocab_size": 11, "max_position_embeddings": 32, "initializer_range": 0.4}
	if familyConfigs[name]["model_type"] == "openelm" {
		all = fields{"hidden_size": nil, "intermediate_size": nil, "num_hidden_layers": nil, "num_attention_heads": nil, "max_position_embeddings": nil,
			"model_dim": 8, "num_transformer_layers": 2, "head_dim": 2, "vocab_size": 11, "rope_max_length": 32, "initializer_range": 0.4, "ffn_dim_divisor": 2}
	}
	for field, v := range familyConfigs[name] {
		all[field] = v
	}
	c, err := model.ParseConfig(configJSON(all))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c
}

// newFamily is a model whose norms and biases are random too.
func newFamily(t *testing.T, name string) *model.Model {
	t.Helper()
	m, err := model.New(cpu.New(2), familyConfig(t, name), random.Stream(11, "weights"))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	m.Extend(32)
	rng := random.Stream(12, "norms")
	unfreeze(t, m)
	for _, p := range m.Params() {
		if len(p.Value.Shape()) == 1 {
			for i := range p.Value.Float32s() {
				p.Value.Float32s()[i] += float32(rng.NormFloat64()) / 4
			}
		}
	}
	return m
}

func eachFamily(t *testing.T, f func(t *testing.T, name string)) {
	for name := range familyConfigs {
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

var familyTokens = []int32{1, 5, 3, 3, 8, 10, 2, 7, 1, 0, 4, 6}

// Logits of a graph, of a step, of steps of a few tokens and of generated
// ones are all those of the plain reference.
func TestFamiliesComputeTheReference(t *testing.T) {
	eachFamily(t, func(t *testing.T, name string) {
		m := newFamily(t, name)
		reference := newReference(t, m)
		want := reference.logits(familyTokens)
		near(t, "logits of a step", rowLogits(t, m, familyTokens), want)

		var got []float32
		in := pack(len(familyTokens), familyTokens)
		in.Rows = nil
		for i := range familyTokens {
			in.Rows = append(in.Rows, int32(i))
		}
		in.Loss = func(dev compute.Device, logits compute.Mat, _, _ int) (float64, error) {
			for i := range logits.Rows {
				got = append(got, dev.Host(logits.RowRange(i, i+1))...)
			}
			return 0, nil
		}
		graph, err := m.Graph(len(familyTokens), false, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := graph.Run(in); err != nil {
			t.Fatal(err)
		}
		near(t, "logits of a graph", got, want)

		// A sequence's last row depends on its length alone, however it came there.
		d := model.NewDecoder(m)
		cache := d.NewCache(0)
		for n := 0; n < len(familyTokens); {
			step := min(1+n%3, len(familyTokens)-n)
			h, err := d.Step([]model.Run{{Cache: cache, Tokens: familyTokens[n : n+step], Generated: step == 1}})
			if err != nil {
				t.Fatal(err)
			}
			n += step
			if name == "llama beyond" { // keys that are there stay as they are
				reference.turned = append(reference.turned, slices.Repeat([]int{n}, step)...)
			}
			whole := reference.logits(familyTokens[:n])
			all := allLogits(m, d, h)
			near(t, fmt.Sprintf("logits of token %d", n), all[len(all)-11:], whole[len(whole)-11:])
		}
	})
}

func TestFamiliesSaveAndLoad(t *testing.T) {
	eachFamily(t, func(t *testing.T, name string) {
		m := newFamily(t, name)
		dir := t.TempDir()
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		again, err := model.Load(cpu.New(1), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		again.Extend(32)
		if !reflect.DeepEqual(again.Config, m.Config) {
			t.Errorf("configuration %+v, want %+v", again.Config, m.Config)
		}
		if !slices.Equal(rowLogits(t, again, familyTokens), rowLogits(t, m, familyTokens)) {
			t.Error("logits changed")
		}
	})
}

func TestFamiliesGradients(t *testing.T) {
	in := pack(14, familyTokens[:7], familyTokens[6:11])
	eachFamily(t, func(t *testing.T, name string) {
		m := newFamily(t, name)
		checkGradients(t, m, in)
		dir := t.TempDir()
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		frozen, err := model.Load(cpu.New(2), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer frozen.Close()
		addNonzeroLoRA(t, frozen, model.LoRA{R: 2, Targets: []string{"all-linear"}})
		checkGradients(t, frozen, in)
	})
}

// checkGradients compares some of the gradient of every Param with finite differences.
func checkGradients(t *testing.T, m *model.Model, in autodiff.Inputs) {
	t.Helper()
	_, grads := lossAndGradients(t, m, len(in.Tokens), in)
	g, err := m.Graph(len(in.Tokens), false, 0)
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
		n := min(len(values), 6)
		want := gradcheck.Numeric(loss, values[:n], 1.0/128)
		if err := gradcheck.Compare(grads[i][:n], want, within(2e-2, want)); err != nil {
			t.Errorf("gradient of %s: %v", p.Name, err)
		}
	}
}

// Packed sequences do not see each other, in windows and with ropes that
// depend on a sequence's length too.
func TestFamiliesPack(t *testing.T) {
	a, b := familyTokens[:9], familyTokens[5:9]
	eachFamily(t, func(t *testing.T, name string) {
		m := newFamily(t, name)
		packed, grads := lossAndGradients(t, m, 14, pack(14, a, b))
		apart, want := lossAndGradients(t, m, 9, pack(9, a), pack(9, b))
		nearNumber(t, "loss", packed, apart, 1e-5)
		for i, p := range m.Params() {
			nearNorm(t, "gradient of "+p.Name, grads[i], want[i], 1e-4)
		}
	})
}

// Scores of a sequence are those of the reference, whatever beside it is scored.
func TestFamiliesScore(t *testing.T) {
	long := append(slices.Clone(familyTokens), familyTokens...)
	sequences := [][]int32{long[:20], append(slices.Clone(long[:18]), 9), long[:4], long[:6]}
	eachFamily(t, func(t *testing.T, name string) {
		checkScores(t, newFamily(t, name), sequences, []int{1, 1, 1, 1})
	})
}

// Sequences that begin alike do not share what was computed for another length.
func TestShortSequencesBesideLongOnes(t *testing.T) {
	c := familyConfig(t, "phi3 longrope")
	c.MaxPositionEmbeddings, c.Rope.OriginalMax = 64, 34
	m, err := model.New(cpu.New(1), c, random.Stream(3, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	long := slices.Concat(familyTokens, familyTokens, familyTokens, familyTokens)
	short := append(slices.Clone(long[:29]), 10, 10, 10, 10, 9) // in the order of sequences after the long one
	checkScores(t, m, [][]int32{long[:40], short, append(slices.Clone(long[:38]), 9)}, []int{30, 30, 30})
}

// A choice that makes its sequence a long one is scored as a whole sequence is.
func TestScoreChoicesOfSequencesThatBecomeLong(t *testing.T) {
	for _, name := range []string{"phi3 longrope", "llama beyond"} { // long beyond 6 and 7 tokens
		t.Run(name, func(t *testing.T) {
			m := newFamily(t, name)
			prompts := [][]int32{{1, 5, 3}, {1, 5, 3, 3, 8}, {4, 7, 1, 0, 4, 6, 2, 2}}
			choices := [][]int32{{8}, {2, 7}, {2, 7, 1, 9, 4}, {10, 3, 3}}
			got, err := model.NewDecoder(m).ScoreChoices(t.Context(), prompts, choices)
			if err != nil {
				t.Fatal(err)
			}
			reference := newReference(t, m)
			for i, p := range prompts {
				for j, c := range choices {
					want := reference.logProb(p, c)
					if !(math.Abs(got[i][j]-want) < 1e-4) {
						t.Errorf("choice %d after prompt %d: %v, want %v", j, i, got[i][j], want)
					}
				}
			}
		})
	}
}

// logProb is that of all tokens of c after p.
func (r *reference) logProb(p, c []int32) float64 {
	s := slices.Concat(p, c)
	logits, sum := r.logits(s[:len(s)-1]), 0.0
	for j := len(p); j < len(s); j++ {
		row, total := logits[(j-1)*11:j*11], 0.0
		for _, v := range row {
			total += math.Exp(float64(v))
		}
		sum += float64(row[s[j]]) - math.Log(total)
	}
	return sum
}

// checkScores compares the scores of sequences from each index on with the reference's.
func checkScores(t *testing.T, m *model.Model, sequences [][]int32, from []int) {
	t.Helper()
	scored, err := model.NewDecoder(m).Score(t.Context(), sequences, from, 0)
	if err != nil {
		t.Fatal(err)
	}
	reference := newReference(t, m)
	for i, s := range sequences {
		logits := reference.logits(s[:len(s)-1])
		var want []float32
		for j := from[i]; j < len(s); j++ {
			row := logits[(j-1)*11 : j*11]
			sum := 0.0
			for _, v := range row {
				sum += math.Exp(float64(v))
			}
			want = append(want, row[s[j]]-float32(math.Log(sum)))
		}
		near(t, fmt.Sprintf("scores of sequence %d", i), scored[i].LogProbs, want)
	}
}

// Greedy tokens are those of the reference, beyond the length at which ropes change too.
func TestFamiliesGenerate(t *testing.T) {
	for _, name := range []string{"phi3 longrope", "gemma3", "openelm", "mistral", "llama beyond"} {
		t.Run(name, func(t *testing.T) {
			m := newFamily(t, name)
			reference, want := newReference(t, m), slices.Clone(familyTokens[:3])
			for range 9 {
				for i := len(reference.turned); name == "llama beyond" && i < len(want); i++ {
					reference.turned = append(reference.turned, max(3, i+1))
				}
				logits := reference.logits(want)
				row := logits[len(logits)-11:]
				want = append(want, int32(slices.Index(row, slices.Max(row))))
			}
			prompts := [][]int32{familyTokens[:3], familyTokens[:9], familyTokens[:3]}
			err := model.NewDecoder(m).Generate(t.Context(), prompts, model.GenerateOptions{MaxTokens: 9, Batch: 2},
				func(i int, a model.Answer) error {
					if i != 1 && !slices.Equal(a.Tokens, want[3:]) {
						t.Errorf("answer %d: %v, want %v", i, a.Tokens, want[3:])
					}
					return nil
				})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Layers that are computed again give the same bits.
func TestFamiliesRecompute(t *testing.T) {
	in := pack(14, familyTokens[:7], familyTokens[6:11])
	eachFamily(t, func(t *testing.T, name string) {
		m := newFamily(t, name)
		wantLoss, want := lossAndGradients(t, m, 14, in)
		g, err := m.Graph(14, true, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Recompute(g.Blocks()); err != nil {
			t.Fatal(err)
		}
		loss, err := g.Run(in)
		if err != nil || loss != wantLoss {
			t.Errorf("loss %v (%v), want %v", loss, err, wantLoss)
		}
		for i, p := range m.Params() {
			if !slices.Equal(m.Device().Host(compute.Of(p.Grad)), want[i]) {
				t.Errorf("gradient of %s differs", p.Name)
			}
		}
	})
}

// Dropouts of a model's own are refused where they would matter.
func TestGraphRefusesDropoutsOfTheConfiguration(t *testing.T) {
	for _, change := range []func(c *model.Config){
		func(c *model.Config) { c.AttentionDropout = 0.1 },
		func(c *model.Config) { c.ResidualDropout = 0.1 },
	} {
		m := tiny(t, true)
		unfreeze(t, m)
		change(&m.Config)
		_, err := m.Graph(4, true, 0)
		fails(t, err, "0.1", "dropout")
		if _, err := m.Graph(4, false, 0); err != nil {
			t.Error(err)
		}
	}
}
