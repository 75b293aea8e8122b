package eval

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mathext"
)

// Interval is a confidence interval and how it was made.
type Interval struct {
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Confidence float64 `json:"confidence"` // two-sided, 0 to 1
	Method     string  `json:"method"`     // one of the Method constants
}

// Methods of intervals and tests, as the report names them.
const (
	MethodWilson    = "wilson score"
	MethodNewcombe  = "newcombe paired difference"
	MethodBootstrap = "paired percentile bootstrap"
	MethodMcNemar   = "exact mcnemar"
)

// Wilson is the Wilson score interval of a share of successes among n trials. Without
// trials it is 0 to 1: nothing is known. It panics unless 0 ≤ successes ≤ n.
func Wilson(successes, n int, confidence float64) Interval {
	if successes < 0 || successes > n {
		panic(fmt.Sprintf("eval: Wilson: %d successes of %d", successes, n))
	}
	iv := Interval{Low: 0, High: 1, Confidence: confidence, Method: MethodWilson}
	if n == 0 {
		return iv
	}
	z := mathext.NormalQuantile(0.5 + confidence/2)
	t, p := float64(n), float64(successes)/float64(n)
	scale := 1 / (1 + z*z/t)
	center := scale * (p + z*z/(2*t))
	half := scale * z * math.Sqrt(p*(1-p)/t+z*z/(4*t*t))
	// The limits at no and at all successes are 0 and 1 exactly; rounding would miss them.
	if successes > 0 {
		iv.Low = center - half
	}
	if successes < n {
		iv.High = center + half
	}
	return iv
}

// Pairs counts items by which of two models is right on them: the fourfold table of a
// paired comparison.
type Pairs struct {
	BothRight  int `json:"both_right"`
	OnlyModel  int `json:"only_model_right"`   // n01: wrong in the other, right in the model
	OnlyOther  int `json:"only_against_right"` // n10: right in the other, wrong in the model
	NoneRight  int `json:"none_right"`
	SameAnswer int `json:"same_answer"` // items with equal predictions, right or wrong
}

// Items is the number of items counted.
func (p Pairs) Items() int { return p.BothRight + p.OnlyModel + p.OnlyOther + p.NoneRight }

// Newcombe is the interval of the difference of two paired shares, model minus other:
// method 10 of Newcombe, Statistics in Medicine 17 (1998) 2635–2650. Unlike the bootstrap
// it keeps a width when no item is discordant. Without items it is −1 to 1.
func Newcombe(p Pairs, confidence float64) Interval {
	iv := Interval{Low: -1, High: 1, Confidence: confidence, Method: MethodNewcombe}
	n := p.Items()
	if n == 0 {
		return iv
	}
	model, other := p.BothRight+p.OnlyModel, p.BothRight+p.OnlyOther
	p1, p2 := float64(model)/float64(n), float64(other)/float64(n)
	w1, w2 := Wilson(model, n, confidence), Wilson(other, n, confidence)
	phi := p.phi()
	spread := func(a, b float64) float64 {
		return math.Sqrt(math.Max(0, a*a-2*phi*a*b+b*b))
	}
	iv.Low = math.Max(-1, p1-p2-spread(p1-w1.Low, w2.High-p2))
	iv.High = math.Min(1, p1-p2+spread(w1.High-p1, p2-w2.Low))
	return iv
}

// phi is the correlation of the two models' rights, corrected for continuity as the
// paper does: a positive numerator shrinks by n/2, not below zero.
func (p Pairs) phi() float64 {
	a, b := float64(p.BothRight), float64(p.OnlyModel)
	c, d := float64(p.OnlyOther), float64(p.NoneRight)
	product := (a + b) * (c + d) * (a + c) * (b + d)
	if product == 0 {
		return 0
	}
	num := a*d - b*c
	if num > 0 {
		num = math.Max(0, num-(a+b+c+d)/2)
	}
	return num / math.Sqrt(product)
}
