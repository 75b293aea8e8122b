package model

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/retort-ml/retort/internal/compute"
)

// codes is an Out × In matrix of small numbers, each with the scale and the
// zero point of its group of columns: scale · (code − zero).
type codes struct {
	name    string // of the weight
	out, in int
	groups  int
	scales  []float32 // (out,groups)
	zeros   []int16   // (out,groups), or nil: 0
	group   []int32   // of each column, or nil: groups of equal size, the last may be smaller
	size    int       // of such a group

	low, high int              // the range of code − zero
	table     *[256]float32    // what a code stands for, or nil: itself
	row       func([]int, int) // sets the codes of a row
}

// exactBlock is how many columns share a scale in the formats below.
const exactBlock = 32

// format is the smallest that holds scale · (code − zero) as float32 computes
// it: ggml's blocks have the same product, of an f16 scale and an integer.
// Otherwise it is F32.
func (c *codes) format() compute.Format {
	if c.table != nil || !c.wholeBlocks() || !exactHalves(c.scales) {
		return compute.F32
	}
	for _, f := range []struct {
		format    compute.Format
		low, high int
	}{{compute.Q4_0, -8, 7}, {compute.Q5_0, -16, 15}, {compute.Q8_0, -128, 127}} {
		if c.low >= f.low && c.high <= f.high {
			return f.format
		}
	}
	return compute.F32
}

// wholeBlocks tells whether every block of columns is in one group.
func (c *codes) wholeBlocks() bool {
	if c.in%exactBlock != 0 {
		return false
	}
	if c.group == nil {
		return c.groups == 1 || c.size%exactBlock == 0
	}
	for i, g := range c.group {
		if g != c.group[i/exactBlock*exactBlock] {
			return false
		}
	}
	return true
}

// exactHalves tells whether all values are f16 numbers.
func exactHalves(values []float32) bool {
	for _, v := range values {
		if compute.F16ToF32(compute.F32ToF16(v)) != v {
			return false
		}
	}
	return true
}

// pieces divides n things into pieces of a size, the last of which may be
// smaller; a size that is negative or too large is n.
func pieces(n, size int) (actual, count int) {
	if size < 0 || size > n {
		size = n
	}
	return size, (n + size - 1) / size
}

func (c *codes) groupOf(column int) int {
	if c.group != nil {
		return int(c.group[column])
	}
	return column / c.size
}

// weight converts the matrix to its format, with all processors.
func (c *codes) weight() (*compute.Weight, error) {
	format := c.format()
	size := format.RowBytes(c.in)
	data := make([]byte, c.out*size)
	eachRowSpan(c.out, func(from, to int) {
		r := codeRow{codes: c, format: format, values: make([]int, c.in)}
		for o := from; o < to; o++ {
			r.encode(data[o*size:(o+1)*size], o)
		}
	})
	w, err := compute.NewWeight(format, c.out, c.in, data)
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", c.name, err)
	}
	w.KeepExact()
	return w, nil
}

// eachRowSpan calls convert for spans of n rows, on all processors. Rows beside
// each other are in one span: of words packed down the columns, 16 lie in a cache line.
func eachRowSpan(n int, convert func(from, to int)) {
	const most = 64
	spans := (n + most - 1) / most
	workers := min(runtime.GOMAXPROCS(0), spans)
	var wait sync.WaitGroup
	for k := range workers {
		wait.Go(func() {
			for span := k; span < spans; span += workers {
				convert(span*most, min(n, (span+1)*most))
			}
		})
	}
	wait.Wait()
}

// codeRow converts one row after another.
type codeRow struct {
	*codes
	format compute.Format
	values []int
}

func (r *codeRow) encode(dst []byte, o int) {
	r.row(r.values, o)
	scales := r.scales[o*r.groups : (o+1)*r.groups]
	if r.zeros != nil {
		zeros := r.zeros[o*r.groups : (o+1)*r.groups]
		r.eachGroup(func(g int, values []int, _ int) {
			zero := int(zeros[g])
			for i := range values {
				values[i] -= zero
			}
		})
	}
	if r.format == compute.F32 {
		r.eachGroup(func(g int, values []int, from int) {
			for i, v := range values {
				x := float32(v)
				if r.table != nil {
					x = r.table[v]
				}
				binary.LittleEndian.PutUint32(dst[4*(from+i):], math.Float32bits(scales[g]*x))
			}
		})
		return
	}
	for from := 0; from < r.in; from += exactBlock {
		n := r.format.RowBytes(exactBlock)
		encodeBlock(r.format, dst[from/exactBlock*n:][:n], scales[r.groupOf(from)], r.values[from:][:exactBlock])
	}
}

// eachGroup calls f for columns beside each other that are in one group, as many
// as possible where groups are of equal size; from is the first.
func (r *codeRow) eachGroup(f func(g int, values []int, from int)) {
	step := r.size
	if r.group != nil {
		step = 1
	}
	for from := 0; from < r.in; from += step {
		f(r.groupOf(from), r.values[from:min(r.in, from+step)], from)
	}
}

// encodeBlock writes a block of ggml's: see compute.Format.
func encodeBlock(f compute.Format, dst []byte, scale float32, values []int) {
	binary.LittleEndian.PutUint16(dst, compute.F32ToF16(scale))
	switch f {
	case compute.Q8_0:
		for i, v := range values {
			dst[2+i] = byte(v)
		}
	case compute.Q4_0:
		for i := range 16 {
			dst[2+i] = byte(values[i]+8) | byte(values[i+16]+8)<<4
		}
	case compute.Q5_0:
		fifth := uint32(0)
		for i := range 16 {
			low, high := values[i]+16, values[i+16]+16
			dst[6+i] = byte(low&15) | byte(high&15)<<4
			fifth |= uint32(low>>4)<<i | uint32(high>>4)<<(i+16)
		}
		binary.LittleEndian.PutUint32(dst[2:], fifth)
	}
}

// setZeros sets the zero points from value(o, g), and the range of what is
// left of codes from 0 to most.
func (c *codes) setZeros(most int, value func(o, g int) int) {
	c.zeros = make([]int16, c.out*c.groups)
	least, largest := math.MaxInt, math.MinInt
	for o := range c.out {
		for g := range c.groups {
			z := value(o, g)
			c.zeros[o*c.groups+g] = int16(z)
			least, largest = min(least, z), max(largest, z)
		}
	}
	c.low, c.high = -largest, most-least
}

// transposed is (groups,out) values as (out,groups).
func transposed(values []float32, groups, out int) []float32 {
	t := make([]float32, len(values))
	for g := range groups {
		for o := range out {
			t[o*groups+g] = values[g*out+o]
		}
	}
	return t
}
