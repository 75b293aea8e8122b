package autodiff

import (
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
)

// plan says which memory every array of a graph has at each time. The order of
// execution is known before the first run, so an array gets its memory when it
// is computed and gives it back after its last reader.
//
// Gradients read results of the forward pass. Those are kept until then, or
// computed again just before the first gradient of their block (Chen et al.
// 2016): everything of the first blocks, as many as Graph.Recompute says, and
// of the others what costs less to compute again than to keep.
type plan struct {
	steps   []step
	next    int // the step that comes next in a run
	buffers []buffer
}

// step is an operation in the order of execution. again: it is one of the
// forward pass that runs a second time.
type step struct {
	operation *operation
	again     bool
}

// buffer is memory for arrays of one shape, one after the other.
type buffer struct {
	shape
	users []use
}

// use is a result in one of its two times.
type use struct {
	result *result
	again  bool
}

// begin is called before an operation runs: it computes again what the
// operation needs of that, and gives the operation's arrays their memory.
func (p *plan) begin(o *operation) error {
	for ; p.next < len(p.steps) && p.steps[p.next].again; p.next++ {
		again := p.steps[p.next].operation
		for _, r := range again.out {
			r.memory = r.backward
		}
		if err := again.run(); err != nil {
			return fmt.Errorf("%s: %s, computed again: %w", again.place, again.name, err)
		}
	}
	if p.next == len(p.steps) || p.steps[p.next].operation != o {
		return errors.New("it runs out of its turn")
	}
	p.next++
	for _, r := range o.out {
		if r.producer == o {
			r.memory = r.forward
		}
	}
	return nil
}

// values is the number of float32 values of all buffers.
func (p *plan) values() int {
	n := 0
	for _, b := range p.buffers {
		n += b.rows * b.stride
	}
	return n
}

// makePlan plans the differentiated graph with the first blocks recomputed.
func (g *Graph) makePlan(recomputed int) (*plan, error) {
	sorted, err := gorgonia.Sort(g.graph)
	if err != nil {
		return nil, fmt.Errorf("order of execution: %w", err)
	}
	b := planner{g: g, last: map[use]int{}}
	for i := len(sorted) - 1; i >= 0; i-- {
		b.order = append(b.order, sorted[i])
	}
	b.findReaders()
	b.findRecomputed(recomputed)
	b.layOut()
	b.findLast()
	return b.assign(), nil
}

// planner makes a plan.
type planner struct {
	g     *Graph
	order gorgonia.Nodes // of execution

	gradients []*operation     // in the order of execution
	keep      map[*result]bool // forward results that stay for their gradients
	again     map[*block][]*operation
	steps     []step
	stepOf    map[*gorgonia.Node]int // of operations, and of gorgonia's own the step before
	last      map[use]int            // step that reads it last
}

// findReaders lists the gradients.
func (b *planner) findReaders() {
	for _, n := range b.order {
		if o, ok := n.Op().(*operation); ok && o.gradientOf != nil {
			b.gradients = append(b.gradients, o)
		}
	}
}

// reads calls f with the forward results that a gradient reads.
func (o *operation) reads(f func(r *result)) {
	if o.gradientOf.readsInput {
		for _, r := range o.gradientOf.in {
			f(r)
		}
	}
	for _, r := range o.gradientOf.out {
		if r.kept {
			f(r)
		}
	}
}

// findRecomputed divides what gradients read into what is kept and what is
// computed again, and lists the operations that do it.
func (b *planner) findRecomputed(whole int) {
	b.keep, b.again = map[*result]bool{}, map[*block][]*operation{}
	wanted := map[*result]bool{} // by gradients of the same block
	for _, o := range b.gradients {
		o.reads(func(r *result) {
			if r.producer.block == nil || r.producer.block != o.block {
				b.keep[r] = true
			} else {
				wanted[r] = true
			}
		})
	}
	for i, block := range b.g.blocks {
		for j := len(block.operations) - 1; j >= 0; j-- {
			o := block.operations[j]
			b.recompute(o, i < whole || o.cheap, wanted)
		}
		slices.Reverse(b.again[block])
	}
}

