package distill

import (
	"errors"
	"fmt"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// Objective is the loss of a student that follows a teacher's probabilities. A
// row that predicts token o of answer e, weighing w, has the loss
//
//	w·(alpha·D(teacher's top K for (e,o), student) + (1−alpha)·−log p(target))
//
// and a row that predicts a prompt token, or a token for which the teacher has no
// alternatives, w·−log p(target). With divergence uld, D compares the teacher's
// top K with the student's own: see distance. It may be used by several
// goroutines at once.
type Objective struct {
	teacher    *TopTable
	alpha      float64
	divergence divergence
}

// Bytes is the memory that the teacher's probabilities take.
func (d *Objective) Bytes() int64 { return d.teacher.Bytes() }

// NewObjective makes the objective of examples whose indices are t's.
func NewObjective(o Options, t *TopTable) (*Objective, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if t == nil {
		return nil, errors.New("distillation: no teacher's probabilities")
	}
	o = o.WithDefaults()
	return &Objective{teacher: t, alpha: *o.Alpha, divergence: o.compared()}, nil
}

// RowLoss returns the summed loss of the supervised rows, which are indices of
// b's B·T positions. A row whose response token is not in the table is an error
// that names its example, unless the table has no place at all of its answer.
func (d *Objective) RowLoss(b datasets.Batch, rows []int32) (autodiff.RowLoss, error) {
	list := make([]lossRow, len(rows))
	for i, r := range rows {
		row := lossRow{example: int(b.Example[r]), offset: int(b.Offset[r]), target: b.Targets[r], weight: float64(b.Weights[r])}
		if row.offset >= 0 {
			var err error
			if row.ids, row.logProbs, err = d.at(row.example, row.offset); err != nil {
				return nil, fmt.Errorf("distillation: %w", err)
			}
		}
		list[i] = row
	}
	return func(dev compute.Device, logits compute.Mat, from, to int) (float64, error) {
		return d.loss(dev, logits, list[from:to])
	}, nil
}

// at is the teacher's alternatives for a token of an answer; none where nothing
// is known of the whole answer, such as of one whose text was changed.
func (d *Objective) at(example, offset int) ([]int32, []float32, error) {
	if example >= 0 && example < d.teacher.Examples() && d.teacher.Places(example) == 0 {
		return nil, nil, nil
	}
	ids, logProbs, err := d.teacher.At(example, offset)
	if d.divergence.sorted {
		return nil, descending(logProbs), err // the ids are of another vocabulary
	}
	return ids, logProbs, err
}

// lossRow is a supervised row, with the teacher's alternatives if it has any.
type lossRow struct {
	example, offset int
	target          int32
	weight          float64
	ids             []int32 // of the teacher's alternatives; nil where D compares sorted probabilities
	logProbs        []float32
}

// check tells whether the row fits a vocabulary of v.
func (r *lossRow) check(v int) error {
	if r.target < 0 || int(r.target) >= v {
		return fmt.Errorf("distillation: example %d: target token id %d is outside the student's vocabulary of %d", r.example, r.target, v)
	}
	for _, id := range r.ids {
		if int(id) >= v {
			return fmt.Errorf("distillation: example %d: the teacher's token id %d is outside the student's vocabulary of %d: they need the same tokenizer", r.example, id, v)
		}
	}
	return nil
}

// loss replaces logits (N,V) by the gradient of the rows' summed loss.
func (d *Objective) loss(dev compute.Device, logits compute.Mat, rows []lossRow) (float64, error) {
	n, v := len(rows), logits.Cols
	row := func(i int) []float32 { return dev.Host(logits.RowRange(i, i+1)) }
	targets, weights, losses := make([]int32, n), make([]float32, n), make([]float64, n)
	for i := range rows {
		r := &rows[i]
		if err := r.check(v); err != nil {
			return 0, err
		}
		targets[i], weights[i] = r.target, float32(r.weight)
		if r.logProbs != nil {
			weights[i] = 1
		}
	}
	compared := make([]comparedTokens, n)
	eachRow(n, func(s *rowScratch, i int) {
		if rows[i].logProbs != nil {
			compared[i] = d.tokens(s, row(i), &rows[i])
		}
	})
	// The wide part by the device's kernel: it leaves the probabilities, but 1
	// less at the target, and the target's loss, from which the log-sum-exp follows.
	dev.CrossEntropy(logits, targets, weights, losses)
	eachRow(n, func(s *rowScratch, i int) {
		if r := &rows[i]; r.logProbs != nil {
			losses[i] = d.row(s, row(i), r, compared[i], losses[i])
		} else {
			losses[i] *= r.weight
		}
	})
	sum := 0.0
	for _, l := range losses {
		sum += l
	}
	return sum, nil
}
