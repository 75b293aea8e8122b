//go:build !purego

package cpu

// scorer is a score kernel in assembly, of a fixed number of heads.
type scorer func(s *float32, lds int, q *float32, ldq int, k *float32, stride, keys, depth int, scale float32)

// weigherCall is a weigh kernel in assembly, of a fixed number of heads and
// n columns: the kernel's own, or up to that.
type weigherCall func(c *float32, ldc int, p *float32, ldp int, v *float32, stride, keys, n int)

// weigher is the kernels of a number of columns, by heads less one.
type weigher struct {
	columns int
	byHeads [4]weigherCall
}

// attenders are the kernels of one query row against rows of keys and values,
// by heads less one. The last of weigh does any smaller number of columns too.
type attenders struct {
	lanes int
	score [4]scorer
	weigh []weigher
}

// attendWith sets the kernels score and weigh.
func (k *kernels) attendWith(a attenders) {
	k.score = func(s []float32, lds int, q []float32, keys view, scale float32) {
		heads := len(q) / keys.cols
		if heads == 0 {
			return
		}
		// The kernels do not check: this panics where they would leave the slices.
		if keys.rows < minScored || keys.cols < 1 || keys.cols%scoreColumns != 0 {
			panic("cpu: scores of too few keys, or of odd heads")
		}
		_ = s[(heads-1)*lds+keys.rows-1]
		_ = keys.data[(keys.rows-1)*keys.stride+keys.cols-1]
		for h := 0; h < heads; h += len(a.score) {
			n := min(len(a.score), heads-h)
			a.scoreHeads(s[h*lds:], lds, q[h*keys.cols:], n, keys, scale)
		}
	}
	k.weigh = func(c, p []float32, ldp int, values view) {
		if values.rows == 0 || values.cols == 0 || len(c) < values.cols {
			return
		}
		heads := len(c) / values.cols
		_ = p[(heads-1)*ldp+values.rows-1]
		_ = values.data[(values.rows-1)*values.stride+values.cols-1]
		for h := 0; h < heads; h += 4 {
			a.weighHeads(c[h*values.cols:], p[h*ldp:], ldp, min(4, heads-h), values)
		}
	}
}

// scoreHeads does whole vectors of keys. What is left over is done with the
// keys before it, whose scores come out as they were.
func (a attenders) scoreHeads(s []float32, lds int, q []float32, heads int, keys view, scale float32) {
	kernel := a.score[heads-1]
	const most = 256 // keys of one call in assembly, which the scheduler cannot interrupt
	for j := 0; j < keys.rows; {
		n := min(most, keys.rows-j) / a.lanes * a.lanes
		if n == 0 {
			n, j = a.lanes, keys.rows-a.lanes
		}
		kernel.call(s[j:], lds, q, keys.cols, keys.data[j*keys.stride:], keys.stride, n, keys.cols, scale)
		j += n
	}
}

//go:noinline
func (f scorer) call(s []float32, lds int, q []float32, ldq int, k []float32, stride, keys, depth int, scale float32) {
	f(&s[0], lds, &q[0], ldq, &k[0], stride, keys, depth, scale)
}

// weighHeads goes along the columns, as many at a time as there is a kernel for.
func (a attenders) weighHeads(c, p []float32, ldp, heads int, values view) {
	const most = 512 // rows of one call in assembly
	for i := 0; i < values.rows; i += most {
		rows := min(most, values.rows-i)
		data := values.data[i*values.stride:]
		at := 0
		for _, w := range a.weigh {
			last := w.columns == a.lanes
			for at < values.cols && (last || at+w.columns <= values.cols) {
				n := min(w.columns, values.cols-at)
				w.byHeads[heads-1].call(c[at:], values.cols, p[i:], ldp, data[at:], values.stride, rows, n)
				at += n
			}
		}
	}
}

//go:noinline
func (f weigherCall) call(c []float32, ldc int, p []float32, ldp int, v []float32, stride, keys, n int) {
	f(&c[0], ldc, &p[0], ldp, &v[0], stride, keys, n)
}
