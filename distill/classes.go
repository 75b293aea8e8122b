package distill

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// ClassObjective is the loss of a classifier that follows a teacher's
// probabilities of the labels. A sequence of class c, weighing w, has the loss
//
//	w·(alpha·D(teacher's labels, student) + (1−alpha)·−log p(c))
//
// It may be used by several goroutines at once.
type ClassObjective struct {
	teacher    [][]float64 // log-probabilities of the labels, by example
	alpha      float64
	divergence divergence
}

// Bytes is the memory that the teacher's probabilities take.
func (c *ClassObjective) Bytes() int64 {
	n := int64(0)
	for _, row := range c.teacher {
		n += 8*int64(len(row)) + 24
	}
	return n
}

// NewClassObjective makes the objective of examples whose labels have these
// probabilities, by the example's index. They must sum to 1, within 1 %, and are
// scaled to do so exactly.
func NewClassObjective(o Options, probabilities [][]float64) (*ClassObjective, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := o.ForClasses(); err != nil {
		return nil, fmt.Errorf("distillation: %w", err)
	}
	o = o.WithDefaults()
	c := &ClassObjective{alpha: *o.Alpha, divergence: o.compared()}
	for i, row := range probabilities {
		total := 0.0
		for j, p := range row {
			if !(p >= 0 && p <= 1.01) {
				return nil, fmt.Errorf("distillation: example %d: probability %v of label %d", i, p, j)
			}
			total += p
		}
		if !(math.Abs(total-1) <= 0.01) {
			return nil, fmt.Errorf("distillation: example %d: the labels' probabilities sum to %v, want 1", i, total)
		}
		logs := make([]float64, len(row))
		for j, p := range row {
			logs[j] = math.Log(max(p, teacherFloor)) // what is missing of 1 goes when they are tempered
		}
		c.teacher = append(c.teacher, logs)
	}
	return c, nil
}

// RowLoss returns the summed loss of the supervised rows, which are indices of
// b's B·T positions. A row whose example has no probabilities is an error that names it.
func (c *ClassObjective) RowLoss(b datasets.Batch, rows []int32) (autodiff.RowLoss, error) {
	for _, r := range rows {
		if e := b.Example[r]; e < 0 || int(e) >= len(c.teacher) {
			return nil, fmt.Errorf("distillation: example %d has no teacher's probabilities, there are those of %d", e, len(c.teacher))
		}
	}
	return func(dev compute.Device, logits compute.Mat, from, to int) (float64, error) {
		losses := make([]float64, to-from)
		for _, r := range rows[from:to] {
			if n, v := len(c.teacher[b.Example[r]]), logits.Cols; n != v || b.Targets[r] < 0 || int(b.Targets[r]) >= v {
				return 0, fmt.Errorf("distillation: example %d: class %d, and probabilities of %d labels; the student has %d", b.Example[r], b.Targets[r], n, v)
			}
		}
		eachRow(to-from, func(s *rowScratch, i int) {
			r := rows[from+i]
			losses[i] = c.row(s, dev.Host(logits.RowRange(i, i+1)), c.teacher[b.Example[r]], b.Targets[r], float64(b.Weights[r]))
		})
		sum := 0.0
		for _, l := range losses {
			sum += l
		}
		return sum, nil
	}, nil
}

// row returns the loss of one row, and replaces its logits by the gradient.
func (c *ClassObjective) row(s *rowScratch, logits []float32, probabilities []float64, class int32, weight float64) float64 {
	teacher, student, grad := s.grow(len(logits))
	copy(teacher, probabilities)
	logs := s.probs[:len(logits)]
	for j, v := range logits {
		student[j], logs[j] = float64(v), float64(v)
	}
	value := c.divergence.of(teacher, student, grad)
	temper(logs, 1)
	for j := range logits {
		slope := math.Exp(logs[j])
		if j == int(class) {
			slope--
		}
		logits[j] = float32(weight * (c.alpha*grad[j] + (1-c.alpha)*slope))
	}
	return weight * (c.alpha*value - (1-c.alpha)*logs[class])
}
