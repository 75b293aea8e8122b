package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/bytesize"
	"github.com/retort-ml/retort/internal/compute/cpu"
	"github.com/retort-ml/retort/internal/model"
	"github.com/retort-ml/retort/internal/random"
	"github.com/retort-ml/retort/train"
)

// warmSteps come before those that are measured: the first compiles the graph
// and touches all memory.
const warmSteps = 2

// maxStepTokens bounds a step: what would take terabytes can only be a mistake.
const maxStepTokens = 1 << 20

// TrainOptions say what Train measures. There are no defaults but those of the
// command line.
type TrainOptions struct {
	Shape       string
	Weights     string // of the frozen model: one of Weights
	Batch       int    // B, sequences of a step
	Seq         int    // T, tokens of a sequence
	Rank        int    // R of the low-rank updates, on all linear layers
	Supervised  int    // tokens of a step that have a loss, the last of each sequence; 0 means all
	MemoryBytes int64  // the process is to stay below it; 0 means no budget
	Threads     int    // 0 means as many as Go may use
	Runs        int    // steps measured
}

// TrainFigures is what Train measured.
type TrainFigures struct {
	Bench      string  `json:"bench"` // train
	Shape      string  `json:"shape"`
	Weights    string  `json:"weights"`
	Stored     Stored  `json:"weight_bytes_by_format"`
	Parameters int     `json:"parameters"`
	Trainable  int     `json:"trainable_parameters"`
	Batch      int     `json:"batch"`
	Seq        int     `json:"sequence_tokens"`
	Rank       int     `json:"rank"`
	Supervised int     `json:"supervised_tokens_per_step"`
	Loss       float64 `json:"last_loss_nats"` // of random tokens: it shows only that numbers are in order
	Step       Work    `json:"step"`
	Recomputed int     `json:"recomputed_layers"`
	// PlannedBytes is the peak memory that was foreseen.
	PlannedBytes int64 `json:"planned_memory_bytes"`
	Memory
	Machine Machine `json:"machine"`
}

// Validate reports every field that is out of range.
func (o TrainOptions) Validate() error {
	_, err := o.layout()
	return err
}

func (o TrainOptions) layout() (layout, error) {
	errs := faults(number{"batch", o.Batch, 1, 1 << 16}, number{"seq", o.Seq, 1, positions}, number{"rank", o.Rank, 1, 4096},
		number{"threads", o.Threads, 0, maxThreads}, number{"runs", o.Runs, 1, maxRuns})
	if len(errs) == 0 { // the product is then none that overflows
		errs = faults(number{"batch times seq", o.Batch * o.Seq, 1, maxStepTokens}, number{"supervised", o.Supervised, 0, o.Batch * o.Seq})
	}
	if o.MemoryBytes < 0 {
		errs = append(errs, fmt.Errorf("memory: %d bytes: want 0 or more", o.MemoryBytes))
	}
	c, unknown := Shape(o.Shape)
	l, err := trained(o.Weights, &c)
	return l, errors.Join(append(errs, unknown, err)...)
}

// Train measures whole optimizer steps of LoRA training, as train.Run does
// them. A memory budget makes it recompute layers.
func Train(ctx context.Context, o TrainOptions) (*TrainFigures, error) {
	l, err := o.layout()
	if err != nil {
		return nil, err
	}
	c, err := Shape(o.Shape)
	if err != nil {
		return nil, err
	}
	dev := cpu.New(o.Threads)
	f := &TrainFigures{Bench: "train", Shape: o.Shape, Weights: o.Weights, Batch: o.Batch, Seq: o.Seq, Rank: o.Rank,
		Supervised: o.Supervised, Machine: machine(dev)}
	if f.Supervised == 0 {
		f.Supervised = o.Batch * o.Seq
	}
	m, stored, err := build(ctx, dev, c, l)
	if err != nil {
		return nil, err
	}
	f.Stored, f.Parameters = stored, m.Parameters()
	if err := m.AddLoRA(model.LoRA{R: o.Rank}, random.Stream(seed, "bench lora")); err != nil {
		return nil, err
	}
	before := peakGFLOPS(dev, peakTime)
	seconds, err := f.steps(ctx, m, o)
	if err != nil {
		return nil, err
	}
	f.Machine.PeakGFLOPS = math.Max(before, peakGFLOPS(dev, peakTime))
	f.Step = newWork(seconds, o.Batch*o.Seq, trainFLOPs(&c, o.Batch, o.Seq, o.Rank, f.Supervised))
	f.Step.compare(f.Machine)
	f.Memory = measureMemory(o.MemoryBytes)
	return f, nil
}

// steps trains m and returns how long each of the last o.Runs steps took.
func (f *TrainFigures) steps(ctx context.Context, m *model.Model, o TrainOptions) ([]float64, error) {
	var seconds []float64
	var last time.Time
	run := train.Run{
		Student: m,
		Data:    train.Data{Source: same{f.batch(&m.Config)}, Objective: train.CrossEntropy{}},
		Options: train.Options{Steps: warmSteps + o.Runs, Seed: seed, Memory: bytesize.Size(o.MemoryBytes)},
		Planned: func(m train.Memory) { f.Recomputed, f.PlannedBytes = m.Recomputed, m.Peak },
		Report: func(p train.Progress) {
			now := time.Now()
			if p.Step > warmSteps {
				seconds = append(seconds, now.Sub(last).Seconds())
			}
			last, f.Loss = now, p.Loss
		},
	}
	summary, err := run.Do(ctx)
	f.Trainable = summary.Trainable
	return seconds, err
}

// batch is B sequences of T random tokens, the last of each supervised.
func (f *TrainFigures) batch(c *model.Config) datasets.Batch {
	n := f.Batch * f.Seq
	b := datasets.Batch{
		B: f.Batch, T: f.Seq, Tokens: randomTokens(c, "tokens", n), Targets: randomTokens(c, "targets", n),
		Positions: make([]int32, n), Segments: make([]int32, n), Weights: make([]float32, n),
		Example: make([]int32, n), Offset: make([]int32, n),
	}
	for i := range n {
		row, at := i/f.Seq, i%f.Seq
		b.Positions[i], b.Segments[i], b.Example[i], b.Offset[i] = int32(at), 1, int32(row), -1
		learned := f.Supervised / f.Batch
		if row < f.Supervised%f.Batch {
			learned++
		}
		if first := f.Seq - learned; at >= first {
			b.Weights[i], b.Offset[i] = 1, int32(at-first)
		} else {
			b.Targets[i] = -1
		}
	}
	return b
}

// same is a Source with one batch.
type same struct{ batch datasets.Batch }

// Len is 1 in every epoch.
func (s same) Len(int) int { return 1 }

// At is the batch.
func (s same) At(int, int) (datasets.Batch, error) { return s.batch, nil }
