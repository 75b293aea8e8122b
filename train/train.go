package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/random"
)

// Source gives batches by epoch and index, the same ones every time. Errors are
// those of reading them.
type Source interface {
	Len(epoch int) int
	At(epoch, i int) (datasets.Batch, error)
}

// Data is batches with the objective that fits them.
type Data struct {
	Source    Source
	Objective Objective
	Bytes     int64 // of memory that it takes, to be counted in Options.Memory; 0 means next to nothing
	// Write, if not nil, writes each batch anew just before the step that learns
	// it, with the objective that fits: the student's own answers, say. It returns
	// the same for the same batch, key and weights, and no more places than b has.
	Write func(ctx context.Context, b datasets.Batch, key uint64) (datasets.Batch, Objective, error)
}

// Run trains the student's Params on Data. Valid, Report and Planned may be nil.
type Run struct {
	Student Student
	Data    Data
	Valid   *Data
	Options Options
	// DecayAll makes Options.WeightDecay that of all Params, gains and biases
	// too, as torch's AdamW does with parameters that are given to it as they are.
	DecayAll bool
	// Checkpoint is a directory to keep checkpoints in, "" for none. Identity
	// names what the run computes: a checkpoint of another identity is refused.
	Checkpoint string
	Identity   string
	Report     func(Progress)
	// Planned is told before the first step how much memory the run will take.
	Planned func(Memory)
}

// Progress is what Run tells after a step.
type Progress struct {
	Step, Steps int
	Epoch       int
	Loss        float64 // mean of the step's weighted tokens, in nats
	Valid       float64 // mean on the validation data, in nats; NaN when not measured after this step
	GradNorm    float64 // before clipping
	Rate        float64
	Tokens      int // supervised tokens of the step
}

// Summary is what a run came to. It holds no clock.
type Summary struct {
	Steps     int     `json:"steps"`
	Tokens    int64   `json:"supervised_tokens"`
	Loss      float64 `json:"last_loss_nats"`
	Valid     float64 `json:"valid_loss_nats,omitempty"`  // of the weights kept
	BestStep  int     `json:"kept_step"`                  // the step whose weights were kept
	FirstLoss float64 `json:"first_loss_nats"`            // of the first step
	Trainable int     `json:"trainable_parameters"`       // values that training changed
	Curve     []Point `json:"validation_curve,omitempty"` // every validation
}

// Point is one validation.
type Point struct {
	Step  int     `json:"step"`
	Valid float64 `json:"valid_loss_nats"`
}

// Do trains until the last step, ctx ends, or an error. A loss that is not
// finite is an error with step, batch and seed, and the student is then as the
// step before left it. Meanwhile garbage is collected more often, in the whole
// program: Go's setting is put back at the end.
func (r *Run) Do(ctx context.Context) (Summary, error) {
	s, err := r.start()
	if err != nil {
		return Summary{}, fmt.Errorf("train: %w", err)
	}
	defer limitGarbage(s.memory.Peak)()
	if r.Planned != nil {
		r.Planned(s.memory)
	}
	for s.step < s.steps {
		if err := ctx.Err(); err != nil {
			return s.summary, errors.Join(err, s.save())
		}
		if err := s.next(ctx); err != nil {
			if ctx.Err() != nil { // the step was not done, and nothing of it stays
				return s.summary, errors.Join(ctx.Err(), s.save())
			}
			return s.summary, fmt.Errorf("train: step %d of %d: %w", s.step+1, s.steps, err)
		}
		if s.step%s.o.CheckpointEvery == 0 && s.step < s.steps {
			if err := s.save(); err != nil {
				return s.summary, fmt.Errorf("train: %w", err)
			}
		}
	}
	return s.finish(), nil
}

// state is a run under way: all of it but the batches is in a checkpoint.
type state struct {
	*Run
	o            Options
	params       []*autodiff.Param
	moments      []moment
	train, valid *lossGraph
	steps        int // in the whole run

	step, epoch, batch int // steps done; the next batch
	summary            Summary
	memory             Memory
	best               [][]float32 // the Params' values at the best validation
}

// start makes the graphs and takes up a checkpoint, if there is one.
func (r *Run) start() (*state, error) {
	if err := r.Options.Validate(); err != nil {
		return nil, err
	}
	s := &state{Run: r, o: r.Options.WithDefaults(), params: r.Student.Params()}
	if s.o.Keep == "best" && r.Valid == nil {
		return nil, errors.New("keep: best: there is no validation data")
	}
	if len(s.params) == 0 {
		return nil, errors.New("nothing to train: every weight is frozen")
	}
	s.summary.Trainable = r.Student.Trainable()
	for _, p := range s.params {
		s.moments = append(s.moments, newMoment(r.Student.Device(), p))
	}
	if s.steps = s.countSteps(); s.steps == 0 {
		return nil, fmt.Errorf("no batches: %w", ErrNoTokens)
	}
	var err error
	if s.train, err = newLossGraph(r.Student, r.Data, true, s.o.Dropout); err != nil {
		return nil, err
	}
	if r.Valid != nil {
		if s.valid, err = newLossGraph(r.Student, *r.Valid, false, 0); err != nil {
			return nil, fmt.Errorf("validation: %w", err)
		}
	}
	if err = s.fitMemory(); err != nil {
		return nil, err
	}
	return s, s.load()
}

