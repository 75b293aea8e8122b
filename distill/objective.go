package distill

import (
	"errors"
	"fmt"
	"slices"
	"sync"

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
	scratch    sync.Pool // *topScratch
}

// Bytes is the memory that the teacher's probabilities take between two calls.
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
// that names its example, unless the table has no place at all of its answer, such
// as of one whose text was changed.
func (d *Objective) RowLoss(b datasets.Batch, rows []int32) (autodiff.RowLoss, error) {
	list := make([]lossRow, len(rows))
	for i, r := range rows {
		row := lossRow{example: int(b.Example[r]), offset: int(b.Offset[r]), target: b.Targets[r], weight: float64(b.Weights[r])}
		if e := row.example; e >= 0 && e < d.teacher.Examples() && d.teacher.Places(e) == 0 {
			row.offset = -1
		}
		if row.offset >= 0 {
			if err := d.teacher.check(row.example, row.offset); err != nil {
				return nil, fmt.Errorf("distillation: %w", err)
			}
		}
		list[i] = row
	}
	return func(dev compute.Device, logits compute.Mat, from, to int) (float64, error) {
		s, ok := d.scratch.Get().(*topScratch)
		if !ok {
			s = new(topScratch)
		}
		defer d.scratch.Put(s)
		part := slices.Clone(list[from:to])
		if err := d.teacher.fill(part, s); err != nil {
			return 0, fmt.Errorf("distillation: %w", err)
		}
		for i := range part {
			if p := &part[i].Place; d.divergence.sorted { // the ids are of another vocabulary
				p.IDs, p.LogProbs = nil, descending(p.LogProbs)
			}
		}
		return d.loss(dev, logits, part)
	}, nil
}

// fill looks up what the teacher says about rows, which lasts until s is used
// again: 8 bytes for every alternative, of the rows of one call.
func (t *TopTable) fill(rows []lossRow, s *topScratch) error {
	s.reset()
	for i := 0; i < len(rows); {
		r, n := &rows[i], 1
		for i+n < len(rows) && rows[i+n].example == r.example && rows[i+n].offset == r.offset+n {
			n++
		}
		if r.offset >= 0 {
			err := t.read(r.example, r.offset, n, s, func(j int, p Place) { rows[i+j].Place = p })
			if err != nil {
				return err
			}
		}
		i += n
	}
	return nil
}

// lossRow is a supervised row, with the teacher's alternatives if it has any.
type lossRow struct {
	example, offset int
	target          int32
	weight          float64
	Place
}

// check tells whether the row fits a vocabulary of v.
func (r *lossRow) check(v int) error {
	if r.target < 0 || int(r.target) >= v {
		return fmt.Errorf("distillation: example %d: target token id %d is outside the student's vocabulary of %d", r.example, r.target, v)
	}
	for _, id := range r.IDs {
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
		if r.LogProbs != nil {
			weights[i] = 1
		}
	}
	compared := make([]comparedTokens, n)
	eachRow(n, func(s *rowScratch, i int) {
		if rows[i].LogProbs != nil {
			compared[i] = d.tokens(s, row(i), &rows[i])
		}
	})
	// The wide part by the device's kernel: it leaves the probabilities, but 1
	// less at the target, and the target's loss, from which the log-sum-exp follows.
	dev.CrossEntropy(logits, targets, weights, losses)
	eachRow(n, func(s *rowScratch, i int) {
		if r := &rows[i]; r.LogProbs != nil {
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
