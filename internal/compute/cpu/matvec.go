package cpu

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

const (
	// vectorRows is how many rows of weights a piece of MatVec takes at least:
	// those that are interleaved, a cache line of results.
	vectorRows = 16
	// vectorBytes is up to how many bytes of weights stay in the second-level
	// cache while one tile of rows of x after another is multiplied by them.
	vectorBytes = 512 << 10
	// vectorGrain divides kernels.grain: the weights of a product with one row
	// come from memory, which takes some times as long as multiplying.
	vectorGrain = 4
)

// matVec is a call of MatVec. The device has one, with functions for parallel
// that are made once, so that a call allocates nothing.
type matVec struct {
	c, a  view
	w     *compute.Weight
	alpha float32
	add   bool

	blocks *interleaved // w, if it is multiplied as integers
	x      []rounded    // and a, see roundItem

	spans     int // into which the rows of weights are cut
	tileSpans int // into which the tiles of rows of x are cut

	roundItem, blocksItem, dotsItem func(k *worker, item int)
}

// MatVec sets y (N,Out) to alpha·x·wᵀ, or adds it when add. Where w is Q8_0,
// Q4_0, Q5_0, Q4_K or Q6_K and not exact (Weight.Integers), rows of x are rounded to 8 bits, every 32 values of
// them with a scale of their own (see rounded), and products are summed as
// integers. Otherwise w is read, or dequantized, along its rows as float32.
func (d *Device) MatVec(y, x compute.Mat, w *compute.Weight, alpha float32, add bool) {
	c, a := viewOf("MatVec y", y), viewOf("MatVec x", x)
	if a.rows != c.rows || a.cols != w.In || c.cols != w.Out {
		panic(fmt.Sprintf("cpu: MatVec: y %s, x %s, w (%d, %d)", y, x, w.Out, w.In))
	}
	if c.rows == 0 {
		return
	}
	v := &d.vector
	v.c, v.a, v.w, v.alpha, v.add = c, a, w, alpha, add
	if w.Integers() {
		d.matVecBlocks(v)
	} else {
		d.matVecDots(v)
	}
	v.c, v.a, v.w, v.blocks = view{}, view{}, nil, nil // they may be freed
}

// cut splits the work: rows of weights first, and tiles of rows of x where
// the weights alone do not keep all threads busy. It says whether the work is
// worth more than one thread.
func (v *matVec) cut(d *Device, tiles, rowBytes int) bool {
	units := (v.w.Out + vectorRows - 1) / vectorRows
	wanted := 4 * len(d.workers)
	v.spans = wanted
	if tiles > 1 {
		v.spans = max(wanted, units*vectorRows*rowBytes/vectorBytes)
	}
	v.spans = min(v.spans, units)
	v.tileSpans = min(tiles, (wanted+v.spans-1)/v.spans)
	return v.c.rows*v.c.cols*v.a.cols > d.kernels.grain/vectorGrain
}

// piece returns the rows of weights first ≤ j < last and the tiles from ≤ t < to
// of an item.
func (v *matVec) piece(item, tiles int) (first, last, from, to int) {
	units := (v.w.Out + vectorRows - 1) / vectorRows
	first, last = part(item%v.spans, v.spans, units)
	from, to = part(item/v.spans, v.tileSpans, tiles)
	return first * vectorRows, min(v.w.Out, last*vectorRows), from, to
}

// part returns part i of n things in so many parts of about one size.
func part(i, parts, n int) (from, to int) { return i * n / parts, (i + 1) * n / parts }

// tileCount is the least number of tiles of up to height rows that x is cut into.
func (v *matVec) tileCount(height int) int { return (v.c.rows + height - 1) / height }
