package train_test

import (
	"errors"
	"testing"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/bytesize"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/train"
)

// wideBatches is one step of rows so long that activations take megabytes.
func wideBatches(t *testing.T) *datasets.Batches {
	return batches(t, sequences(200), datasets.BatchOptions{Rows: 64, Length: 64, ResponseWeight: 1})
}

func TestABudgetRecomputesLayersAndChangesNoBit(t *testing.T) {
	for name, make := range map[string]func(*testing.T) *model.Model{"low-rank": tinyLoRA, "all weights": tinyFull} {
		t.Run(name, func(t *testing.T) {
			b := wideBatches(t)
			run := func(budget int64) (train.Memory, [][]float32) {
				m := make(t)
				var planned train.Memory
				do(t, train.Run{Student: m, Data: train.Data{Source: b, Objective: train.CrossEntropy{}},
					Options: train.Options{Steps: 2, Dropout: 0.2, Memory: bytesize.Size(budget)},
					Planned: func(m train.Memory) { planned = m }})
				return planned, values(m)
			}
			free, want := run(0)
			if free.Recomputed != 0 || free.Layers != 2 {
				t.Errorf("without a budget: %+v", free)
			}
			tight, got := run(free.Peak - 1)
			if tight.Recomputed < 1 || tight.Peak >= free.Peak {
				t.Errorf("one byte less than %+v: %+v", free, tight)
			}
			sameBits(t, "weights", got, want)
		})
	}
}

func TestABudgetThatIsTooSmallSaysTheLeast(t *testing.T) {
	run := train.Run{Student: tinyLoRA(t), Data: train.Data{Source: wideBatches(t), Objective: train.CrossEntropy{}},
		Options: train.Options{Steps: 1, Memory: 1 << 20}}
	_, err := run.Do(t.Context())
	var small *train.MemoryError
	if !errors.As(err, &small) || small.Limit != 1<<20 {
		t.Fatalf("error %v", err)
	}
	run.Options.Memory = bytesize.Size(small.Least)
	do(t, run)
	run.Options.Memory--
	if _, err := run.Do(t.Context()); !errors.As(err, &small) {
		t.Errorf("a byte less than the least: %v", err)
	}
}

// What is planned without values is what a run with them takes.
func TestTheOutlineNeedsTheSame(t *testing.T) {
	outline := func() *model.Model {
		m, err := model.NewOutline(tinyConfig(), compute.F32)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	low, all := outline(), outline()
	if err := errors.Join(low.AddLoRA(model.LoRA{R: 3, Dropout: 0.3}, nil), all.Unfreeze()); err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]*model.Model{"low-rank": {low, tinyLoRA(t)}, "all weights": {all, tinyFull(t)}} {
		for _, o := range []train.Options{{}, {Keep: "best", Dropout: 0.1}} {
			var got [2]train.Memory
			for i, m := range pair {
				var err error
				got[i], err = train.Need{Student: m, Rows: 300, ValidRows: 200, DataBytes: 1000, Options: o}.Memory(1 << 40)
				if err != nil {
					t.Fatal(err)
				}
			}
			if got[0] != got[1] || got[0].Peak < 1<<20 {
				t.Errorf("%s: %+v, with values %+v", name, got[0], got[1])
			}
		}
	}
}

// wider has wider keys.
type wider struct{ train.Student }

func (w wider) KeyCols() int { return w.Student.KeyCols() + 3 }

func TestNeedCountsEveryPart(t *testing.T) {
	student := tinyFull(t)
	base := train.Need{Student: student, Rows: 64}
	peak := func(n train.Need) int64 {
		m, err := n.Memory(1 << 40)
		if err != nil {
			t.Fatal(err)
		}
		return m.Peak
	}
	n := int64(base.Student.Trainable())
	if n != int64(student.Parameters()) {
		t.Errorf("%d trainable of %d parameters", n, student.Parameters())
	}
	best, data, valid, rows := base, base, base, base
	best.Options.Keep, data.DataBytes, valid.ValidRows, rows.Rows = "best", 12345, 64, 65
	wide := base
	wide.Student = wider{student}
	if got := peak(wide) - peak(base); got != 2*5*64*3 {
		t.Errorf("keys that are 3 wider take %d bytes", got)
	}
	if got := peak(best) - peak(base); got != 4*n {
		t.Errorf("the best weights take %d bytes, want %d", got, 4*n)
	}
	if got := peak(data) - peak(base); got != 12345 {
		t.Errorf("the data takes %d bytes", got)
	}
	if peak(valid) <= peak(base) || peak(rows) <= peak(base) {
		t.Error("validation, or one more row, takes nothing")
	}
}