// recompute decides about one operation, after those that read its results.
func (b *planner) recompute(o *operation, possible bool, wanted map[*result]bool) {
	missing := false
	for _, r := range o.out {
		if wanted[r] && !b.keep[r] {
			if possible {
				missing = true
			} else {
				b.keep[r] = true
			}
		}
	}
	if !missing {
		return
	}
	b.again[o.block] = append(b.again[o.block], o)
	for _, r := range o.in {
		if r.producer.block == o.block {
			wanted[r] = true
		} else {
			b.keep[r] = true
		}
	}
}

// layOut writes down the steps.
func (b *planner) layOut() {
	b.stepOf = map[*gorgonia.Node]int{}
	done := map[*block]bool{}
	for _, n := range b.order {
		o, ok := n.Op().(*operation)
		if ok {
			if o.gradientOf != nil && o.block != nil && !done[o.block] {
				done[o.block] = true
				for _, again := range b.again[o.block] {
					b.steps = append(b.steps, step{again, true})
				}
			}
			b.steps = append(b.steps, step{operation: o})
		}
		b.stepOf[n] = len(b.steps) - 1
	}
}

// findLast finds the last reader of every use.
func (b *planner) findLast() {
	computed := map[*result]bool{} // a second time
	for i, s := range b.steps {
		o := s.operation
		for _, r := range o.out {
			if s.again {
				computed[r] = true
			}
			b.read(use{r, s.again}, i)
		}
		for _, r := range o.in {
			b.read(use{r, s.again && computed[r]}, i)
		}
		if o.gradientOf != nil {
			o.reads(func(r *result) { b.read(use{r, computed[r]}, i) })
		}
	}
	b.findForeign()
}

func (b *planner) read(u use, step int) { b.last[u] = max(b.last[u], step) }

// findForeign extends the life of what gorgonia's own sums read to the last
// reader of the sum: it may have been made in place.
func (b *planner) findForeign() {
	ends := map[*gorgonia.Node]int{} // of nodes that are not operations of ours
	for i := len(b.order) - 1; i >= 0; i-- {
		n := b.order[i]
		end := b.stepOf[n]
		if _, ours := n.Op().(*operation); !ours {
			end = max(end, ends[n])
		}
		for inputs := b.g.graph.From(n.ID()); inputs.Next(); {
			input := inputs.Node().(*gorgonia.Node)
			if _, ours := input.Op().(*operation); !ours {
				ends[input] = max(ends[input], end)
			} else if r := b.g.results[input]; r != nil {
				if _, ours := n.Op().(*operation); !ours {
					b.read(use{r, false}, end)
				}
			}
		}
	}
}

// assign gives every use a buffer.
func (b *planner) assign() *plan {
	p := &plan{steps: b.steps}
	free := map[shape][]int{}             // buffers
	of := map[use]int{}                   // its buffer
	ending := make([][]use, len(b.steps)) // uses by the step after which nobody reads them
	taken := map[use]bool{}               // its buffer was taken over by a result in place
	for i, s := range b.steps {
		for _, r := range s.operation.out {
			u := use{r, s.again}
			if _, has := of[u]; has || r.producer != s.operation {
				continue
			}
			old := use{s.operation.inPlace, false}
			at, inPlace := of[old]
			if inPlace = inPlace && !s.again && b.last[old] == i && old.result.shape() == r.shape(); inPlace {
				taken[old] = true
			} else {
				at = p.take(free, r.shape())
			}
			of[u] = at
			p.buffers[at].users = append(p.buffers[at].users, u)
			ending[b.last[u]] = append(ending[b.last[u]], u)
		}
		for _, u := range ending[i] {
			if !taken[u] {
				free[u.result.shape()] = append(free[u.result.shape()], of[u])
			}
		}
	}
	return p
}

// take returns a buffer of that shape that is free, or a new one.
func (p *plan) take(free map[shape][]int, s shape) int {
	if list := free[s]; len(list) > 0 {
		free[s] = list[:len(list)-1]
		return list[len(list)-1]
	}
	p.buffers = append(p.buffers, buffer{shape: s})
	return len(p.buffers) - 1
}
