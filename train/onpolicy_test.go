package train_test

import (
	"context"
	"errors"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/distill"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/train"
)

// ownAnswers is a run in which the student m learns from its own answers, and a
// few given ones, what a teacher says of them.
func ownAnswers(t *testing.T, m *model.Model, checkpoint string, report func(train.Progress)) train.Run {
	t.Helper()
	teacher, err := model.New(cpu.New(2), tinyConfig(), random.Stream(8, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	o := distill.OnPolicyOptions{Share: new(0.75), TopK: 40, Sampling: model.Sampling{Temperature: 1}}
	p, err := distill.NewOnPolicy(m, teacher, []int32{0}, o, distill.Options{Divergence: distill.JSD})
	if err != nil {
		t.Fatal(err)
	}
	run := longRun(t, m, checkpoint, report)
	run.Data.Write = func(ctx context.Context, b datasets.Batch, key uint64) (datasets.Batch, train.Objective, error) {
		return p.Write(ctx, b, key)
	}
	run.Options.Dropout = 0
	return run
}

func TestTheStudentLearnsFromItsOwnAnswers(t *testing.T) {
	for name, student := range map[string]func(*testing.T) *model.Model{"full": tinyFull, "lora": tinyLoRA} {
		var losses []float64
		run := ownAnswers(t, student(t), "", func(p train.Progress) { losses = append(losses, p.Loss) })
		run.Options.Epochs, run.Options.Keep = 12, "last"
		do(t, run)
		n := len(losses) / 6
		if first, last := mean(losses[:n]), mean(losses[len(losses)-n:]); !(last < 0.8*first) {
			t.Errorf("%s: divergence %v at the beginning, %v at the end", name, first, last)
		}
	}
}

func mean(list []float64) float64 {
	sum := 0.0
	for _, v := range list {
		sum += v
	}
	return sum / float64(len(list))
}

func TestStopAmongOwnAnswersIsNotStopping(t *testing.T) {
	whole := tinyFull(t)
	want := do(t, ownAnswers(t, whole, "", nil))
	for stop := 1; stop < want.Steps; stop += 4 {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		first := ownAnswers(t, tinyFull(t), dir, nil)
		write, written := first.Data.Write, 0
		first.Data.Write = func(ctx context.Context, b datasets.Batch, key uint64) (datasets.Batch, train.Objective, error) {
			if written++; written == 2*stop { // in the middle of a step
				cancel()
			}
			return write(ctx, b, key)
		}
		if _, err := first.Do(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("stop at %d: %v", stop, err)
		}
		m := tinyFull(t)
		got := do(t, ownAnswers(t, m, dir, nil))
		if got.Steps != want.Steps || got.Loss != want.Loss {
			t.Errorf("stop at %d: summary %+v, want %+v", stop, got, want)
		}
		sameBits(t, "weights", values(m), values(whole))
	}
}
