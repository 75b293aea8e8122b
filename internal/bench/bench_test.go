package bench

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/train"
)

// checkWork tells whether figures agree with each other.
func checkWork(t *testing.T, w Work, m Machine, runs, tokens int, flops float64) {
	t.Helper()
	if w.Runs != runs || w.TokensPerRun != tokens || !(math.Abs(w.GFLOPPerRun*1e9-flops) <= 1) {
		t.Errorf("%d runs of %d tokens and %v GFLOP, want %d of %d and %v", w.Runs, w.TokensPerRun, w.GFLOPPerRun, runs, tokens, flops/1e9)
	}
	for _, s := range []Spread{w.Seconds, w.TokensPerSecond, w.GFLOPS} {
		if !(0 < s.Min && s.Min <= s.Median && s.Median <= s.Max) {
			t.Errorf("spread %+v", s)
		}
	}
	for _, v := range []struct{ got, want float64 }{
		{w.TokensPerSecond.Max * w.Seconds.Min, float64(tokens)},
		{w.GFLOPS.Min * w.Seconds.Max, w.GFLOPPerRun},
		{w.OfPeak * m.PeakGFLOPS, w.GFLOPS.Median},
	} {
		if !(math.Abs(v.got-v.want) <= 1e-6*v.want) {
			t.Errorf("%v, want %v in %+v", v.got, v.want, w)
		}
	}
}

func checkMemory(t *testing.T, m Memory, within bool) {
	t.Helper()
	if runtime.GOOS == "linux" && (m.PeakBytes == nil || *m.PeakBytes < 1<<20) {
		t.Errorf("peak memory %v", m.PeakBytes)
	}
	if m.PeakBytes != nil && m.BudgetBytes > 0 && (m.Within == nil || *m.Within != within) {
		t.Errorf("peak %d of %d bytes: within %v", *m.PeakBytes, m.BudgetBytes, m.Within)
	}
}

