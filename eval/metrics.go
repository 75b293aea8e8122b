package eval

import (
	"fmt"
	"math"
)

// pass is one way of asking a Subject about every item.
type pass string

const (
	passChoices   pass = "choices"   // ScoreChoices over the labels
	passGenerate  pass = "generate"  // Generate
	passResponses pass = "responses" // ScoreResponses of the references
)

// metric says how one number comes out of a model's answers.
type metric struct {
	name   string
	pass   pass // the answers it needs
	share  bool // a share from 0 to 1, shown in percent
	higher bool // higher is better, so the share of the teacher's value means something
	column func(a *answers) column
}

// column is a metric of one model over the items.
type column struct {
	// right (n) says for each item whether the model is right on it, and answer (n) names
	// its answer, for comparing. Only metrics that are a share of right items have them.
	right  []bool
	answer []string
	value  statistic
	binned bool // a binned gap: resampling biases it upwards, so no interval and no test
	ties   int  // items whose answer was chosen among equals
}

// allMetrics lists the metrics in the order of the package comment.
func allMetrics() []metric {
	return []metric{
		{"accuracy", passChoices, true, true, func(a *answers) column {
			c := shareRight(a.chosenRight(a.choices.best), a.labelsOf(a.choices.best))
			c.ties = a.choices.ties
			return c
		}},
		{"accuracy_norm", passChoices, true, true, func(a *answers) column {
			c := shareRight(a.chosenRight(a.choices.bestNorm), a.labelsOf(a.choices.bestNorm))
			c.ties = a.choices.tiesNorm
			return c
		}},
		{"macro_f1", passChoices, true, true, func(a *answers) column {
			return column{value: func(w []int32) float64 {
				return macroF1(a.bench.truth, a.choices.best, len(a.bench.labels), w)
			}}
		}},
		{"ece", passChoices, true, false, func(a *answers) column {
			right := a.chosenRight(a.choices.best)
			return column{binned: true, value: func(w []int32) float64 {
				return calibrationError(a.choices.probability, right, w)
			}}
		}},
		{"brier", passChoices, false, false, func(a *answers) column {
			squares := make([]float64, len(a.choices.probability))
			for i, right := range a.chosenRight(a.choices.best) {
				miss := a.choices.probability[i] - indicator(right)
				squares[i] = miss * miss
			}
			return column{value: func(w []int32) float64 { return meanOf(squares, w) }}
		}},
		{"exact_match", passGenerate, true, true, func(a *answers) column {
			return shareRight(a.generated.right, a.generated.answer)
		}},
		{"perplexity", passResponses, false, false, func(a *answers) column {
			return column{value: func(w []int32) float64 {
				return math.Exp(ratioOf(a.responses.nats, a.responses.tokens, w))
			}}
		}},
		{"bits_per_byte", passResponses, false, false, func(a *answers) column {
			return column{value: func(w []int32) float64 {
				return ratioOf(a.responses.nats, a.responses.bytes, w) / math.Ln2
			}}
		}},
	}
}

// MetricNames lists the names that Options.Metrics accepts.
func MetricNames() []string {
	var names []string
	for _, m := range allMetrics() {
		names = append(names, m.name)
	}
	return names
}

// Asks says what the metrics need of a model: that it scores texts, and that it
// generates. Unknown names need nothing; none at all mean accuracy.
func Asks(metrics []string) (scores, generates bool) {
	for _, name := range (Options{Metrics: metrics}).resolved().Metrics {
		if m, err := metricNamed(name); err == nil {
			scores, generates = scores || m.pass != passGenerate, generates || m.pass == passGenerate
		}
	}
	return scores, generates
}

func metricNamed(name string) (metric, error) {
	for _, m := range allMetrics() {
		if m.name == name {
			return m, nil
		}
	}
	return metric{}, fmt.Errorf("unknown metric %q", name)
}

// format writes a value of the metric for people.
func (m metric) format(value float64) string {
	if m.share {
		return fmt.Sprintf("%.1f %%", 100*value)
	}
	return fmt.Sprintf("%.4g", value)
}

func shareRight(right []bool, answer []string) column {
	return column{right: right, answer: answer, value: func(w []int32) float64 {
		count, total := 0, 0
		for i, weight := range w {
			total += int(weight)
			if right[i] {
				count += int(weight)
			}
		}
		return float64(count) / float64(total)
	}}
}

// meanOf is the mean of values, item i counted weights[i] times.
func meanOf(values []float64, weights []int32) float64 {
	sum, total := 0.0, 0
	for i, w := range weights {
		sum += float64(w) * values[i]
		total += int(w)
	}
	return sum / float64(total)
}

// ratioOf is the sum of values over the sum of counts, item i counted weights[i] times.
func ratioOf(values []float64, counts []int, weights []int32) float64 {
	sum, total := 0.0, 0
	for i, w := range weights {
		sum += float64(w) * values[i]
		total += int(w) * counts[i]
	}
	return sum / float64(total)
}
