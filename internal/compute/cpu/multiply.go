package cpu

import "math"

const (
	// maxDepth is how much of a sum is packed at a time: 1024 × panelWidth
	// floats stay in the second-level cache. It is a whole number of blocks.
	maxDepth = 1024
	// In sums that are deeper than deepSum, the rows of a do not stay in any
	// cache from panel to panel: up to deepPanels panels of deepDepth are
	// packed and multiplied with the same part of a.
	deepSum    = 8 * maxDepth
	deepDepth  = 256
	deepPanels = 16
	// minRows is how many rows a piece of work has at least when the rows are cut.
	minRows     = 56
	packingRows = 15
)

// multiply does the sums.
func (d *Device) multiply() {
	s := &d.sums
	panels, work := 0, 0
	for i := range s.list {
		c := &s.list[i]
		panels += (c.c.cols + panelWidth - 1) / panelWidth
		for _, t := range s.terms[c.first:c.last] {
			work += c.c.rows * c.c.cols * t.a.cols
		}
	}
	items := 0
	for i := range s.list {
		items = s.list[i].cut(panels, len(d.workers), items)
	}
	if s.item == nil {
		s.item = d.multiplyItem
	}
	d.parallelIf(work > d.kernels.grain, items, s.item)
	s.end()
}

// cut divides the sum, where the sums together have so many panels. Pieces
// follow those before it, and their number with them is returned.
func (c *sum) cut(panels, threads, before int) int {
	if c.c.rows == 0 || c.c.cols == 0 {
		c.items = before
		return before
	}
	own := (c.c.cols + panelWidth - 1) / panelWidth
	c.span = rowSpan(c.c.rows, panels, threads)
	c.spans = (c.c.rows + c.span - 1) / c.span
	c.group = 1
	if c.deepest > deepSum {
		c.group = groupOf(own, c.spans, threads)
	}
	c.items = before + (own+c.group-1)/c.group*c.spans
	return c.items
}

// rowSpan returns how many of m rows one piece of work takes: the number that
// lets the threads end soonest, when packing a panel, which every piece does,
// takes as long as multiplying it with packingRows rows.
func rowSpan(m, panels, threads int) int {
	best, least := m, math.MaxInt
	for pieces := 1; pieces <= 4*threads; pieces++ {
		span := (m + pieces - 1) / pieces
		if pieces > 1 && span < minRows {
			break
		}
		if time := (panels*pieces + threads - 1) / threads * (span + packingRows); time < least {
			best, least = span, time
		}
	}
	return best
}

// groupOf returns how many panels a piece has, at most deepPanels: the number
// that lets all threads end together, the largest of equals.
func groupOf(panels, spans, threads int) int {
	best, least := 1, panels*spans
	for g := 1; g <= min(panels, deepPanels); g++ {
		pieces := (panels + g - 1) / g * spans
		if longest := (pieces + threads - 1) / threads * g; longest <= least {
			best, least = g, longest
		}
	}
	return best
}

// multiplyItem does one piece: some panels of a span of rows of one sum.
func (d *Device) multiplyItem(w *worker, item int) {
	before := 0
	for i := range d.sums.list {
		c := &d.sums.list[i]
		if item < c.items {
			item -= before
			width := c.group * panelWidth
			col, row := item/c.spans*width, item%c.spans*c.span
			d.multiplyPiece(w, c, col, min(col+width, c.c.cols), row, min(row+c.span, c.c.rows))
			return
		}
		before = c.items
	}
}

// multiplyPiece does columns col ≤ j < end and rows row ≤ i < last of a sum.
func (d *Device) multiplyPiece(w *worker, c *sum, col, end, row, last int) {
	part := c.c.columns(col, end).rowsFrom(row, last)
	add := c.add
	for i := c.first; i < c.last; i++ {
		t := &d.sums.terms[i]
		depth := maxDepth
		if c.deepest > deepSum {
			depth = deepDepth
		}
		for from := 0; from < t.a.cols; from += depth {
			d.multiplyBlock(w, part, t, col, row, from, min(t.a.cols, from+depth), add)
			add = true
		}
	}
	if !add { // a sum of nothing
		part.clear()
	}
}

// multiplyBlock adds what values from ≤ k < to of the sums of a term give to
// c, which begins at col and row of the whole.
func (d *Device) multiplyBlock(w *worker, c view, t *term, col, row, from, to int, add bool) {
	a := t.a.data[row*t.a.stride+from:]
	dst := w.floats(packing, (to-from)*panelWidth)
	for j := 0; j < c.cols; j += panelWidth {
		n := min(panelWidth, c.cols-j)
		b, ldb := t.panel(d, w, dst, from, to, col+j, n)
		d.kernels.panel(product{
			c: c.data[j:], ldc: c.stride, a: a, rowStep: t.a.stride, step: 1, b: b, ldb: ldb,
			m: c.rows, n: n, k: to - from, alpha: t.alpha, add: add,
		})
	}
}
