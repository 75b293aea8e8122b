package cpu

// chunkValues is how many values a piece of elementwise work has at least:
// handing it to another thread costs about as much as a few hundred of them.
const chunkValues = 4096

// worker is what one thread of a device owns.
type worker struct {
	buffers
	from, to [blockRows]int32 // of bounds
	sums     [panelWidth]float64
}

// buffers is scratch memory by purpose, kept from call to call.
type buffers struct {
	memory [purposes][]float32
}

// purpose says what a buffer is for; no function uses one for two things at a time.
type purpose int

const (
	packing     purpose = iota // a panel
	unpacking                  // dequantized rows on their way into a panel
	scores                     // attention scores of a block of queries
	slopes                     // and their gradient
	keyPanels                  // all keys of an attention, packed
	valuePanels                // and its values
	statistics                 // a number or two for every row
	partial                    // sums over a part of the keys
	gradSums                   // of keys and values, of parts of the queries
	unread                     // results of a kernel that nobody reads
	capSlopes                  // of the cap of scores
	purposes
)

// floats returns a slice of n values, not cleared, valid until the next call for the same purpose.
func (b *buffers) floats(p purpose, n int) []float32 {
	if cap(b.memory[p]) < n {
		b.memory[p] = aligned(n + n/4)
	}
	return b.memory[p][:n]
}

// parallel calls body once for each item 0 ≤ i < items and returns when all are
// done. Threads take the next item when they are free; a body may use its
// worker's memory and must write nothing that another item's writes.
func (d *Device) parallel(items int, body func(w *worker, item int)) {
	helpers := min(len(d.workers), items) - 1
	if helpers < 1 {
		for i := range items {
			body(&d.workers[0], i)
		}
		return
	}
	d.team.do(helpers, items, func(thread, item int) { body(&d.workers[thread], item) })
}

// parallelIf is parallel if the work is large enough for it, and does the items
// in turn otherwise.
func (d *Device) parallelIf(large bool, items int, body func(w *worker, item int)) {
	if large {
		d.parallel(items, body)
		return
	}
	for i := range items {
		body(&d.workers[0], i)
	}
}

// eachRows cuts rows of the given width into pieces worth a thread.
func (d *Device) eachRows(rows, width int, body func(from, to int)) {
	if rows == 0 {
		return
	}
	if rows*width < 4*chunkValues {
		body(0, rows)
		return
	}
	d.eachSpan(rows, max(1, chunkValues/max(1, width)), func(_ *worker, from, to int) { body(from, to) })
}

// eachSpan cuts n into spans of size, the last one shorter.
func (d *Device) eachSpan(n, size int, body func(w *worker, from, to int)) {
	d.parallel((n+size-1)/size, func(w *worker, i int) {
		body(w, i*size, min(n, (i+1)*size))
	})
}
