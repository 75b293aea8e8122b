package datasets

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// writeBatch is some examples on their way into a file.
type writeBatch []Example

// write writes the examples that stay, and what is to say of all.
func (m *maker) write(ctx context.Context) (*Dataset, error) {
	d := &Dataset{Sources: m.sources, Statistics: map[string]Statistics{}, Contamination: m.found, dir: m.dir, rule: ruleOf(&m.o)}
	labels := &labelCounts{counts: map[string]map[string]int{}}
	for i, split := range m.splits {
		if err := m.writeSplit(ctx, d, i, labels); err != nil {
			return nil, fmt.Errorf("write dataset: %s: %w", split, err)
		}
	}
	if m.o.BadRows == ErrorBadRows && m.counts.Rejected[DuplicateID] > 0 {
		r := m.firstRejected()
		return nil, fmt.Errorf("read %s: row %d: %s", r.File, r.Row, r.Reason)
	}
	d.Rejected, d.Counts = m.listed(), m.counts
	for response, of := range labels.counts {
		d.labels = append(d.labels, response)
		for split, n := range of {
			s := d.Statistics[split]
			if s.Labels == nil {
				s.Labels = map[string]int{}
			}
			s.Labels[response] = n
			d.Statistics[split] = s
		}
	}
	slices.Sort(d.labels)
	return d, d.describe(m.dir)
}

// checkAny says that nothing could be used.
func (m *maker) checkAny() error {
	for _, s := range m.spools {
		if s.n > 0 {
			return nil
		}
	}
	return fmt.Errorf("make dataset of %s: %w in %d rows%s", m.sourceNames(), ErrNoExamples, m.counts.Rows, m.counts.reasons())
}

func (m *maker) sourceNames() string {
	names := make([]string, len(m.sources))
	for i, s := range m.sources {
		names[i] = s.File
	}
	return strings.Join(names, ", ")
}

func (m *maker) firstRejected() placed {
	return slices.MinFunc(m.rejected, func(a, b placed) int { return a.seq - b.seq })
}

// listed are the first rejections by their place.
func (m *maker) listed() []Rejection {
	sort.SliceStable(m.rejected, func(i, j int) bool { return m.rejected[i].seq < m.rejected[j].seq })
	var list []Rejection
	for _, r := range m.rejected[:min(len(m.rejected), maxRejections)] {
		list = append(list, r.Rejection)
	}
	return list
}

// batchExamples is how many examples are handed to the writer at a time.
const batchExamples = 256

// writeSplit writes one split. The spool is read by one goroutine and the file
// written by another; both have ended when it returns.
func (m *maker) writeSplit(ctx context.Context, d *Dataset, split int, labels *labelCounts) error {
	name := m.splits[split]
	out := make(chan writeBatch, 1)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var lengths measure
	read := make(chan error, 1)
	go func() {
		defer close(out)
		read <- m.readKept(ctx, split, out, &lengths, labels)
	}()
	n := 0
	err := writeParquet(filepath.Join(m.dir, name+".parquet"), func(yield func(writeBatch) bool) {
		for batch := range out {
			n += len(batch)
			if !yield(batch) {
				return
			}
		}
	}, func() error { return <-read })
	if err != nil {
		cancel(err)
		for range out {
		}
		return err
	}
	m.counts.Examples[name], d.Statistics[name] = n, lengths.statistics()
	return nil
}

// readKept reads the examples of a split that stay and counts the others.
func (m *maker) readKept(ctx context.Context, split int, out chan<- writeBatch, lengths *measure, labels *labelCounts) error {
	name := m.splits[split]
	batch, size := writeBatch(nil), 0
	send := func() error {
		select {
		case out <- batch:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		batch, size = nil, 0
		return nil
	}
	repeatable := 0
	err := m.spools[split].read(func(i int, e *spooled) error {
		e.File, e.Source = m.sources[e.file].File, m.sources[e.file].Name
		if v := m.verdicts[split][i]; v != 0 {
			m.countDrop(name, drops[v-1], e)
			return ctx.Err()
		}
		times := 1
		if m.copies != nil && m.copies[split] != nil {
			times = int(m.copies[split][i])
		}
		lengths.add(&e.Example, times)
		labels.add(name, e.Response, times)
		if e.Source != "" {
			m.countSource(e.Source, name, times)
		}
		repeatable += times - 1
		for n := range times {
			c := e.Example
			if n > 0 {
				c.ID = copyID(&e.Example, n)
			}
			batch, size = append(batch, c), size+c.bytes()
			if len(batch) == batchExamples || size > batchBytes {
				if err := send(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if repeatable > 0 {
		if m.counts.Repeated == nil {
			m.counts.Repeated = map[string]int{}
		}
		m.counts.Repeated[name] = repeatable
	}
	if err == nil && len(batch) > 0 {
		err = send()
	}
	return err
}

func (m *maker) countSource(source, split string, times int) {
	if m.counts.PerSource == nil {
		m.counts.PerSource = map[string]map[string]int{}
	}
	if m.counts.PerSource[source] == nil {
		m.counts.PerSource[source] = map[string]int{}
	}
	m.counts.PerSource[source][split] += times
}

func (m *maker) countDrop(split string, why Drop, e *spooled) {
	switch why {
	case duplicateIDDrop:
		m.counts.Rejected[DuplicateID]++
		m.rejected = append(m.rejected, placed{Rejection{e.File, e.Row, 0, DuplicateID}, e.seq})
		if len(m.rejected) > 4*maxRejections {
			m.listed() // sorts
			m.rejected = m.rejected[:maxRejections]
		}
		return
	case limited:
		m.counts.Unused++
		return
	}
	if m.counts.Dropped == nil {
		m.counts.Dropped = map[string]map[Drop]int{}
	}
	if m.counts.Dropped[split] == nil {
		m.counts.Dropped[split] = map[Drop]int{}
	}
	m.counts.Dropped[split][why]++
}
