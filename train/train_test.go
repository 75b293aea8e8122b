package train_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/internal/safetensors"
	"github.com/retort-ml/retort/train"
)

const goldenRoot = "../internal/model/testdata/golden"

func goldenArray(t *testing.T, f *safetensors.File, name string) []float32 {
	t.Helper()
	data, err := f.Bytes(name)
	if err != nil {
		t.Fatal(err)
	}
	w, err := compute.NewWeight(compute.F32, 1, len(data)/4, data)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(w.Floats())
}

// fixed is a Source with the same batches in every epoch.
type fixed []datasets.Batch

func (f fixed) Len(int) int                         { return len(f) }
func (f fixed) At(_, i int) (datasets.Batch, error) { return f[i], nil }

// TestGoldenAdamW: ten steps as torch did them (transformers 4.53, PEFT 0.16).
func TestGoldenAdamW(t *testing.T) {
	for _, name := range []string{"llama-gqa", "llama-tied-mha", "qwen2-bias", "llama3-ropescaled", "mistral-window",
		"qwen3-qknorm", "phi3-fused", "gemma", "gemma2-softcap", "gemma3-text"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(goldenRoot, name)
			if _, err := os.Stat(dir); err != nil {
				dir = filepath.Join("..", "..", "shared", "golden", "hf", name)
			}
			if _, err := os.Stat(dir); err != nil {
				t.Skipf("needs %s", dir)
			}
			m, err := model.Load(cpu.New(2), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if err := m.LoadAdapter(filepath.Join(dir, "adapter")); err != nil {
				t.Fatal(err)
			}
			f, err := safetensors.Open(filepath.Join(dir, "golden.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var losses []float64
			run := train.Run{Student: m, Data: train.Data{Source: fixed{goldenBatch(t, f)}, Objective: train.CrossEntropy{}},
				Options: train.Options{Steps: 10, LearningRate: 1e-3, WeightDecay: 0.01, MinRate: 1},
				Report:  func(p train.Progress) { losses = append(losses, p.Loss) }}
			if _, err := run.Do(t.Context()); err != nil {
				t.Fatal(err)
			}
			for i, want := range goldenArray(t, f, "lora_adamw10_losses") {
				if !(math.Abs(losses[i]-float64(want)) <= 1e-3*float64(want)) {
					t.Errorf("loss before step %d: %v, want %v", i, losses[i], want)
				}
			}
		})
	}
}

// goldenBatch is the golden batch (2,40) with its labels shifted to targets.
func goldenBatch(t *testing.T, f *safetensors.File) datasets.Batch {
	ids, labels := goldenArray(t, f, "input_ids"), goldenArray(t, f, "labels")
	const B, T = 2, 40
	b := datasets.Batch{B: B, T: T}
	for i := range ids {
		b.Tokens = append(b.Tokens, int32(math.Float32bits(ids[i])))
		b.Positions = append(b.Positions, int32(i%T))
		b.Segments = append(b.Segments, 1)
		target, weight := int32(-1), float32(0)
		if i%T < T-1 {
			if l := int32(math.Float32bits(labels[i+1])); l >= 0 {
				target, weight = l, 1
			}
		}
		b.Targets, b.Weights = append(b.Targets, target), append(b.Weights, weight)
		b.Example, b.Offset = append(b.Example, int32(i/T)), append(b.Offset, -1)
	}
	return b
}

func tinyConfig() model.Config {
	return model.Config{ModelType: "llama", HiddenSize: 16, IntermediateSize: 24, NumHiddenLayers: 2,
		NumAttentionHeads: 2, NumKeyValueHeads: 1, HeadDim: 8, VocabSize: 40, MaxPositionEmbeddings: 64,
		RMSNormEps: 1e-5, RopeTheta: 10000, HiddenAct: "silu", TieWordEmbeddings: true, InitializerRange: 0.2, BOS: -1, PAD: -1}
}

func tiny(t *testing.T, threads int) *model.Model {
	t.Helper()
	m, err := model.New(cpu.New(threads), tinyConfig(), random.Stream(3, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func tinyFull(t *testing.T) *model.Model {
	t.Helper()
	m := tiny(t, 2)
	if err := m.Unfreeze(); err != nil {
		t.Fatal(err)
	}
	return m
}

// sequences of unequal length, over tokens that follow a rule worth learning.
func sequences(n int) []datasets.Sequence {
	rng := random.Stream(5, "sequences")
	list := make([]datasets.Sequence, n)
	for i := range list {
		tokens := make([]int32, 3+rng.IntN(9))
		tokens[0] = int32(rng.IntN(40))
		for j := 1; j < len(tokens); j++ {
			tokens[j] = (tokens[j-1]*3 + 1) % 40
		}
		list[i] = datasets.Sequence{Tokens: tokens, PromptLen: 1 + rng.IntN(2), Example: i}
	}
	return list
}

func batches(t *testing.T, list []datasets.Sequence, o datasets.BatchOptions) *datasets.Batches {
	t.Helper()
	if o.ResponseWeight == 0 {
		o.ResponseWeight = 1
	}
	b, err := datasets.NewBatches(list, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// values copies the student's Params.
func values(m *model.Model) [][]float32 {
	var list [][]float32
	for _, p := range m.Params() {
		list = append(list, slices.Clone(m.Device().Host(compute.Of(p.Value))))
	}
	return list
}

func sameBits(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	for i := range want {
		for j := range want[i] {
			if math.Float32bits(got[i][j]) != math.Float32bits(want[i][j]) {
				t.Fatalf("%s: parameter %d value %d is %v, want %v", what, i, j, got[i][j], want[i][j])
			}
		}
	}
}

func do(t *testing.T, r train.Run) train.Summary {
	t.Helper()
	s, err := r.Do(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// firstGradient is the gradient norm and loss of the first step, and the
// weights after it.
func firstStep(t *testing.T, b *datasets.Batches, accumulate int) (loss, norm float64, after [][]float32) {
	m := tinyFull(t)
	do(t, train.Run{Student: m, Data: train.Data{Source: b, Objective: train.CrossEntropy{}},
		Options: train.Options{Steps: 1, Accumulate: accumulate, LearningRate: 0.01, Epsilon: 1e-3},
		Report:  func(p train.Progress) { loss, norm = p.Loss, p.GradNorm }})
	return loss, norm, values(m)
}

// A mean of the micro-batches' means would fail this: they have unequal counts.
func TestCuttingAStepDoesNotChangeItsGradient(t *testing.T) {
	list := sequences(12)
	loss, norm, want := firstStep(t, batches(t, list, datasets.BatchOptions{Rows: 12, Length: 12, InOrder: true, NoPacking: true}), 1)
	for _, rows := range []int{1, 3, 5} {
		cut := batches(t, list, datasets.BatchOptions{Rows: rows, Length: 12, InOrder: true, NoPacking: true})
		gotLoss, gotNorm, got := firstStep(t, cut, cut.Len(0))
		near(t, "loss", gotLoss, loss, 1e-6)
		near(t, "gradient norm", gotNorm, norm, 1e-5)
		nearAll(t, "weights after the step", got, want)
	}
}

func TestPackedEqualsUnpacked(t *testing.T) {
	list := sequences(12)
	loss, norm, want := firstStep(t, batches(t, list, datasets.BatchOptions{Rows: 12, Length: 12, InOrder: true, NoPacking: true}), 1)
	packed := batches(t, list, datasets.BatchOptions{Rows: 8, Length: 30})
	if first, err := packed.At(0, 0); err != nil || first.B*first.T >= 12*12*2 || packed.Len(0) != 1 {
		t.Fatal("the packed batch is no test of packing")
	}
	gotLoss, gotNorm, got := firstStep(t, packed, 1)
	near(t, "loss", gotLoss, loss, 1e-6)
	near(t, "gradient norm", gotNorm, norm, 1e-5)
	nearAll(t, "weights after the step", got, want)
}

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol*math.Abs(want)) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func nearAll(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	for i := range want {
		for j := range want[i] {
			if !(math.Abs(float64(got[i][j]-want[i][j])) <= 2e-5) {
				t.Fatalf("%s: parameter %d value %d is %v, want %v", what, i, j, got[i][j], want[i][j])
			}
		}
	}
}

// longRun trains with everything that has a state: dropout, moments, a
// schedule, shuffled epochs, accumulation and the best weights so far.
func longRun(t *testing.T, m *model.Model, checkpoint string, report func(train.Progress)) train.Run {
	list := sequences(30)
	return train.Run{Student: m, Checkpoint: checkpoint, Identity: "test", Report: report,
		Data:  train.Data{Source: batches(t, list, datasets.BatchOptions{Rows: 2, Length: 16, Seed: 4}), Objective: train.CrossEntropy{}},
		Valid: &train.Data{Source: batches(t, list[:6], datasets.BatchOptions{Rows: 2, Length: 16, InOrder: true}), Objective: train.CrossEntropy{}},
		Options: train.Options{Epochs: 3, LearningRate: 0.02, Warmup: 0.2, Dropout: 0.2, Accumulate: 2, WeightDecay: 0.1,
			Keep: "best", ValidEvery: 3, CheckpointEvery: 2, Seed: 9}}
}

func TestStopAndContinueIsNotStopping(t *testing.T) {
	whole := tinyFull(t)
	want := do(t, longRun(t, whole, "", nil))
	for _, lora := range []bool{false, true} {
		reference := want
		expected := values(whole)
		if lora {
			m := tinyLoRA(t)
			reference = do(t, longRun(t, m, "", nil))
			expected = values(m)
		}
		for stop := 1; stop < reference.Steps; stop += 2 {
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			make := tinyFull
			if lora {
				make = tinyLoRA
			}
			first := longRun(t, make(t), dir, func(p train.Progress) {
				if p.Step == stop {
					cancel()
				}
			})
			if _, err := first.Do(ctx); !errors.Is(err, context.Canceled) {
				t.Fatalf("stop at %d: %v", stop, err)
			}
			m := make(t) // a new process has only the checkpoint
			second := longRun(t, m, dir, nil)
			second.Options.CheckpointEvery = 7 // may change in between
			got, err := second.Do(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got.Steps != reference.Steps || got.Loss != reference.Loss || got.BestStep != reference.BestStep || !slices.Equal(got.Curve, reference.Curve) || got.Tokens != reference.Tokens {
				t.Errorf("stop at %d: summary %+v, want %+v", stop, got, reference)
			}
			sameBits(t, "weights", values(m), expected)
		}
	}
}

func tinyLoRA(t *testing.T) *model.Model {
	t.Helper()
	m := tiny(t, 2)
	if err := m.AddLoRA(model.LoRA{R: 3, Dropout: 0.3}, random.Stream(1, "lora")); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSameBitsAtAnyThreadCount(t *testing.T) {
	var first [][]float32
	for _, threads := range []int{1, 2, 3} {
		m := tiny(t, threads)
		if err := m.Unfreeze(); err != nil {
			t.Fatal(err)
		}
		do(t, longRun(t, m, "", nil))
		if first == nil {
			first = values(m)
		}
		sameBits(t, "weights", values(m), first)
	}
}

func TestItLearns(t *testing.T) {
	m := tinyFull(t)
	s := do(t, train.Run{Student: m, Data: train.Data{Source: batches(t, sequences(40), datasets.BatchOptions{Rows: 4, Length: 32}), Objective: train.CrossEntropy{}},
		Options: train.Options{Epochs: 30, LearningRate: 0.01, Warmup: 0.05}})
	if !(s.Loss < s.FirstLoss/10) {
		t.Errorf("loss from %v to %v", s.FirstLoss, s.Loss)
	}
}

func TestCheckpointOfAnotherRunIsRefused(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	r := longRun(t, tinyFull(t), dir, func(train.Progress) { cancel() })
	if _, err := r.Do(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	other := longRun(t, tinyFull(t), dir, nil)
	other.Options.LearningRate = 0.03
	if _, err := other.Do(t.Context()); err == nil || !strings.Contains(err.Error(), "another run") {
		t.Errorf("error %v", err)
	}
	lora := longRun(t, tinyLoRA(t), dir, nil)
	if _, err := lora.Do(t.Context()); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("error %v", err)
	}
}

func TestBrokenNumbersAreErrors(t *testing.T) {
	nan := tinyFull(t)
	nan.Device().Host(compute.Of(nan.Params()[3].Value))[0] = float32(math.NaN())
	unsupervised := batchWithoutTargets()
	for _, c := range []struct {
		name   string
		m      *model.Model
		source train.Source
		is     error
		text   string
	}{
		{"nan weight", nan, batches(t, sequences(6), datasets.BatchOptions{Rows: 2, Length: 16}), autodiff.ErrNotFinite, "step 1 of"},
		{"nothing supervised", tinyFull(t), fixed{unsupervised}, train.ErrNoTokens, "epoch 0 batches 0 to 0"},
		{"no batches", tinyFull(t), fixed{}, train.ErrNoTokens, "no batches"},
		{"frozen", tiny(t, 1), fixed{unsupervised}, nil, "every weight is frozen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := train.Run{Student: c.m, Data: train.Data{Source: c.source, Objective: train.CrossEntropy{}}, Options: train.Options{Seed: 77}}
			_, err := r.Do(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.text) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error %v, want one with %q that is %v", err, c.text, c.is)
			}
		})
	}
}

func batchWithoutTargets() datasets.Batch {
	b := datasets.Batch{B: 1, T: 4, Tokens: []int32{1, 2, 3, 4}, Positions: []int32{0, 1, 2, 3}, Segments: []int32{1, 1, 1, 1},
		Targets: []int32{2, 3, 4, -1}, Weights: make([]float32, 4), Example: make([]int32, 4), Offset: make([]int32, 4)}
	return b
}

func TestOptionsReportEveryFault(t *testing.T) {
	err := train.Options{Epochs: 1, Steps: 1, LearningRate: 3, Warmup: -1, Dropout: 1, Beta1: 1, Keep: "first", Accumulate: -1,
		WeightDecay: math.NaN()}.Validate()
	for _, key := range []string{"epochs and steps", "learning_rate: 3", "warmup", "dropout", "beta1", "keep", "accumulate", "weight_decay"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%q is not among the faults: %v", key, err)
		}
	}
	if err := (train.Options{}).WithDefaults().Validate(); err != nil {
		t.Error(err)
	}
}

func TestScheduleRisesThenFalls(t *testing.T) {
	var rates []float64
	r := train.Run{Student: tinyFull(t), Data: train.Data{Source: batches(t, sequences(20), datasets.BatchOptions{Rows: 1, Length: 16}), Objective: train.CrossEntropy{}},
		Options: train.Options{Steps: 10, LearningRate: 0.01, Warmup: 0.3, MinRate: 0.1},
		Report:  func(p train.Progress) { rates = append(rates, p.Rate) }}
	do(t, r)
	// Worked by hand: steps 1 to 3 rise to the peak, then 0.1 + 0.9·(1 + cos(π·k/7))/2 of it.
	want := []float64{0.01 / 3, 0.02 / 3, 0.01, 0.01}
	for k := 1; k < 7; k++ {
		want = append(want, 0.01*(0.1+0.9*0.5*(1+math.Cos(math.Pi*float64(k)/7))))
	}
	for i := range want {
		near(t, "rate", rates[i], want[i], 1e-12)
	}
}

// Decay scales what decays by 1 − rate·decay before the update: matrices and
// DoRA's magnitudes, and with DecayAll gains and biases too.
func TestWhatDecays(t *testing.T) {
	fresh := map[string]func() *model.Model{
		"all weights": func() *model.Model { return tinyFull(t) },
		"updates": func() *model.Model {
			m, err := model.New(cpu.New(2), tinyFull(t).Config, random.Stream(1, "weights"))
			if err != nil {
				t.Fatal(err)
			}
			o := model.LoRA{R: 2, DoRA: true, Init: "false", Targets: []string{"embed_tokens", "q_proj"}, Bias: "all", ModulesToSave: []string{"model.norm"}}
			if err := m.AddLoRA(o, random.Stream(2, "updates")); err != nil {
				t.Fatal(err)
			}
			return m
		},
	}
	for name, fresh := range fresh {
		for _, all := range []bool{false, true} {
			after := func(decay float64) (*model.Model, [][]float32) {
				m := fresh()
				do(t, train.Run{Student: m, Data: train.Data{Source: batches(t, sequences(6), datasets.BatchOptions{Rows: 6, Length: 12}), Objective: train.CrossEntropy{}},
					Options: train.Options{Steps: 1, LearningRate: 0.01, WeightDecay: decay}, DecayAll: all})
				return m, values(m)
			}
			before := values(fresh())
			m, plain := after(0)
			_, decayed := after(20)
			for i, p := range m.Params() {
				shrink := float32(0)
				if all || len(p.Value.Shape()) == 2 || strings.Contains(p.Name, "magnitude") {
					shrink = 0.01 * 20
				}
				for j := range plain[i] {
					want := plain[i][j] - shrink*before[i][j]
					if !(math.Abs(float64(decayed[i][j]-want)) <= 1e-5) {
						t.Fatalf("%s, all %v: %s value %d is %v, want %v", name, all, p.Name, j, decayed[i][j], want)
					}
				}
			}
		}
	}
}
