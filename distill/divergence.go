package distill

import "math"

// divergence compares the distributions of a teacher and a student over the
// same outcomes.
type divergence struct {
	beta        float64 // 0 forward KL, 1 reverse KL
	temperature float64
	sorted      bool // universal: of what each finds likeliest, second likeliest, …
}

// of returns the divergence in nats of two distributions given by their
// log-probabilities, and sets grad to its gradient in the student's. All three
// have one length; teacher and student are overwritten by the log-probabilities
// at the temperature.
//
// With t and s for those, and m = β·t + (1−β)·s,
//
//	β = 0:  KL(t‖s) = Σ t·(log t − log s)
//	β = 1:  KL(s‖t)
//	else:   β·KL(t‖m) + (1−β)·KL(s‖m)
//	sorted: Σ |t − s|
//
// as TRL's generalized_jsd_loss has it, without the factor 1/(β(1−β)) that
// would make the ends its limits, and without one for the temperature.
func (d divergence) of(teacher, student, grad []float64) float64 {
	temper(teacher, d.temperature)
	temper(student, d.temperature)
	sum := d.compare(teacher, student, grad)
	// Through log s_j = x_j/T − log Σ exp(x_i/T).
	total := 0.0
	for _, g := range grad {
		total += g
	}
	for j, s := range student {
		grad[j] = (grad[j] - math.Exp(s)*total) / d.temperature
	}
	return sum
}

// compare is the divergence of t and s, with its gradient in each log s_j.
func (d divergence) compare(teacher, student, grad []float64) float64 {
	if d.sorted {
		return distance(teacher, student, grad)
	}
	sum := 0.0
	switch d.beta {
	case 0:
		for j, t := range teacher {
			p := math.Exp(t)
			sum += p * (t - student[j])
			grad[j] = -p
		}
	case 1:
		for j, s := range student {
			p, gap := math.Exp(s), s-teacher[j]
			sum += p * gap
			grad[j] = p * (gap + 1)
		}
	default:
		for j, s := range student {
			t := teacher[j]
			pt, ps := math.Exp(t), math.Exp(s)
			m := logMix(d.beta, t, s)
			sum += d.beta*pt*(t-m) + (1-d.beta)*ps*(s-m)
			// The terms of m's own gradient cancel: Σ of both is (1−β)·s.
			grad[j] = (1 - d.beta) * ps * (s - m)
		}
	}
	return sum
}

// logMix is log(β·exp(t) + (1−β)·exp(s)), without underflow.
func logMix(beta, t, s float64) float64 {
	a, b := t+math.Log(beta), s+math.Log1p(-beta)
	top := max(a, b)
	return top + math.Log1p(math.Exp(min(a, b)-top))
}

// temper replaces x by log softmax(x/T).
func temper(x []float64, temperature float64) {
	top := math.Inf(-1)
	for j := range x {
		x[j] /= temperature
		top = max(top, x[j])
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	rest := top + math.Log(sum)
	for j := range x {
		x[j] -= rest
	}
}
