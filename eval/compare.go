package eval

import (
	"fmt"
	"slices"
)

// fill writes the metrics, retentions and comparisons of all models into the report.
func (b *benchmark) fill(r *Report, cells []map[string]*cell) {
	byName := map[string]map[string]*cell{}
	for i, m := range r.Models {
		byName[m.Name] = cells[i]
	}
	teacher := r.withRole(RoleTeacher)
	for i := range r.Models {
		model := &r.Models[i]
		for _, name := range b.o.Metrics {
			c, ok := cells[i][name]
			if !ok {
				continue
			}
			out := Metric{Name: name, Value: c.point, Ties: c.ties, Interval: b.interval(c)}
			if t, ok := byName[teacher][name]; ok && model.Name != teacher && c.metric.higher {
				out.Retention = b.retention(c, t)
			}
			for _, against := range r.opponents(model.Identity) {
				if other, ok := byName[against][name]; ok {
					out.Comparisons = append(out.Comparisons, b.compare(against, c, other))
				}
			}
			model.Metrics = append(model.Metrics, out)
		}
	}
	r.correct()
}

// opponents lists what a model is compared with: the teacher, the base student, the model
// it was made from, and for a tuned student the trivial baselines it must beat.
func (r *Report) opponents(m Identity) []string {
	var names []string
	add := func(name string) {
		if name != "" && name != m.Name && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if m.Role != RoleTeacher {
		add(r.withRole(RoleTeacher))
	}
	switch m.Role {
	case RoleStudent, RoleQuantized, RoleOther:
		add(r.withRole(RoleBase))
	}
	add(m.Reference)
	for _, other := range r.Models {
		if m.Role == RoleStudent && other.Role == RoleBaseline {
			add(other.Name)
		}
	}
	return names
}

// interval is the confidence interval of a cell's value, nil when none is sound.
func (b *benchmark) interval(c *cell) *Interval {
	if c.right != nil {
		count := 0
		for _, right := range c.right {
			if right {
				count++
			}
		}
		iv := Wilson(count, len(c.right), b.o.Confidence)
		return &iv
	}
	if iv, ok := percentiles(c.replicates, b.o.Confidence); ok {
		return &iv
	}
	return nil
}

// retention divides a model's value by the teacher's, in the sample and in every resample.
func (b *benchmark) retention(c, teacher *cell) *Retention {
	if teacher.point == 0 {
		return &Retention{Undefined: "the teacher's score is 0"}
	}
	value := c.point / teacher.point
	out := &Retention{Value: &value}
	ratios := make([]float64, len(c.replicates))
	for i := range ratios {
		ratios[i] = c.replicates[i] / teacher.replicates[i]
	}
	iv, ok := percentiles(ratios, b.o.Confidence)
	switch {
	case ok:
		out.Interval = &iv
	case len(ratios) == 0:
		out.Undefined = "no interval: one item says nothing about others"
	default:
		out.Undefined = fmt.Sprintf("no interval: the teacher's score is 0 in %d of %d resamples", undefined(ratios), len(ratios))
	}
	return out
}

// compare is the paired comparison of two cells of the same metric.
func (b *benchmark) compare(against string, c, other *cell) Comparison {
	out := Comparison{Against: against, Difference: c.point - other.point}
	if c.right != nil {
		pairs := pair(c, other)
		iv := Newcombe(pairs, b.o.Confidence)
		p, agreement := McNemar(pairs.OnlyModel, pairs.OnlyOther), float64(pairs.SameAnswer)/float64(pairs.Items())
		out.Pairs, out.Interval, out.Agreement = &pairs, &iv, &agreement
		out.Test, out.P = MethodMcNemar, &p
		return out
	}
	differences := make([]float64, len(c.replicates))
	for i := range differences {
		differences[i] = c.replicates[i] - other.replicates[i]
	}
	if iv, ok := percentiles(differences, b.o.Confidence); ok {
		p := bootstrapP(differences)
		out.Interval, out.Test, out.P = &iv, MethodBootstrap, &p
	}
	return out
}

// pair counts the items by which of two models is right, and equal answers.
func pair(c, other *cell) Pairs {
	var p Pairs
	for i, right := range c.right {
		switch {
		case right && other.right[i]:
			p.BothRight++
		case right:
			p.OnlyModel++
		case other.right[i]:
			p.OnlyOther++
		default:
			p.NoneRight++
		}
		if c.answer[i] == other.answer[i] {
			p.SameAnswer++
		}
	}
	return p
}

// correct adjusts the p-values of each metric for their number.
func (r *Report) correct() {
	for _, name := range r.Options.Metrics {
		tested := r.tested(name)
		p := make([]float64, len(tested))
		for i, c := range tested {
			p[i] = *c.P
		}
		for i, adjusted := range Holm(p) {
			tested[i].PHolm = &adjusted
		}
	}
}

// tested lists the comparisons of a metric that have a p-value: the family of its tests.
func (r *Report) tested(metricName string) []*Comparison {
	var tested []*Comparison
	for i := range r.Models {
		m, ok := r.Models[i].metric(metricName)
		if !ok {
			continue
		}
		for k := range m.Comparisons {
			if m.Comparisons[k].P != nil {
				tested = append(tested, &m.Comparisons[k])
			}
		}
	}
	return tested
}
