package cpu

import "github.com/retort-ml/retort/internal/compute"

// dots multiplies m rows of x by n rows of weights, both read along the row:
// c (m,n) is set to alpha times the products, or that is added. Weights are
// floats, stride values apart, or if there are none data in the format, stride
// bytes apart: F16 or BF16. A sum depends on k alone, not on m and n.
type dots struct {
	c      []float32
	ldc    int
	x      []float32
	ldx    int
	floats []float32
	data   []byte
	format compute.Format
	stride int

	m, n, k int
	alpha   float32
	add     bool
}

// dotTile is how many rows of x make a tile where work is cut; kernels have
// smaller ones of their own.
const dotTile = 6

// dotDepth is how many values are summed before the sum is scaled by alpha and
// added to what is there, which bounds the length of one call in assembly
// that the scheduler cannot interrupt: 24 × 16384 operations take 10 µs. It is
// a whole number of vectors and of blocks.
const dotDepth = 16384

// dequantizedBytes is about how much of dequantized rows of weights are used
// again and again: it leaves half of the first-level cache to the rows of x.
const dequantizedBytes = 24 << 10

// matVecDots does a call in float32.
func (d *Device) matVecDots(v *matVec) {
	if v.dotsItem == nil {
		v.dotsItem = d.dotsItem
	}
	large := v.cut(d, v.tileCount(dotTile), v.w.Format.RowBytes(v.w.In))
	d.parallelIf(large, v.spans*v.tileSpans, v.dotsItem)
}

// dotsItem multiplies a span of weights by a span of tiles.
func (d *Device) dotsItem(k *worker, item int) {
	v := &d.vector
	tiles := v.tileCount(dotTile)
	first, last, from, to := v.piece(item, tiles)
	row, _ := part(from, tiles, v.c.rows)
	end, _ := part(to, tiles, v.c.rows)
	p := dots{
		ldc: v.c.stride, ldx: v.a.stride, m: end - row, format: v.w.Format, alpha: v.alpha, add: v.add,
	}
	for depth := 0; depth < v.w.In; depth += dotDepth {
		p.c, p.x = v.c.data[row*v.c.stride+first:], v.a.data[row*v.a.stride+depth:]
		p.n, p.k = last-first, min(dotDepth, v.w.In-depth)
		d.dotsOf(k, p, first, depth)
		p.add = true
	}
}

// dotsOf multiplies by rows of weights from first on and their values from
// from on: where they lie, if kernels read the format, or dequantized, a few
// rows after another. F16 is converted anew for each tile, which costs
// less than to store it.
func (d *Device) dotsOf(k *worker, p dots, first, from int) {
	w := d.vector.w
	switch w.Format {
	case compute.F32:
		p.floats, p.stride = w.Floats()[first*w.In+from:(first+p.n)*w.In], w.In
		d.kernels.dots(p)
		return
	case compute.F16, compute.BF16:
		p.data, p.stride = w.Data()[2*(first*w.In+from):2*(first+p.n)*w.In], 2*w.In
		d.kernels.dots(p)
		return
	}
	rows := max(4, dequantizedBytes/(4*p.k)&^3)
	c, last := p.c, first+p.n
	for i := first; i < last; i += rows {
		p.c, p.n, p.stride = c[i-first:], min(rows, last-i), p.k
		p.floats = k.floats(unpacking, p.n*p.k)
		for j := range p.n {
			d.kernels.dequantize(p.floats[j*p.k:(j+1)*p.k], w, i+j, from)
		}
		d.kernels.dots(p)
	}
}

// dotsDepth is how many values dotsGo reads at a time.
const dotsDepth = 256

// dotsGo is the portable dots kernel.
func dotsGo(p dots) {
	var values [dotsDepth]float32
	for j := range p.n {
		add := p.add
		for from := 0; from < p.k; from += dotsDepth {
			n := min(dotsDepth, p.k-from)
			w := values[:n]
			if p.floats != nil {
				w = p.floats[j*p.stride+from:][:n]
			} else {
				begin := j*p.stride + p.format.RowBytes(from)
				compute.Dequantize(p.format, w, p.data[begin:begin+p.format.RowBytes(n)])
			}
			for i := range p.m {
				sum := p.alpha * dotGo(p.x[i*p.ldx+from:][:n], w)
				if add {
					sum += p.c[i*p.ldc+j]
				}
				p.c[i*p.ldc+j] = sum
			}
			add = true
		}
	}
}
