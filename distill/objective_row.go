package distill

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// studentFloor is the least probability of the student's tail: below it the
// kernels round probabilities to 0.
const studentFloor = 1e-30

// row returns the loss of one row, and replaces p (V), which holds the
// probabilities but at the target, by its gradient. scores (K+1) are the logits
// of r.IDs and of the target, crossEntropy the target's loss.
//
// With x_j the log-probabilities of the stored tokens, x_0 = log P that of the
// tail's mass, and g = dD/dx, the gradient in the logit of token v is
//
//	stored:  g_v − p_v·G        tail:  g_0·p_v/P − p_v·G,     G = Σ g
func (d *Objective) row(s *rowScratch, p []float32, r *lossRow, scores []float64, crossEntropy float64) float64 {
	k := len(r.IDs)
	logSumExp := crossEntropy + scores[k]
	teacher, student, grad := s.grow(k + 1)
	p[r.target] = float32(math.Exp(-crossEntropy))
	for j, id := range r.IDs {
		teacher[j] = float64(r.LogProbs[j])
		student[j] = scores[j] - logSumExp
		p[id] = 0
	}
	outcomes, mass, open := k, 0.0, false
	if k < len(p) {
		outcomes++
		mass = sum(p)
		open = mass >= studentFloor // otherwise the floor is the tail, a constant
		teacher[k] = float64(r.Rest)
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
	for j, id := range r.IDs {
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
