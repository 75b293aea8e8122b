package eval

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// Options controls Evaluate. The zero value measures accuracy by choice scoring over the
// distinct responses of the items.
type Options struct {
	Benchmark    string     `yaml:"benchmark" json:"benchmark"`                     // name in the report; empty means "benchmark"
	Metrics      []string   `yaml:"metrics" json:"metrics"`                         // names of package metrics, the main one first; empty means accuracy
	Labels       []string   `yaml:"labels" json:"labels,omitempty"`                 // the choices, in the order that breaks ties; empty means the distinct responses of the items, sorted
	MaxNewTokens int        `yaml:"max_new_tokens" json:"max_new_tokens"`           // per generated answer; 0 means 256
	IgnoreCase   bool       `yaml:"ignore_case" json:"ignore_case"`                 // exact_match compares letters without case
	Batch        int        `yaml:"batch" json:"batch"`                             // items per call of a Subject; 0 means 32; changes no number
	Limit        int        `yaml:"limit" json:"limit"`                             // items to draw with Seed and keep in order; 0 means all
	Seed         uint64     `yaml:"-" json:"seed"`                                  // the recipe's; 0 is a seed like any other
	Resamples    int        `yaml:"bootstrap_resamples" json:"bootstrap_resamples"` // 0 means 2000
	Confidence   float64    `yaml:"confidence" json:"confidence"`                   // of intervals; tests call p < 1 − confidence significant; 0 means 0.95
	Baseline     bool       `yaml:"baseline" json:"baseline"`                       // a subject with RoleBaseline must take part
	External     []External `yaml:"external" json:"external,omitempty"`             // figures of others to show beside the measured ones
}

// External is a figure that was not measured here, shown beside the models.
type External struct {
	Name   string  `yaml:"name" json:"name"`                         // such as "bag-of-words logistic regression (scikit-learn)"
	Metric string  `yaml:"metric" json:"metric"`                     // a metric of this package
	Value  float64 `yaml:"value" json:"value"`                       // in the metric's unit; shares from 0 to 1
	Source string  `yaml:"source,omitempty" json:"source,omitempty"` // where it comes from
}

const (
	maxBatch     = 1 << 16
	maxNewTokens = 1 << 20
	maxResamples = 1_000_000
)

// resolved returns the options with every default filled in but Labels, which depend on
// the items.
func (o Options) resolved() Options {
	if o.Benchmark == "" {
		o.Benchmark = "benchmark"
	}
	if len(o.Metrics) == 0 {
		o.Metrics = []string{"accuracy"}
	}
	o.MaxNewTokens = orDefault(o.MaxNewTokens, 256)
	o.Batch = orDefault(o.Batch, 32)
	o.Resamples = orDefault(o.Resamples, 2000)
	o.Confidence = orDefault(o.Confidence, 0.95)
	return o
}

func orDefault[T int | float64](value, ifZero T) T {
	if value == 0 {
		return ifZero
	}
	return value
}

// Validate returns every fault at once, each as "key: value: want …".
func (o Options) Validate() error {
	var faults []error
	fault := func(key string, value any, want string) {
		faults = append(faults, fmt.Errorf("%s: %v: want %s", key, value, want))
	}
	whole := func(key string, value, high int) {
		if value < 0 || value > high {
			fault(key, value, fmt.Sprintf("a whole number from 0 to %d", high))
		}
	}
	whole("max_new_tokens", o.MaxNewTokens, maxNewTokens)
	whole("batch", o.Batch, maxBatch)
	whole("limit", o.Limit, math.MaxInt32)
	whole("bootstrap_resamples", o.Resamples, maxResamples)
	if !(o.Confidence == 0 || o.Confidence >= 0.5 && o.Confidence <= 0.9999) {
		fault("confidence", o.Confidence, "a number from 0.5 to 0.9999")
	}
	if len([]rune(o.Benchmark)) > maxName {
		fault("benchmark", "a long text", fmt.Sprintf("at most %d characters", maxName))
	}
	listed := map[string]bool{}
	for i, name := range o.Metrics {
		key := fmt.Sprintf("metrics[%d]", i)
		if _, err := metricNamed(name); err != nil {
			fault(key, name, "one of "+strings.Join(MetricNames(), ", "))
		} else if listed[name] {
			fault(key, name, "each metric once")
		}
		listed[name] = true
	}
	return errors.Join(append(faults, o.labelFaults(), o.externalFaults())...)
}

func (o Options) labelFaults() error {
	var faults []error
	listed := map[string]bool{}
	for i, label := range o.Labels {
		if label == "" {
			faults = append(faults, fmt.Errorf("labels[%d]: want a text that is not empty", i))
		} else if listed[label] {
			faults = append(faults, fmt.Errorf("labels[%d]: %q: want each label once", i, label))
		}
		listed[label] = true
	}
	if len(o.Labels) == 1 {
		faults = append(faults, fmt.Errorf("labels: %q: want at least two, or there is nothing to choose", o.Labels))
	}
	return errors.Join(faults...)
}

func (o Options) externalFaults() error {
	var faults []error
	fault := func(i int, key string, value any, want string) {
		faults = append(faults, fmt.Errorf("external[%d].%s: %v: want %s", i, key, value, want))
	}
	for i, e := range o.External {
		if e.Name == "" || len([]rune(e.Name)) > maxName {
			fault(i, "name", fmt.Sprintf("%.40q", e.Name), fmt.Sprintf("1 to %d characters", maxName))
		}
		m, err := metricNamed(e.Metric)
		switch {
		case err != nil:
			fault(i, "metric", e.Metric, "one of "+strings.Join(MetricNames(), ", "))
		case math.IsNaN(e.Value) || math.IsInf(e.Value, 0) || e.Value < 0:
			fault(i, "value", e.Value, "a number of at least 0")
		case m.share && e.Value > 1:
			fault(i, "value", e.Value, "a share from 0 to 1")
		}
	}
	return errors.Join(faults...)
}
