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

// comparedTokens are the student's tokens that a row's D compares with the
// teacher's alternatives, one with one, and their logits, the target's last.
type comparedTokens struct {
	ids    []int32   // (K)
	scores []float64 // (K+1)
}

// tokens finds the tokens to compare: the teacher's alternatives, or the
// student's own likeliest where the teacher's are of another vocabulary.
func (d *Objective) tokens(s *rowScratch, logits []float32, r *lossRow) comparedTokens {
	c := comparedTokens{ids: r.IDs}
	if d.divergence.sorted {
		c.ids = s.likeliest(logits, len(r.LogProbs))
	}
	c.scores = make([]float64, len(c.ids)+1)
	for j, id := range c.ids {
		c.scores[j] = float64(logits[id])
	}
	c.scores[len(c.ids)] = float64(logits[r.target])
	return c
}

// row returns the loss of one row, and replaces p (V), which holds the
// probabilities but at the target, by its gradient. c are the tokens that are
// compared, crossEntropy the target's loss.
//
// With x_j the log-probabilities of the stored tokens, x_0 = log P that of the
// tail's mass, and g = dD/dx, the gradient in the logit of token v is
//
//	stored:  g_v − p_v·G        tail:  g_0·p_v/P − p_v·G,     G = Σ g
func (d *Objective) row(s *rowScratch, p []float32, r *lossRow, c comparedTokens, crossEntropy float64) float64 {
	k := len(c.ids)
	logSumExp := crossEntropy + c.scores[k]
	teacher, student, grad := s.grow(k + 1)
	p[r.target] = float32(math.Exp(-crossEntropy))
	for j, id := range c.ids {
		teacher[j] = float64(r.LogProbs[j])
		student[j] = c.scores[j] - logSumExp
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
	a, b := r.weight*d.alpha, r.weight*(1-d.alpha)
	scale(p, float32(a*(tail-total)+b))
	for j, id := range c.ids {
		p[id] = float32(a*(grad[j]-s.probs[j]*total) + b*s.probs[j])
	}
	p[r.target] -= float32(b)
	return a*value + b*crossEntropy
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
	heap                          []ranked
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
