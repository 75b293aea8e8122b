package cpu

import (
	"encoding/binary"
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// blockProduct multiplies a tile of m rounded rows of x by n rows of w, from
// the first of a group on, over their blocks from ≤ b < to: c (m,n) is set to
// alpha times the products, or that is added. Block b of row i of x is x[b·m+i].
type blockProduct struct {
	c        []float32
	ldc      int
	x        []rounded
	w        *interleaved
	group    int
	from, to int // multiples of superBlocks, but the end of a row

	m, n  int
	alpha float32
	add   bool
}

// sumBlocks is how many blocks are summed before the sum is scaled by alpha
// and added to what is there. It does not depend on the kernel, so that the
// bytes do not either.
const sumBlocks = 1024

// matVecBlocks does a call in integers.
func (d *Device) matVecBlocks(v *matVec) {
	if v.blocksItem == nil {
		v.roundItem, v.blocksItem = d.roundItem, d.blocksItem
	}
	v.blocks = d.interleavedOf(v.w)
	if n := v.c.rows * v.blocks.blocks; cap(v.x) < n {
		v.x = make([]rounded, n+n/4)
	}
	tiles := v.tileCount(d.kernels.blockRows)
	d.parallelIf(v.c.rows*v.a.cols > chunkValues, tiles, v.roundItem)
	large := v.cut(d, tiles, v.blocks.groupBytes/groupRows)
	d.parallelIf(large, v.spans*v.tileSpans, v.blocksItem)
}

// roundItem rounds a tile of rows: block b of row i of m is block b·m + i of it.
func (d *Device) roundItem(_ *worker, t int) {
	v := &d.vector
	from, to := part(t, v.tileCount(d.kernels.blockRows), v.a.rows)
	x := v.x[from*v.blocks.blocks : to*v.blocks.blocks]
	for i := from; i < to; i++ {
		d.kernels.round(x[i-from:], to-from, v.a.row(i), v.blocks.format.offset, v.blocks.format.split)
	}
}

// blocksItem multiplies a span of groups by a span of tiles.
func (d *Device) blocksItem(_ *worker, item int) {
	v := &d.vector
	tiles := v.tileCount(d.kernels.blockRows)
	first, last, t, end := v.piece(item, tiles)
	for ; t < end; t++ {
		from, to := part(t, tiles, v.c.rows)
		p := blockProduct{
			ldc: v.c.stride, x: v.x[from*v.blocks.blocks : to*v.blocks.blocks],
			w: v.blocks, m: to - from, alpha: v.alpha,
		}
		p.group, p.c = first/groupRows, v.c.data[from*v.c.stride+first:]
		p.n, p.add = last-first, v.add
		for p.from = 0; p.from < v.blocks.blocks; p.from += sumBlocks {
			p.to = min(p.from+sumBlocks, v.blocks.blocks)
			d.kernels.blocks(p)
			p.add = true
		}
	}
}

// blocksGo is the portable blocks kernel.
func blocksGo(p blockProduct) {
	f := p.w.format
	var values [blockValues]uint8
	for j := range p.n {
		w, scales, supers := p.w.group(p.group + j/groupRows)
		row := j % groupRows
		var sums [maxBlockRows]float32
		for b := p.from; b < p.to; b++ {
			f.block(&values, w[b*f.bytes():], row)
			s := f.scalesAt(scales[b*scaleBytes:], supers, b, row)
			for i := range p.m {
				sums[i] = s.add(sums[i], &p.x[b*p.m+i], &values, f)
			}
		}
		for i, sum := range sums[:p.m] {
			before := float32(0)
			if p.add {
				before = p.c[i*p.ldc+j]
			}
			p.c[i*p.ldc+j] = fusedAdd(p.alpha, sum, before)
		}
	}
}

// maxBlockRows is the most rows of a tile of any blocks kernel.
const maxBlockRows = 8

// blockScales are those of a block of a row: of its one or two parts, and what
// is subtracted from each value.
type blockScales struct {
	parts   [2]float32
	minimum float32
}

// scalesAt reads the scales of block b of row i of a group.
func (f blockFormat) scalesAt(scales, supers []byte, b, i int) blockScales {
	half := func(data []byte) float32 { return compute.F16ToF32(binary.LittleEndian.Uint16(data[2*i:])) }
	if !f.super() {
		return blockScales{parts: [2]float32{half(scales)}}
	}
	shared := supers[b/superBlocks*superBytes:]
	d := half(shared)
	if f.minimums {
		least := half(shared[2*groupRows:])
		return blockScales{parts: [2]float32{d * float32(scales[i])}, minimum: least * float32(scales[groupRows+i])}
	}
	return blockScales{parts: [2]float32{d * float32(int8(scales[i])), d * float32(int8(scales[groupRows+i]))}}
}

// add returns sum and what a block gives: its integer sums, each times the
// scale of its part, less the minimum times Σx; and all that times x's scale,
// which is added in one rounding.
func (s blockScales) add(sum float32, x *rounded, values *[blockValues]uint8, f blockFormat) float32 {
	width := blockValues
	if f.split {
		width = blockValues / 2
	}
	for part := 0; part*width < blockValues; part++ {
		products := x.start[part]
		other := x.values[part*width:][:width]
		for j, v := range values[part*width:][:width] {
			products += int32(other[j]) * int32(v)
		}
		scaled := float32(float32(products) * s.parts[part])
		if f.minimums {
			scaled = fusedAdd(-s.minimum, x.sum, scaled)
		}
		sum = fusedAdd(scaled, x.scale, sum)
	}
	return sum
}

// fusedAdd returns a·b + c rounded once, as the instruction does. The product
// is exact in float64. If the sum is not, its last bit is made odd, towards the
// exact value, which then rounds to the same float32 as that.
func fusedAdd(a, b, c float32) float32 {
	product, other := float64(a)*float64(b), float64(c)
	sum := product + other
	if math.IsInf(sum, 0) || math.IsNaN(sum) {
		return float32(sum)
	}
	part := sum - product
	rest := (product - (sum - part)) + (other - part)
	if bits := math.Float64bits(sum); rest != 0 && bits&1 == 0 {
		if rest > 0 == (sum > 0) {
			bits++
		} else {
			bits--
		}
		sum = math.Float64frombits(bits)
	}
	return float32(sum)
}