// fitMemory makes the graphs keep to the memory that there is.
func (s *state) fitMemory() (err error) {
	need := Need{Student: s.Student, Rows: s.train.rows, DataBytes: s.Data.Bytes, Options: s.o}
	var valid *autodiff.Graph
	if s.valid != nil {
		need.ValidRows, need.DataBytes = s.valid.rows, need.DataBytes+s.Valid.Bytes
		valid = s.valid.graph
	}
	s.memory, err = need.fit(s.train.graph, valid, s.o.Limit())
	return err
}

// stepsOf is how many steps an epoch has: the last may have fewer batches.
func (s *state) stepsOf(epoch int) int {
	return (s.Data.Source.Len(epoch) + s.o.Accumulate - 1) / s.o.Accumulate
}

func (s *state) countSteps() int {
	if s.o.Steps > 0 {
		if s.stepsOf(0) == 0 {
			return 0
		}
		return s.o.Steps
	}
	n := 0
	for e := range s.o.Epochs {
		n += s.stepsOf(e)
	}
	return n
}

// next does one optimizer update.
func (s *state) next(ctx context.Context) error {
	for _, p := range s.params {
		s.Student.Device().Clear(compute.Of(p.Grad))
	}
	var sum, weight float64
	tokens := 0
	n := s.Data.Source.Len(s.epoch)
	if n == 0 {
		return fmt.Errorf("epoch %d: no batches: %w", s.epoch, ErrNoTokens)
	}
	last := min(s.batch+s.o.Accumulate, n)
	for i := s.batch; i < last; i++ {
		b, err := s.Data.Source.At(s.epoch, i)
		if err != nil {
			return err
		}
		key := random.Key(s.o.Seed, fmt.Sprintf("dropout %d %d", s.epoch, i))
		objective := s.Data.Objective
		if s.Data.Write != nil {
			key := random.Key(s.o.Seed, fmt.Sprintf("write %d %d", s.epoch, i))
			if b, objective, err = s.Data.Write(ctx, b, key); err != nil {
				return fmt.Errorf("epoch %d batch %d: %w", s.epoch, i, err)
			}
		}
		bs, bw, err := s.train.run(b, objective, key)
		if err != nil {
			return fmt.Errorf("epoch %d batch %d seed %d: %w", s.epoch, i, s.o.Seed, err)
		}
		sum, weight, tokens = sum+bs, weight+bw, tokens+supervised(b)
	}
	if weight == 0 {
		return fmt.Errorf("epoch %d batches %d to %d: %w", s.epoch, s.batch, last-1, ErrNoTokens)
	}
	norm, rate, err := s.update(1 / weight)
	if err != nil {
		return fmt.Errorf("epoch %d batches %d to %d seed %d: %w", s.epoch, s.batch, last-1, s.o.Seed, err)
	}
	s.step++
	epoch, epochEnds := s.epoch, last == n
	if s.batch = last; epochEnds {
		s.epoch, s.batch = s.epoch+1, 0
	}
	s.summary.Steps, s.summary.Loss = s.step, sum/weight
	s.summary.Tokens += int64(tokens)
	if s.step == 1 {
		s.summary.FirstLoss = sum / weight
	}
	valid, err := s.validate(epochEnds)
	if err != nil {
		return err
	}
	if s.Report != nil {
		s.Report(Progress{Step: s.step, Steps: s.steps, Epoch: epoch, Loss: sum / weight, Valid: valid,
			GradNorm: norm, Rate: rate, Tokens: tokens})
	}
	return nil
}

func supervised(b datasets.Batch) int {
	n := 0
	for i, t := range b.Targets {
		if t >= 0 && b.Weights[i] != 0 {
			n++
		}
	}
	return n
}

// validate measures the validation loss when it is due, else returns NaN.
func (s *state) validate(epochEnds bool) (float64, error) {
	due := epochEnds
	if s.o.ValidEvery > 0 {
		due = s.step%s.o.ValidEvery == 0
	}
	if s.valid == nil || !(due || s.step == s.steps) {
		return math.NaN(), nil
	}
	v, err := s.valid.evaluate()
	if err != nil {
		return 0, err
	}
	best := true
	for _, p := range s.summary.Curve {
		best = best && v < p.Valid
	}
	s.summary.Curve = append(s.summary.Curve, Point{s.step, v})
	if s.o.Keep == "best" && best {
		s.summary.BestStep, s.summary.Valid = s.step, v
		s.remember()
	}
	if s.o.Keep == "last" {
		s.summary.Valid = v
	}
	return v, nil
}

// remember copies the Params' values.
func (s *state) remember() {
	if s.best == nil {
		s.best = make([][]float32, len(s.params))
	}
	for i, p := range s.params {
		s.best[i] = append(s.best[i][:0], s.Student.Device().Host(compute.Of(p.Value))...)
	}
}

// finish puts the weights to keep into the student.
func (s *state) finish() Summary {
	if s.o.Keep == "best" {
		for i, p := range s.params {
			copy(s.Student.Device().Host(compute.Of(p.Value)), s.best[i])
		}
	} else {
		s.summary.BestStep = s.step
	}
	return s.summary
}
