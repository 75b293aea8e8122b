package cpu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// cachedCase is sequences as {rows, keys}.
type cachedCase struct {
	heads, kvHeads, headDim int
	sequences               [][2]int
	window                  int
	softCap                 float32
}

var cachedCases = []cachedCase{
	{1, 1, 4, [][2]int{{1, 1}}, 0, 0},
	{2, 1, 8, [][2]int{{1, 15}, {1, 16}, {1, 17}, {1, 127}, {1, 128}, {1, 129}}, 0, 0},
	{9, 3, 64, [][2]int{{1, 540}, {0, 3}, {2, 2}, {1, 257}}, 0, 0},
	{5, 1, 24, [][2]int{{3, 140}, {8, 8}, {1, 31}}, 0, 0},
	{3, 3, 16, [][2]int{{9, 9}, {1, 5}, {70, 300}, {130, 130}}, 0, 0},
	{4, 2, 100, [][2]int{{1, 33}, {12, 270}}, 0, 0},
	{4, 2, 33, [][2]int{{1, 150}, {3, 20}}, 0, 0},
	{2, 2, 256, [][2]int{{1, 300}, {20, 20}}, 0, 0},
	{4, 2, 80, [][2]int{{64, 192}, {65, 193}}, 0, 0},
	{4, 2, 16, [][2]int{{1, 300}, {70, 300}, {3, 140}, {130, 130}, {9, 9}}, 5, 0},
	{2, 1, 24, [][2]int{{1, 300}, {8, 270}, {70, 400}, {300, 300}}, 130, 0},
	{2, 1, 8, [][2]int{{1, 257}, {100, 400}, {5, 20}}, 1, 0},
	{4, 2, 16, [][2]int{{1, 200}, {20, 150}, {9, 9}}, 0, 1.5},
	{4, 1, 36, [][2]int{{2, 260}, {70, 200}}, 64, 4},
}

// cachedRandom returns what the sequences of a case attend to, in parts of random length.
func cachedRandom(r *rand.Rand, c cachedCase, keys, values []compute.Mat) []compute.CachedSequence {
	var sequences []compute.CachedSequence
	for i, s := range c.sequences {
		sequence := compute.CachedSequence{Rows: s[0], Window: c.window}
		for at := 0; at < s[1]; {
			n := min(s[1]-at, r.IntN(r.IntN(200)+1)) // also none
			sequence.Parts = append(sequence.Parts, compute.KV{Keys: copied(keys[i].RowRange(at, at+n)), Values: copied(values[i].RowRange(at, at+n))})
			at += n
		}
		sequences = append(sequences, sequence)
	}
	return sequences
}

// copied returns a view of another array of guards, and of another stride, with the values of m.
func copied(m compute.Mat) compute.Mat {
	v := viewOf("copied", m)
	var values []float32
	for i := range v.rows {
		values = append(values, v.row(i)...)
	}
	return matOf(values, m.Rows, m.Cols, 3)
}

func (c cachedCase) shape() compute.AttentionShape {
	return compute.AttentionShape{Heads: c.heads, KVHeads: c.kvHeads, HeadDim: c.headDim, Scale: 0.3, SoftCap: c.softCap}
}

// from is the first key that each row of a sequence sees.
func (c cachedCase) from(sequence [2]int) []int32 {
	from := make([]int32, sequence[0])
	for i := range from {
		if c.window > 0 {
			from[i] = int32(max(0, sequence[1]-sequence[0]+i+1-c.window))
		}
	}
	return from
}

// random returns queries, and keys and values by sequence.
func (c cachedCase) random(r *rand.Rand) (q compute.Mat, keys, values []compute.Mat) {
	rows := 0
	for _, s := range c.sequences {
		rows += s[0]
		keys = append(keys, randomMat(r, s[1], c.kvHeads*c.headDim))
		values = append(values, randomMat(r, s[1], c.kvHeads*c.headDim))
	}
	return randomMat(r, rows, c.heads*c.headDim), keys, values
}

func TestAttentionCached(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, c := range cachedCases {
			r := random()
			q, keys, values := c.random(r)
			out := randomMat(r, q.Rows, q.Cols)
			d.AttentionCached(out, q, cachedRandom(r, c, keys, values), c.shape())
			got, vq, row := valuesOf(t, out), doubles(valuesOf(t, q)), 0
			for i, s := range c.sequences {
				shape := c.shape()
				shape.From, shape.KeyOffset = c.from(s), s[1]-s[0]
				want, _ := attentionRef(vq[row*q.Cols:], doubles(valuesOf(t, keys[i])), doubles(valuesOf(t, values[i])), shape)
				near(t, fmt.Sprintf("%+v, sequence %d", c, i), got[row*q.Cols:(row+s[0])*q.Cols], want, 1e-5, 1e-5)
				row += s[0]
			}
		}
	})
}

