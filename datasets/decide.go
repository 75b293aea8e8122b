package datasets

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// maxCopies is how often one example may be in a split.
const maxCopies = 255

// decide says of every spooled example whether it stays, and how often it is
// written. Each step looks at those that the steps before it have left.
func (m *maker) decide(ctx context.Context) error {
	for i, s := range m.spools {
		m.verdicts[i] = make([]uint8, s.n)
	}
	steps := []func(context.Context) error{m.dropEqual, m.dropNear, m.dropContaminated, m.mix, m.balance, m.limit}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := step(ctx); err != nil {
			return fmt.Errorf("make dataset: %w", err)
		}
	}
	return nil
}

// drop leaves an example out, if no earlier step has.
func (m *maker) drop(split, at int, why Drop) {
	if m.verdicts[split][at] == 0 {
		m.verdicts[split][at] = uint8(slices.Index(drops, why) + 1)
	}
}

// splitOf is the split of that rank.
func (m *maker) splitOf(rank int) int { return slices.Index(m.ranks, rank) }

// kept are the members that are still there. The first of them stays.
func (m *maker) kept(members []member) []member {
	var list []member
	for _, e := range members {
		if m.verdicts[m.splitOf(e.rank)][e.at] == 0 {
			list = append(list, e)
		}
	}
	return list
}