func TestTrain(t *testing.T) {
	o := TrainOptions{Shape: "tiny", Weights: "q4_0", Batch: 3, Seq: 16, Rank: 4, Supervised: 7, MemoryBytes: 1 << 50, Threads: 2, Runs: 3}
	f, err := Train(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c := shapeOf(t, "tiny")
	checkWork(t, f.Step, f.Machine, 3, 48, trainFLOPs(&c, 3, 16, 4, 7))
	checkMemory(t, f.Memory, true)
	if f.Stored["BF16"] != 2*256*64 || f.Trainable != 2*4*1024 || f.Supervised != 7 || f.Machine.Threads != 2 {
		t.Errorf("%+v", f)
	}
	// Random targets: about the logarithm of the vocabulary.
	if !(math.Abs(f.Loss-math.Log(256)) < 1) {
		t.Errorf("loss %v", f.Loss)
	}
	if f.Recomputed != 0 || f.PlannedBytes < 1<<20 {
		t.Errorf("%d layers recomputed, %d bytes planned", f.Recomputed, f.PlannedBytes)
	}
	o.MemoryBytes = 1
	var small *train.MemoryError
	if _, err := Train(t.Context(), o); !errors.As(err, &small) || small.Limit != 1 {
		t.Errorf("a budget of 1 byte: %v", err)
	}
	o.Supervised, o.MemoryBytes, o.Threads = 0, 0, 1
	all, err := Train(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	checkMemory(t, all.Memory, false)
	if all.Supervised != 48 || all.Machine.Threads != 1 {
		t.Errorf("%+v", all)
	}
}

func TestBatchSupervisesTheLastTokens(t *testing.T) {
	c := shapeOf(t, "tiny")
	b := (&TrainFigures{Batch: 3, Seq: 4, Supervised: 7}).batch(&c)
	want := []float32{0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1}
	for i, w := range b.Weights {
		if w != want[i] || (b.Targets[i] >= 0) != (w == 1) || b.Positions[i] != int32(i%4) || b.Segments[i] != 1 {
			t.Errorf("token %d: weight %v, target %d, position %d, segment %d", i, w, b.Targets[i], b.Positions[i], b.Segments[i])
		}
	}
}

func TestInfer(t *testing.T) {
	c := shapeOf(t, "tiny")
	for _, o := range []InferOptions{
		{Shape: "tiny", Weights: "q8_0", Prompt: 33, Generate: 5, Context: 1, Batch: 1, Runs: 2},
		{Shape: "tiny", Weights: "q4_0", Pure: true, Generate: 3, Context: 7, Batch: 5, Threads: 1, Runs: 1},
		// Not all sequences start together.
		{Shape: "tiny", Weights: "f32", Prompt: 1, Generate: 2, Context: 900, Batch: 5, Runs: 1},
	} {
		f, err := Infer(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if (f.Prompt != nil) != (o.Prompt > 0) {
			t.Errorf("%+v: prompt %v", o, f.Prompt)
		} else if f.Prompt != nil {
			checkWork(t, *f.Prompt, f.Machine, o.Runs, o.Prompt, forwardFLOPs(&c, 0, o.Prompt, 1))
		}
		checkWork(t, *f.Generate, f.Machine, o.Runs, o.Generate*o.Batch, float64(o.Batch)*forwardFLOPs(&c, o.Context, o.Generate, o.Generate))
		checkMemory(t, f.Memory, false)
		if o.Pure && len(f.Stored) != 1 {
			t.Errorf("pure, and stored %v", f.Stored)
		}
	}
}

func TestStopwatch(t *testing.T) {
	w := stopwatch{sequences: 3, steps: 2}
	for i, tokens := range []int{2, 0, 3, 3, 3, 3, 1} { // the last prompt was taken in by second 2
		if w.done != (i > 4) {
			t.Errorf("done %v before second %d", w.done, i)
		}
		w.step(tokens, time.Unix(int64(i), 0))
	}
	if w.took != 2*time.Second || w.taken != 2 {
		t.Errorf("%d steps took %v", w.taken, w.took)
	}
}

func TestGEMM(t *testing.T) {
	f, err := GEMM(t.Context(), GEMMOptions{Shape: "tiny", M: 8, Weights: []string{"q8_0", "F32", "q8_0"}, Threads: 1, Runs: 1})
	if err != nil {
		t.Fatal(err)
	}
	// (K,N): k and v, q and o, gate and up, down, head.
	want := [][2]int{{64, 32}, {64, 64}, {64, 128}, {128, 64}, {64, 256}}
	if len(f.Products) != len(want)*2*2 {
		t.Fatalf("%d products", len(f.Products))
	}
	for i, p := range f.Products {
		size, operation, weights := want[i/4], []string{"MatMul", "MatMulGrad"}[i/2%2], []string{"f32", "q8_0"}[i%2]
		if p.K != size[0] || p.N != size[1] || p.Operation != operation || p.Weights != weights {
			t.Errorf("product %d is %+v", i, p)
		}
		if !(p.GFLOPS.Min > 0 && p.OfPeak > 0 && p.OfF32 > 0) || p.Weights == "f32" && p.OfF32 != 1 {
			t.Errorf("%+v", p)
		}
	}
	checkMemory(t, f.Memory, false)
}

// A format whose blocks do not fit is left out, and named.
func TestGEMMSkipsWhatDoesNotFit(t *testing.T) {
	f32, _ := formatOf("f32")
	q8, _ := formatOf("q8_0")
	b := &bout{dev: cpu.New(1), m: 1, k: 100, n: 4}
	skipped, err := b.enter([]format{f32, q8})
	if err != nil || len(skipped) != 1 || skipped[0] != "Q8_0" || len(b.weights) != 1 {
		t.Errorf("skipped %v, error %v, %d weights", skipped, err, len(b.weights))
	}
}

func TestEveryFaultIsTold(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want []string
	}{
		{"train", TrainOptions{Shape: "smol", Weights: "q9_0", Batch: 0, Seq: -1, Rank: 5000, Threads: -1, Runs: 0, MemoryBytes: -1}.Validate(),
			[]string{`unknown shape "smol"`, "did you mean q8_0?", "batch: 0: want 1 to", "seq: -1", "rank: 5000", "threads: -1", "runs: 0", "memory: -1"}},
		{"supervised", TrainOptions{Shape: "tiny", Weights: "f32", Batch: 2, Seq: 3, Rank: 1, Supervised: 7, Runs: 1}.Validate(),
			[]string{"supervised: 7: want 0 to 6"}},
		{"too large", TrainOptions{Shape: "tiny", Weights: "f32", Batch: 1 << 16, Seq: 8192, Rank: 1, Runs: 1}.Validate(),
			[]string{"batch times seq: 536870912: want 1 to 1048576"}},
		{"infer", InferOptions{Shape: "elephant", Weights: "", Prompt: -1, Generate: -1, Context: 0, Batch: 0, Threads: 2000}.Validate(),
			[]string{`unknown shape "elephant": there are`, `unknown weights ""`, "prompt: -1", "generate: -1", "context: 0", "batch: 0", "threads: 2000", "runs: 0"}},
		{"nothing", InferOptions{Shape: "tiny", Weights: "f32", Context: 1, Batch: 1, Runs: 1}.Validate(), []string{"nothing to measure"}},
		{"too long", InferOptions{Shape: "tiny", Weights: "f32", Generate: 4000, Context: 4192, Batch: 1, Runs: 1}.Validate(), []string{"want at most 8192"}},
		{"gemm", GEMMOptions{Shape: "tiny", M: 0, Runs: 0, Weights: []string{"f32", "bf61"}}.Validate(), []string{"m: 0", "runs: 0", "did you mean bf16?"}},
		{"no weights", GEMMOptions{Shape: "tiny", M: 1, Runs: 1}.Validate(), []string{"weights: none given"}},
	} {
		for _, want := range c.want {
			if c.err == nil || !strings.Contains(c.err.Error(), want) {
				t.Errorf("%s: %q is not among the faults: %v", c.name, want, c.err)
			}
		}
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, train := Train(ctx, TrainOptions{Shape: "tiny", Weights: "f32", Batch: 1, Seq: 4, Rank: 1, Runs: 1})
	_, infer := Infer(ctx, InferOptions{Shape: "tiny", Weights: "f32", Prompt: 1, Context: 1, Batch: 1, Runs: 1})
	_, gemm := GEMM(ctx, GEMMOptions{Shape: "tiny", M: 1, Weights: []string{"all"}, Runs: 1})
	for i, err := range []error{train, infer, gemm} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%d: error %v", i, err)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Spread
	}{
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{4, 1}, Spread{2.5, 1, 4}},
		{[]float64{9, 1, 2}, Spread{2, 1, 9}},
		{[]float64{8, 1, 4, 2}, Spread{3, 1, 8}},
	} {
		if got := spread(c.values); got != c.want {
			t.Errorf("spread of %v is %+v, want %+v", c.values, got, c.want)
		}
	}
}
