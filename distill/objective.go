package distill

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/retort-ml/retort/datasets"
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
)

// Objective is the loss of a student that follows a teacher's probabilities. A
// row that predicts token o of answer e, weighing w, has the loss
//
//	w·(alpha·D(teacher's top K for (e,o), student) + (1−alpha)·−log p(target))
//
// and a row that predicts a prompt token w·−log p(target). It may be used by
// several goroutines at once.
type Objective struct {
	teacher    *TopTable
	alpha      float64
	divergence divergence
}

// NewObjective makes the objective of examples whose indices are t's.
func NewObjective(o Options, t *TopTable) (*Objective, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if t == nil {
		return nil, errors.New("distillation: no teacher's probabilities")
	}
	o = o.WithDefaults()
	return &Objective{teacher: t, alpha: *o.Alpha, divergence: divergence{beta: o.beta(), temperature: o.Temperature}}, nil
}

// RowLoss returns the summed loss of the supervised rows, which are indices of
// b's B·T positions. A row whose response token has no teacher distribution is
// an error that names its example.
func (d *Objective) RowLoss(b datasets.Batch, rows []int32) (autodiff.RowLoss, error) {
	list := make([]lossRow, len(rows))
	for i, r := range rows {
		row := lossRow{example: int(b.Example[r]), offset: int(b.Offset[r]), target: b.Targets[r], weight: float64(b.Weights[r])}
		if row.offset >= 0 {
			var err error
			if row.ids, row.logProbs, err = d.teacher.At(row.example, row.offset); err != nil {
				return nil, fmt.Errorf("distillation: %w", err)
			}
		}
		list[i] = row
	}
	return func(dev compute.Device, logits compute.Mat, from, to int) (float64, error) {
		return d.loss(dev, logits, list[from:to])
	}, nil
}

// lossRow is a supervised row, with the teacher's alternatives if it has any.
type lossRow struct {
	example, offset int
	target          int32
	weight          float64
	ids             []int32
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
	values := dev.Host(logits)
	targets, weights, losses := make([]int32, n), make([]float32, n), make([]float64, n)
	scores := make([][]float64, n) // the student's logits of the stored tokens, and of the target last
	for i := range rows {
		r := &rows[i]
		if err := r.check(v); err != nil {
			return 0, err
		}
		targets[i], weights[i] = r.target, float32(r.weight)
		if r.ids == nil {
			continue
		}
		weights[i] = 1
		row := values[i*v : (i+1)*v]
		scores[i] = make([]float64, len(r.ids)+1)
		for j, id := range r.ids {
			scores[i][j] = float64(row[id])
		}
		scores[i][len(r.ids)] = float64(row[r.target])
	}
	// The wide part by the device's kernel: it leaves the probabilities, but 1
	// less at the target, and the target's loss, from which the log-sum-exp follows.
	dev.CrossEntropy(logits, targets, weights, losses)
	values = dev.Host(logits)
	eachRow(n, func(s *rowScratch, i int) {
		if r := &rows[i]; r.ids != nil {
			losses[i] = d.row(s, values[i*v:(i+1)*v], r, scores[i], losses[i])
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

// studentFloor is the least probability of the student's tail: below it the
// kernels round probabilities to 0.
const studentFloor = 1e-30

// row returns the loss of one row, and replaces p (V), which holds the
// probabilities but at the target, by its gradient. scores (K+1) are the logits
// of r.ids and of the target, crossEntropy the target's loss.
//
// With x_j the log-probabilities of the stored tokens, x_0 = log P that of the
// tail's mass, and g = dD/dx, the gradient in the logit of token v is
//
//	stored:  g_v − p_v·G        tail:  g_0·p_v/P − p_v·G,     G = Σ g
func (d *Objective) row(s *rowScratch, p []float32, r *lossRow, scores []float64, crossEntropy float64) float64 {
	k := len(r.ids)
	logSumExp := crossEntropy + scores[k]
	teacher, student, grad := s.grow(k + 1)
	teacherTail := 1.0
	p[r.target] = float32(math.Exp(-crossEntropy))
	for j, id := range r.ids {
		teacher[j] = float64(r.logProbs[j])
		teacherTail -= math.Exp(teacher[j])
		student[j] = scores[j] - logSumExp
		p[id] = 0
	}
	outcomes, mass, open := k, 0.0, false
	if k < len(p) {
		outcomes++
		mass = sum(p)
		open = mass >= studentFloor // otherwise the floor is the tail, a constant
		teacher[k] = math.Log(max(teacherTail, teacherFloor))
		student[k] = math.Log(max(mass, studentFloor))
	}
	for j := range k {
		s.probs[j] = math.Exp(student[j])
	}
	value := d.divergence.of(teacher[:outcomes], student[:outcomes], grad[:outcomes])
	total, tail := 0.0, 0.0
	for _, g := range grad[:k] {
		total += g
	}
	if open {
		total += grad[k]
		tail = grad[k] / mass
	}
	a, c := r.weight*d.alpha, r.weight*(1-d.alpha)
	scale(p, float32(a*(tail-total)+c))
	for j, id := range r.ids {
		p[id] = float32(a*(grad[j]-s.probs[j]*total) + c*s.probs[j])
	}
	p[r.target] -= float32(c)
	return a*value + c*crossEntropy
}

// sum adds x in float64, in four interleaved sums so that the additions overlap.
func sum(x []float32) float64 {
	var a, b, c, d float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		a += float64(x[i])
		b += float64(x[i+1])
		c += float64(x[i+2])
		d += float64(x[i+3])
	}
	for ; i < len(x); i++ {
		a += float64(x[i])
	}
	return (a + b) + (c + d)
}

func scale(x []float32, s float32) {
	for i := range x {
		x[i] *= s
	}
}

// rowScratch is the memory of one goroutine.
type rowScratch struct {
	teacher, student, grad, probs []float64
}

func (s *rowScratch) grow(n int) (teacher, student, grad []float64) {
	if len(s.teacher) < n {
		s.teacher, s.student = make([]float64, n), make([]float64, n)
		s.grad, s.probs = make([]float64, n), make([]float64, n)
	}
	return s.teacher[:n], s.student[:n], s.grad[:n]
}

// eachRow calls body once for every row 0 ≤ i < n, on several threads, and
// returns when all are done.
func eachRow(n int, body func(s *rowScratch, i int)) {
	var next atomic.Int64
	work := func() {
		var s rowScratch
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			body(&s, i)
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}
