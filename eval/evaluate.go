package eval

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/retort-ml/retort/datasets"
)

// Evaluate asks every subject about the same items, one subject after the other, and
// reports. progress, which may be nil, is called from the same goroutine with how many of
// all questions are done. Evaluate stops between batches when ctx ends. A score that is
// not a number is an error naming the model and the item.
func Evaluate(ctx context.Context, o Options, items []datasets.Example, subjects []NamedSubject, progress func(done, total int)) (*Report, error) {
	if err := checkRequest(o, subjects); err != nil {
		return nil, err
	}
	b, err := newBenchmark(o.resolved(), items)
	if err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", o.resolved().Benchmark, err)
	}
	done, total := 0, len(subjects)*len(b.passes())*len(b.items)
	tick := func(n int) {
		done += n
		if progress != nil {
			progress(done, total)
		}
	}
	all := make([]*answers, len(subjects))
	for i, s := range subjects {
		if all[i], err = b.measure(ctx, s, tick); err != nil {
			return nil, err
		}
	}
	return b.report(ctx, subjects, all)
}

// checkRequest joins every fault that can be seen before work starts.
func checkRequest(o Options, subjects []NamedSubject) error {
	faults := []error{o.Validate()}
	if len(subjects) == 0 {
		faults = append(faults, errors.New("no models to evaluate"))
	}
	identities, baseline := make([]Identity, len(subjects)), false
	for i, s := range subjects {
		identities[i] = s.Identity
		baseline = baseline || s.Role == RoleBaseline
		if s.Subject == nil {
			faults = append(faults, fmt.Errorf("model %q has no subject to ask", s.Name))
		}
	}
	if o.Baseline && !baseline {
		faults = append(faults, errors.New("baseline: true: want a model with the role baseline among the models"))
	}
	return errors.Join(append(faults, checkIdentities(identities))...)
}

// cell is one metric of one model with its values on the resamples.
type cell struct {
	metric metric
	column
	point      float64
	replicates []float64 // (R); nil when the column is binned or there is one item
}

// report turns answers into a Report.
func (b *benchmark) report(ctx context.Context, subjects []NamedSubject, all []*answers) (*Report, error) {
	r := &Report{Schema: Schema, Benchmark: b.o.Benchmark, Items: len(b.items), ItemsHash: b.hash(),
		Options: b.o, External: b.o.External, Timing: Timing{Schema: Schema}}
	cells := make([]map[string]*cell, len(subjects))
	for i, s := range subjects {
		m := Model{Identity: s.Identity, Metrics: []Metric{}}
		cells[i], m.Missing = b.cells(all[i])
		if all[i].generated != nil {
			m.Cut = all[i].generated.cut
		}
		r.Models = append(r.Models, m)
		r.Timing.Models = append(r.Timing.Models, all[i].timing)
		r.Rows = append(r.Rows, b.rows(s.Name, all[i])...)
	}
	if err := b.resample(ctx, cells); err != nil {
		return nil, fmt.Errorf("evaluate %s: bootstrap: %w", b.o.Benchmark, err)
	}
	b.fill(r, cells)
	return r, nil
}

// cells computes the metrics of one model, by name.
func (b *benchmark) cells(a *answers) (map[string]*cell, []Missing) {
	cells, missing := map[string]*cell{}, []Missing(nil)
	once := make([]int32, len(b.items))
	for i := range once {
		once[i] = 1
	}
	for _, m := range b.metrics() {
		if reason, ok := a.missing[m.pass]; ok {
			missing = append(missing, Missing{Metric: m.name, Reason: reason})
			continue
		}
		c := &cell{metric: m, column: m.column(a)}
		c.point = c.value(once)
		if math.IsInf(c.point, 0) || math.IsNaN(c.point) {
			missing = append(missing, Missing{Metric: m.name, Reason: "its value is not finite: the model holds a reference for impossible"})
			continue
		}
		cells[m.name] = c
	}
	return cells, missing
}

// resample fills the replicates of all cells from one bootstrap.
func (b *benchmark) resample(ctx context.Context, cells []map[string]*cell) error {
	if len(b.items) < 2 {
		return nil // every resample of one item is that item: an interval without width
	}
	var sampled []*cell
	var stats []statistic
	for _, ofModel := range cells {
		for _, m := range b.metrics() {
			if c, ok := ofModel[m.name]; ok && !c.binned {
				sampled, stats = append(sampled, c), append(stats, c.value)
			}
		}
	}
	values, err := bootstrap(ctx, len(b.items), b.o.Resamples, b.o.Seed, stats)
	for i := range values {
		sampled[i].replicates = values[i]
	}
	return err
}