// dropEqual leaves out what has an id, a group, a prompt or all texts in common
// with another example and must not.
func (m *maker) dropEqual(context.Context) error {
	rest := func(list []member, why Drop) {
		for _, e := range list[min(1, len(list)):] {
			m.drop(m.splitOf(e.rank), e.at, why)
		}
	}
	for _, step := range []struct {
		g *groups
		f func(list []member)
	}{
		{m.ids, func(list []member) { rest(list, duplicateIDDrop) }},
		{m.sameGroups, func(list []member) {
			for _, e := range list {
				if e.rank != list[0].rank {
					m.drop(m.splitOf(e.rank), e.at, GroupElsewhere)
				}
			}
		}},
		{m.prompts, m.samePrompt},
		{m.wholes, func(list []member) { rest(list, ExactDuplicate) }},
	} {
		if step.g == nil {
			continue
		}
		err := step.g.each(func(members []member) {
			if list := m.kept(members); len(list) > 1 {
				step.f(list)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// samePrompt is for examples of one prompt.
func (m *maker) samePrompt(list []member) {
	d := m.o.Deduplicate
	if d.Conflicts == DropConflicts && slices.ContainsFunc(list, func(e member) bool { return e.other != list[0].other }) {
		for _, e := range list {
			m.drop(m.splitOf(e.rank), e.at, Conflict)
		}
		return
	}
	if d.exact() && d.On == OnPrompt {
		for _, e := range list[1:] {
			m.drop(m.splitOf(e.rank), e.at, ExactDuplicate)
		}
	}
}

// limit keeps Options.Limit examples a split, those of the smallest hash. Files
// are often sorted, by label say, so the first would not be a sample.
func (m *maker) limit(context.Context) error {
	if m.o.Limit == 0 {
		return nil
	}
	for i := range m.spools {
		err := m.smallest(i, func(keys) int { return 0 }, 0, []int{m.o.Limit}, func(at, _ int, taken bool) {
			if !taken {
				m.drop(i, at, limited)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// train is the index of the training split, or -1.
func (m *maker) train() int { return slices.Index(m.splits, TrainSplit) }

// count counts the training examples that are left, by group.
func (m *maker) count(groupOf func(keys) int) (counts []int, err error) {
	split := m.train()
	err = m.spools[split].readKeys(func(at int, k keys) {
		if m.verdicts[split][at] != 0 {
			return
		}
		group := groupOf(k)
		for len(counts) <= group {
			counts = append(counts, 0)
		}
		counts[group]++
	})
	return counts, err
}

// mix makes the sources' parts of the training examples those of their weights.
func (m *maker) mix(context.Context) error {
	if !m.weighted() || m.train() < 0 {
		return nil
	}
	bySource := func(k keys) int { return int(k.source) }
	have, err := m.count(bySource)
	if err != nil {
		return err
	}
	have = append(have, make([]int, len(m.inputs)-len(have))...)
	want, err := m.o.shares(m.inputs, have)
	if err != nil {
		return err
	}
	return m.fill(bySource, have, want, 1, MixLeftOver)
}

// shares is how many examples each source gives. What rounding leaves over goes
// to the sources that it took most from, the first of equal ones.
func (o *Options) shares(inputs []namedInput, have []int) ([]int, error) {
	sum := 0.0
	for _, in := range inputs {
		sum += in.weight
	}
	total := o.MixSize
	for i, in := range inputs {
		if have[i] == 0 {
			return nil, fmt.Errorf("mix.%s: it has no training examples left", in.name)
		}
		if o.MixSize == 0 {
			if most := int(float64(have[i])*sum/in.weight + 1e-6); i == 0 || most < total {
				total = most
			}
		}
	}
	want, rest := make([]int, len(inputs)), total
	lost, order := make([]float64, len(inputs)), make([]int, len(inputs))
	for i, in := range inputs {
		exact := float64(total) * in.weight / sum
		want[i] = int(exact + 1e-9)
		lost[i], order[i] = exact-float64(want[i]), i
		rest -= want[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lost[b], lost[a]) })
	for _, i := range order {
		if rest > 0 && (o.MixSize > 0 || want[i] < have[i]) {
			want[i]++
			rest--
		}
	}
	for i, in := range inputs {
		if most := have[i] * max(1, o.MixRepeat); want[i] > most {
			return nil, fmt.Errorf("mix.%s: its weight asks for %d of %d examples, and it has %d: want a smaller mix_size, or mix_repeat: %d",
				in.name, want[i], total, have[i], (want[i]+have[i]-1)/have[i])
		}
	}
	return want, nil
}

// balance evens out the labels of the training examples.
func (m *maker) balance(context.Context) error {
	b := m.o.Balance
	if b == nil || m.train() < 0 {
		return nil
	}
	labels := map[uint64]int{}
	byLabel := func(k keys) int {
		i, ok := labels[k.response]
		if !ok {
			i = min(len(labels), maxLabels)
			labels[k.response] = i
			if i == maxLabels {
				delete(labels, k.response)
			}
		}
		return i
	}
	have, err := m.count(byLabel)
	if err != nil || len(have) == 0 {
		return err
	}
	if len(have) > maxLabels {
		return fmt.Errorf("balance: the training examples have more than %d different responses: those are texts, not labels", maxLabels)
	}
	most := slices.Max(have)
	if b.Ratio > 0 {
		most = min(most, int(b.Ratio*float64(slices.Min(have))))
	}
	if b.MaxPerLabel > 0 {
		most = min(most, b.MaxPerLabel)
	}
	want := make([]int, len(have))
	for i, n := range have {
		want[i] = min(n, most)
		if b.Oversample {
			want[i] = most
		}
		if want[i] > n*maxCopies {
			return fmt.Errorf("balance: a label has %d examples, which would be repeated until they are %d: more than %d times", n, want[i], maxCopies)
		}
	}
	return m.fill(byLabel, have, want, 2, LabelLeftOver)
}

// fill leaves want of the training examples of each group, which has have:
// those of the smallest hash, or all of them repeated.
func (m *maker) fill(groupOf func(keys) int, have, want []int, salt uint64, why Drop) error {
	split := m.train()
	times, rest := make([]int, len(have)), make([]int, len(have))
	repeats := false
	for g, n := range have {
		if n > 0 {
			times[g], rest[g] = want[g]/n, want[g]%n
		}
		repeats = repeats || times[g] > 1 || times[g] == 1 && rest[g] > 0
	}
	if repeats {
		if m.copies == nil {
			m.copies = make([][]uint8, len(m.splits))
		}
		m.copies[split] = make([]uint8, len(m.verdicts[split]))
	}
	return m.smallest(split, groupOf, salt, rest, func(at, group int, taken bool) {
		n := times[group]
		if taken {
			n++
		}
		if n == 0 {
			m.drop(split, at, why)
		} else if repeats {
			m.copies[split][at] = uint8(n)
		}
	})
}
