package eval

import "fmt"

// Findings says in plain sentences what the report supports on its main metric: what
// share of the teacher's score each model keeps and what each test found; then, for all
// metrics, what was not measured. Names are made safe for a terminal. report.md says the
// same of every metric.
func (r *Report) Findings() []string {
	var out []string
	if len(r.Options.Metrics) > 0 {
		out = r.found(r.Options.Metrics[0], visible)
	}
	return append(out, r.gaps(visible)...)
}

// found says what one metric supports.
func (r *Report) found(metricName string, escape func(string) string) []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, metricName+": "+fmt.Sprintf(format, args...))
	}
	tests := len(r.tested(metricName))
	for i := range r.Models {
		m, ok := r.Models[i].metric(metricName)
		if !ok {
			continue
		}
		name := escape(r.Models[i].Name)
		if keeps := r.keeps(m.Retention); keeps != "" {
			say("%s %s", name, keeps)
		}
		for k := range m.Comparisons {
			c := &m.Comparisons[k]
			say("%s %s", name, r.verdict(metricName, c, escape(c.Against), tests))
		}
		if m.Ties > 0 {
			say("%s had equally likely choices on %d of %d items; the first in label order counts", name, m.Ties, r.Items)
		}
	}
	return out
}

// gaps says what was not measured, or not in full.
func (r *Report) gaps(escape func(string) string) []string {
	var out []string
	for _, model := range r.Models {
		for _, missing := range model.Missing {
			out = append(out, fmt.Sprintf("%s: not measured for %s: %s", escape(missing.Metric), escape(model.Name), escape(missing.Reason)))
		}
		if model.Cut > 0 {
			out = append(out, fmt.Sprintf("exact_match: %d of %d answers of %s were cut at %d tokens",
				model.Cut, r.Items, escape(model.Name), r.Options.MaxNewTokens))
		}
	}
	return out
}

// keeps says the retention, empty when there is none.
func (r *Report) keeps(kept *Retention) string {
	switch {
	case kept == nil:
		return ""
	case kept.Value == nil:
		return "has no retention: " + kept.Undefined
	case kept.Interval == nil:
		return fmt.Sprintf("keeps %.1f %% of the teacher's score (%s)", 100**kept.Value, kept.Undefined)
	}
	return fmt.Sprintf("keeps %.1f %% of the teacher's score (%s interval %.1f to %.1f %%)",
		100**kept.Value, r.confidence(), 100*kept.Interval.Low, 100*kept.Interval.High)
}

// verdict says what a comparison found, one of so many tests. A corrected p-value at or
// above the level is no proof of equality, so the interval of the difference always stands
// beside it.
func (r *Report) verdict(metricName string, c *Comparison, against string, tests int) string {
	if c.P == nil || c.PHolm == nil {
		return fmt.Sprintf("was not tested against %s (difference %s)", against, r.difference(metricName, c))
	}
	evidence := "p = " + pValue(*c.P)
	if *c.P < leastP {
		evidence = "p " + pValue(*c.P)
	}
	if tests > 1 {
		evidence += fmt.Sprintf(", %s corrected for %d tests", pValue(*c.PHolm), tests)
	}
	if c.Pairs != nil {
		evidence += fmt.Sprintf(", %d vs %d discordant items", c.Pairs.OnlyModel, c.Pairs.OnlyOther)
	}
	evidence += ", difference " + r.difference(metricName, c)
	switch level := 1 - r.Options.Confidence; {
	case *c.PHolm < level:
		return fmt.Sprintf("is significantly %s than %s (%s)", direction(metricName, c.Difference), against, evidence)
	case *c.P < level:
		return fmt.Sprintf("is not significantly different from %s once corrected (%s)", against, evidence)
	}
	return fmt.Sprintf("is not significantly different from %s (%s)", against, evidence)
}

func direction(metricName string, difference float64) string {
	m, err := metricNamed(metricName)
	if err == nil && (difference > 0) == m.higher {
		return "better"
	}
	return "worse"
}

// difference writes the difference and its interval, shares in percentage points.
func (r *Report) difference(metricName string, c *Comparison) string {
	m, err := metricNamed(metricName)
	scale, unit, layout := 1.0, "", "%+.4g%s"
	if err == nil && m.share {
		scale, unit, layout = 100, " points", "%+.2f%s"
	}
	out := fmt.Sprintf(layout, scale*c.Difference, unit)
	if c.Interval != nil {
		out += fmt.Sprintf(", %s interval "+layout+" to "+layout, r.confidence(),
			scale*c.Interval.Low, "", scale*c.Interval.High, "")
	}
	return out
}
