package verify

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// The tolerances, of float32 sums in another order.
const (
	logitTolerance    = 2e-4 // |got−want| ≤ tolerance·(1+|want|), for losses too
	gradientTolerance = 1e-3 // of the norm
	trainingTolerance = 1e-3 // |got−want| ≤ tolerance·|want|
)

// Report says how far the engine is from a reference.
type Report struct {
	Model     string  `json:"model"`
	Reference string  `json:"reference"`
	Adapter   string  `json:"adapter,omitempty"`
	Checks    []Check `json:"checks"`
	// Absent are tensors that could be compared and that the reference does not
	// have; NotCompared those that it has and nothing here computes.
	Absent      []string `json:"absent"`
	NotCompared []string `json:"not_compared"`
	OK          bool     `json:"ok"`
}

// Check is one tensor of the reference beside what the engine makes.
type Check struct {
	Tensor    string    `json:"tensor"`
	Deviation Deviation `json:"worst_deviation"`
	Tolerance float64   `json:"tolerance"`
	Measure   string    `json:"measure"` // what the deviation is relative to
	Values    int       `json:"values"`
	Worst     string    `json:"worst_value"` // which value deviates most, and how
	OK        bool      `json:"ok"`
}

// Deviation is a number that JSON has a text for if it is not finite.
type Deviation float64

// MarshalJSON writes the number, or its text.
func (d Deviation) MarshalJSON() ([]byte, error) {
	if v := float64(d); math.IsNaN(v) || math.IsInf(v, 0) {
		return json.Marshal(fmt.Sprint(v))
	}
	return json.Marshal(float64(d))
}

// The measures.
const (
	absoluteAndRelative = "1+|value|"
	relative            = "|value|"
	ofNorm              = "norm"
	exact               = "count"
)

// values adds the comparison of got with want, value by value, relative to
// what scale makes of want.
func (r *Report) values(name, measure string, tolerance float64, got, want []float64, scale func(float64) float64) {
	c := Check{Tensor: name, Tolerance: tolerance, Measure: measure, Values: len(want), OK: true}
	for i := range want {
		d := math.Abs(got[i]-want[i]) / scale(want[i])
		if got[i] == want[i] {
			d = 0 // also where the scale is 0
		}
		if !(d <= float64(c.Deviation)) && !math.IsNaN(float64(c.Deviation)) { // NaN is the worst
			c.Deviation, c.Worst = Deviation(d), fmt.Sprintf("value %d is %.7g, want %.7g", i, got[i], want[i])
		}
	}
	c.OK = float64(c.Deviation) <= tolerance
	r.Checks = append(r.Checks, c)
}

func onePlus(want float64) float64 { return 1 + math.Abs(want) }

// norm adds the comparison of the whole difference with want's norm.
func (r *Report) norm(name string, got, want []float64) {
	diff, norm := 0.0, 0.0
	for i := range want {
		diff += (got[i] - want[i]) * (got[i] - want[i])
		norm += want[i] * want[i]
	}
	c := Check{Tensor: name, Tolerance: gradientTolerance, Measure: ofNorm, Values: len(want),
		Worst: fmt.Sprintf("the difference has norm %.3g, of %.3g", math.Sqrt(diff), math.Sqrt(norm))}
	if c.Deviation = Deviation(math.Sqrt(diff / norm)); diff == 0 {
		c.Deviation = 0 // of a zero gradient too
	}
	c.OK = float64(c.Deviation) <= c.Tolerance
	r.Checks = append(r.Checks, c)
}

// tokens adds a comparison in which nothing may differ.
func (r *Report) tokens(name string, got, want []int32) {
	c := Check{Tensor: name, Measure: exact, Values: len(want)}
	for i := range max(len(got), len(want)) {
		if i < len(got) && i < len(want) && got[i] == want[i] {
			continue
		}
		if c.Deviation++; c.Deviation == 1 {
			c.Worst = fmt.Sprintf("value %d of %v, want %v", i, got, want)
		}
	}
	c.OK = c.Deviation == 0
	r.Checks = append(r.Checks, c)
}

func newReport(o Options) *Report {
	return &Report{Model: o.Model, Reference: o.Reference, Adapter: o.Adapter, Absent: []string{}, NotCompared: []string{}}
}

// missing adds a tensor for which the engine has no counterpart, though it should.
func (r *Report) missing(name, why string) {
	r.Checks = append(r.Checks, Check{Tensor: name, Deviation: Deviation(math.Inf(1)), Tolerance: gradientTolerance, Measure: ofNorm, Worst: why})
}

func (r *Report) absent(names ...string) { r.Absent = append(r.Absent, names...) }

// finish sums up.
func (r *Report) finish(ref *reference) {
	for _, name := range ref.f.Names() {
		if !ref.used[name] {
			r.NotCompared = append(r.NotCompared, name)
		}
	}
	r.OK = !slices.ContainsFunc(r.Checks, func(c Check) bool { return !c.OK })
}