// A row's bytes follow from its query, keys and values alone: not from other
// sequences, from how keys are cut into parts, from the threads, nor from
// how many rows of its own sequence are computed in the same call.
func TestAttentionCachedRowsStandAlone(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, c := range cachedCases {
			r := random()
			q, keys, values := c.random(r)
			out := randomMat(r, q.Rows, q.Cols)
			d.AttentionCached(out, q, cachedRandom(r, c, keys, values), c.shape())
			together, row := valuesOf(t, out), 0
			for i, s := range c.sequences {
				for _, rows := range []int{1, 3, 40} {
					for first := 0; first < s[0]; first += rows {
						last := min(s[0], first+rows)
						seen := s[1] - s[0] + last
						alone := cachedCase{c.heads, c.kvHeads, c.headDim, [][2]int{{last - first, seen}}, c.window, c.softCap}
						part := randomMat(r, last-first, q.Cols)
						one := New(1 + r.IntN(3))
						one.kernels = d.kernels
						one.AttentionCached(part, q.RowRange(row+first, row+last), cachedRandom(r, alone, keys[i:], values[i:]), c.shape())
						near(t, fmt.Sprintf("%+v, sequence %d, rows %d to %d alone", c, i, first, last), valuesOf(t, part), doubles(together[(row+first)*q.Cols:(row+last)*q.Cols]), 0, 0)
					}
				}
				row += s[0]
			}
		}
	})
}

// Scores may be far apart from chunk to chunk.
func TestAttentionCachedOfFarScores(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, spread := range []float32{30, 1e4} {
			for _, rows := range []int{1, 20} {
				c := cachedCase{2, 1, 16, [][2]int{{rows, 400}}, 0, 0}
				r := random()
				q, keys, values := c.random(r)
				d.Scale(q, spread)
				out := randomMat(r, rows, q.Cols)
				d.AttentionCached(out, q, cachedRandom(r, c, keys, values), c.shape())
				shape := c.shape()
				shape.From, shape.KeyOffset = make([]int32, rows), 400-rows
				want, _ := attentionRef(doubles(valuesOf(t, q)), doubles(valuesOf(t, keys[0])), doubles(valuesOf(t, values[0])), shape)
				near(t, fmt.Sprintf("%d rows × %v", rows, spread), valuesOf(t, out), want, 1e-6*float64(spread), 1e-5)
			}
		}
	})
}

func TestAttentionCachedAllocatesNothing(t *testing.T) {
	d, r := New(1), random()
	c := cachedCase{9, 3, 64, [][2]int{{1, 540}, {1, 100}, {1, 300}}, 0, 0}
	q, keys, values := c.random(r)
	sequences, out := cachedRandom(r, c, keys, values), randomMat(r, q.Rows, q.Cols)
	if n := testing.AllocsPerRun(10, func() { d.AttentionCached(out, q, sequences, c.shape()) }); n > 0 {
		t.Errorf("%v allocations a call, want none", n)
	}
}

func TestAttentionCachedShapesThatDoNotFitPanic(t *testing.T) {
	d, r := New(1), random()
	q, keys := randomMat(r, 2, 8), randomMat(r, 5, 4)
	s := compute.AttentionShape{Heads: 2, KVHeads: 1, HeadDim: 4}
	parts := []compute.KV{{Keys: keys, Values: keys}}
	run := func(rows int, parts []compute.KV, s compute.AttentionShape) func() {
		return func() { d.AttentionCached(q, q, []compute.CachedSequence{{Rows: rows, Parts: parts}}, s) }
	}
	run(2, parts, s)()
	odd := s
	odd.Heads = 3
	for name, f := range map[string]func(){
		"rows missing":         run(1, parts, s),
		"rows too many":        run(3, parts, s),
		"rows negative":        run(-1, parts, s),
		"no keys":              run(2, nil, s),
		"width of keys":        run(2, []compute.KV{{Keys: keys.ColRange(0, 3), Values: keys.ColRange(0, 3)}}, s),
		"values without a key": run(2, []compute.KV{{Keys: keys.RowRange(0, 4), Values: keys}}, s),
		"heads":                run(2, parts, odd),
		"no heads":             run(2, parts, compute.AttentionShape{}),
	} {
		mustPanic(t, name, f)
	}
	run(2, slices.Concat(parts, parts), s)() // and works on after a panic
}

// BenchmarkAttentionCached reports microseconds for 30 layers of 9 heads of 64
// over 3 of keys: one new row of each of some sequences of 540 keys.
func BenchmarkAttentionCached(b *testing.B) {
	const layers, length, width = 30, 540, 3 * 64
	shape := compute.AttentionShape{Heads: 9, KVHeads: 3, HeadDim: 64, Scale: 0.125}
	for _, c := range []struct {
		name                    string
		sequences, shared, rows int
	}{{"1 of 540", 1, 0, 1}, {"32 of 540", 32, 0, 1}, {"32 of 540, 500 shared", 32, 500, 1}, {"prompt of 540", 1, 0, length}, {"16 answers of 4", 16, 500, 4}} {
		d, r := New(0), random()
		contiguous := func(n int) compute.KV {
			x := matOf(normals(r, n*width), n, width, 0)
			return compute.KV{Keys: x, Values: matOf(normals(r, n*width), n, width, 0)}
		}
		var steps [layers][]compute.CachedSequence
		for i := range steps {
			prefix := contiguous(c.shared)
			for range c.sequences {
				parts := []compute.KV{contiguous(length - c.shared)}
				if c.shared > 0 {
					parts = []compute.KV{prefix, parts[0]}
				}
				steps[i] = append(steps[i], compute.CachedSequence{Rows: c.rows, Parts: parts})
			}
		}
		q := randomMat(r, c.sequences*c.rows, 9*64)
		out := randomMat(r, q.Rows, q.Cols)
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				for _, sequences := range steps {
					d.AttentionCached(out, q, sequences, shape)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/token")
		})
	}
}
