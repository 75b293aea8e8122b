package cpu

// attendBlocks computes rows of a sequence of many, in blocks. Each sees as
// many keys as window at most.
func (d *Device) attendBlocks(first, rows int, parts []cachedPart, keys, window int) {
	if rows == 0 {
		return
	}
	b := &cachedBlocks{cached: &d.cached, first: first, rows: rows, keys: keys, window: window}
	b.panels = (keys + panelWidth - 1) / panelWidth
	b.packed = d.shared.floats(keyPanels, b.KVHeads*b.panels*b.HeadDim*panelWidth)
	b.pack(d, parts)
	b.gather(d, parts)
	blocks := (rows + blockRows - 1) / blockRows
	work := 2 * rows * keys * b.Heads * b.HeadDim
	d.parallelIf(work > d.kernels.grain, blocks*b.Heads, func(w *worker, item int) {
		from := rows - (item/b.Heads+1)*blockRows // the most expensive first
		b.attend(w, max(0, from), from+blockRows, item%b.Heads)
	})
}

// cachedBlocks is a sequence of many rows: first … of q, which are the newest
// of so many keys.
type cachedBlocks struct {
	*cached
	first, rows, keys int
	window            int
	packed            []float32 // as attention.keys
	panels            int
	values            []view // by chunk, (keyChunk,G·E)
}

// pack packs the keys of all parts.
func (b *cachedBlocks) pack(d *Device, parts []cachedPart) {
	size := b.HeadDim * panelWidth
	d.parallelIf(len(b.packed) > 4*chunkValues, b.panels, func(_ *worker, i int) {
		for _, part := range parts {
			keys, at := part.keys.between(part.first, i*panelWidth, (i+1)*panelWidth)
			for g := 0; g < b.KVHeads && keys.rows > 0; g++ {
				head := keys.head(g, b.HeadDim)
				d.kernels.transpose(b.packed[(g*b.panels+i)*size:][at:size], head.data, head.stride, head.rows, head.cols)
			}
		}
	})
}

// gather finds each chunk's values, and copies those of chunks that lie in more than one part.
func (b *cachedBlocks) gather(d *Device, parts []cachedPart) {
	width := b.KVHeads * b.HeadDim
	chunks := (b.keys + keyChunk - 1) / keyChunk
	whole := func(chunk int) (view, bool) {
		first := chunk * keyChunk
		for _, part := range parts {
			values, at := part.values.between(part.first, first, min(first+keyChunk, b.keys))
			if values.rows > 0 {
				return values, at == 0 && values.rows == min(keyChunk, b.keys-first)
			}
		}
		return view{}, false
	}
	copies := 0
	for chunk := range chunks {
		values, ok := whole(chunk)
		if !ok {
			copies++
		}
		b.values = append(b.values, values)
	}
	memory := d.shared.floats(valuePanels, copies*keyChunk*width)
	for chunk := range chunks {
		if _, ok := whole(chunk); ok {
			continue
		}
		first := chunk * keyChunk
		v := view{data: memory[:keyChunk*width], rows: min(keyChunk, b.keys-first), cols: width, stride: width}
		memory = memory[keyChunk*width:]
		for _, part := range parts {
			values, at := part.values.between(part.first, first, first+v.rows)
			for i := range values.rows {
				copy(v.row(at+i), values.row(i))
			}
		}
		b.values[chunk] = v
	}
}

// attend computes a head of the sequence's rows from ≤ i < to.
func (b *cachedBlocks) attend(w *worker, from, to, head int) {
	const width = keyChunk + 16 // rows of scores are not a multiple of a page apart
	e, rows := b.HeadDim, to-from
	s, stats := w.floats(scores, rows*width), w.floats(statistics, 2*rows)
	sums := make([]softmaxSum, rows, blockRows)
	out := b.out.head(head, e).rowsFrom(b.first+from, b.first+to)
	sees := b.keys - b.rows + from + 1 // the key after the last one that the first row sees
	for chunk := max(0, sees-b.window) / keyChunk; chunk < len(b.values); chunk++ {
		first := chunk * keyChunk
		n := min(b.values[chunk].rows, sees+rows-1-first)
		if n <= 0 {
			break
		}
		// Rows before the first see nothing of it yet, rows from the last on no more.
		begin, end := max(0, first+1-sees), min(rows, max(0, first+n+b.window-sees))
		if begin >= end {
			continue
		}
		values := b.values[chunk].rowsFrom(0, n).head(head/b.group, e)
		b.times(s, width, from, rows, head, first, n)
		if b.SoftCap > 0 {
			b.kernels.capRows(s, width, rows, n, b.SoftCap)
		}
		seen := w.bounds(end-begin, sees+begin-b.window-first, sees+begin-first, 1, n)
		b.kernels.softmaxRows(s[begin*width:], width, n, seen, stats[2*begin:])
		part := view{data: w.floats(partial, (end-begin)*e), rows: end - begin, cols: e, stride: e}
		b.weigh(part, s[begin*width:], width, values)
		for i := begin; i < end; i++ {
			if max(0, sees+i-b.window)/keyChunk == chunk { // its first
				copy(out.row(i), part.row(i-begin))
				sums[i] = softmaxSum{stats[2*i], stats[2*i+1]}
				continue
			}
			sums[i].add(b.kernels, out.row(i), part.row(i-begin), stats[2*i], stats[2*i+1])
		}
	}
	for i, sum := range sums {
		b.kernels.scale(out.row(i), 1/sum.sum)
	}
}

// times sets s to the scores of a head of the rows from… with n keys from first on, where a panel begins.
func (b *cachedBlocks) times(s []float32, width, from, rows, head, first, n int) {
	size := b.HeadDim * panelWidth
	for j := 0; j < n; j += panelWidth {
		panel := head/b.group*b.panels + (first+j)/panelWidth
		b.kernels.panel(product{
			c: s[j:], ldc: width,
			a: b.q.data[(b.first+from)*b.q.stride+head*b.HeadDim:], rowStep: b.q.stride, step: 1,
			b: b.packed[panel*size:][:size], ldb: panelWidth,
			m: rows, n: min(panelWidth, n-j), k: b.HeadDim, alpha: b.Scale,
		})
	}
}

// weigh sets out (rows,E) to s times the values.
func (b *cachedBlocks) weigh(out view, s []float32, width int, values view) {
	for col := 0; col < out.cols; col += panelWidth {
		b.kernels.panel(product{
			c: out.data[col:], ldc: out.stride,
			a: s, rowStep: width, step: 1,
			b: values.data[col:], ldb: values.stride,
			m: out.rows, n: min(panelWidth, out.cols-col), k: values.rows, alpha: 1,
		})
	}
}
