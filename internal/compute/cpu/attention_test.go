package cpu

import (
	"fmt"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// attentionCase is a shape; from is where each query's keys begin.
type attentionCase struct {
	name                    string
	heads, kvHeads, headDim int
	from                    []int32
	offset                  int
	to                      []int32 // where each query's keys end; nil means after itself
	softCap                 float32
}

// segments returns From for segments of the given lengths.
func segments(lengths ...int) []int32 {
	var from []int32
	for _, n := range lengths {
		first := int32(len(from))
		for range n {
			from = append(from, first)
		}
	}
	return from
}

// window returns From for n rows which see at most the last w.
func window(n, w int) []int32 {
	from := make([]int32, n)
	for i := range from {
		from[i] = int32(max(0, i-w+1))
	}
	return from
}

// ends returns To for segments of the given lengths.
func ends(lengths ...int) []int32 {
	var to []int32
	for _, n := range lengths {
		last := int32(len(to) + n)
		for range n {
			to = append(to, last)
		}
	}
	return to
}

// ahead returns To for n rows which see up to w rows from themselves on.
func ahead(n, w int) []int32 {
	to := make([]int32, n)
	for i := range to {
		to[i] = int32(min(n, i+w))
	}
	return to
}

var attentionCases = []attentionCase{
	{"one row", 1, 1, 1, segments(1), 0, nil, 0},
	{"few rows", 2, 1, 8, segments(3), 0, nil, 0},
	{"block edges", 3, 3, 16, segments(65), 0, nil, 0},
	{"short segments", 4, 2, 24, segments(5, 30, 1, 12, 13, 64, 3), 0, nil, 0},
	{"padding", 2, 1, 33, append(segments(20), 20, 21, 22, 23), 0, nil, 0},
	{"groups", 6, 2, 64, segments(67, 31), 0, nil, 0},
	{"window", 2, 2, 40, window(100, 33), 0, nil, 0},
	{"one query on a cache", 4, 2, 24, []int32{0}, 77, nil, 0},
	{"queries on a cache", 4, 2, 24, []int32{0, 0, 3, 0, 0, 9, 0, 2}, 50, nil, 0},
	{"cached segments", 2, 1, 16, []int32{10, 10, 10, 43, 44, 44, 44}, 40, nil, 0},
	{"both ways, few rows", 2, 1, 8, segments(3), 0, ends(3), 0},
	{"both ways, a long segment", 2, 2, 16, segments(100), 0, ends(100), 0},
	{"both ways, short segments", 4, 2, 24, segments(5, 30, 1, 12, 13, 64, 3), 0, ends(5, 30, 1, 12, 13, 64, 3), 0},
	{"both ways, padding", 2, 1, 33, append(segments(20), 20, 21, 22), 0, append(ends(20), 21, 22, 23), 0},
	{"both ways, window", 2, 2, 12, window(130, 20), 0, ahead(130, 30), 0},
	{"both ways, an early row sees all", 1, 1, 8, segments(100), 0, append([]int32{100}, ahead(100, 1)[1:]...), 0},
	{"capped", 4, 2, 24, segments(30, 5, 20), 0, nil, 1.5},
	{"capped window", 2, 1, 40, window(90, 17), 0, nil, 0.7},
	{"capped queries on a cache", 2, 1, 8, []int32{0, 0, 3, 0, 0, 9}, 30, nil, 2},
	{"capped both ways", 2, 1, 16, segments(70, 9), 0, ends(70, 9), 1.5},
}

func (c attentionCase) shape() compute.AttentionShape {
	return compute.AttentionShape{Heads: c.heads, KVHeads: c.kvHeads, HeadDim: c.headDim, Scale: 0.3, From: c.from, To: c.to, KeyOffset: c.offset, SoftCap: c.softCap}
}

func TestAttention(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, c := range attentionCases {
			t.Run(c.name, func(t *testing.T) {
				r, n, keys := random(), len(c.from), len(c.from)+c.offset
				q, k, v := randomMat(r, n, c.heads*c.headDim), randomMat(r, keys, c.kvHeads*c.headDim), randomMat(r, keys, c.kvHeads*c.headDim)
				out, lse := randomMat(r, n, c.heads*c.headDim), randomMat(r, n, c.heads)
				want, wantLSE := attentionRef(doubles(valuesOf(t, q)), doubles(valuesOf(t, k)), doubles(valuesOf(t, v)), c.shape())
				d.Attention(out, lse, q, k, v, c.shape())
				near(t, "out", valuesOf(t, out), want, 3e-6, 3e-6)
				near(t, "logsumexp", valuesOf(t, lse), wantLSE, 3e-6, 3e-6)
			})
		}
	})
}

func TestAttentionGrad(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, c := range attentionCases {
			if c.headDim*len(c.from) > 1700 {
				continue // finite differences take long
			}
			t.Run(c.name, func(t *testing.T) { testAttentionGrad(t, d, c) })
		}
	})
}

func testAttentionGrad(t *testing.T, d *Device, c attentionCase) {
	r, n, keys := random(), len(c.from), len(c.from)+c.offset
	mats := map[string]compute.Mat{}
	for _, name := range []string{"q", "dq", "out", "dout"} {
		mats[name] = randomMat(r, n, c.heads*c.headDim)
	}
	for _, name := range []string{"k", "v", "dk", "dv"} {
		mats[name] = randomMat(r, keys, c.kvHeads*c.headDim)
	}
	lse := randomMat(r, n, c.heads)
	q, k, v := doubles(valuesOf(t, mats["q"])), doubles(valuesOf(t, mats["k"])), doubles(valuesOf(t, mats["v"]))
	dout := valuesOf(t, mats["dout"])
	loss := func() float64 {
		out, _ := attentionRef(q, k, v, c.shape())
		return weighted(out, dout)
	}
	d.Attention(mats["out"], lse, mats["q"], mats["k"], mats["v"], c.shape())
	d.AttentionGrad(mats["dq"], mats["dk"], mats["dv"], mats["dout"], mats["out"], lse, mats["q"], mats["k"], mats["v"], c.shape())
	for name, x := range map[string][]float64{"dq": q, "dk": k, "dv": v} {
		got := valuesOf(t, mats[name])
		for range min(8, len(x)) { // some of them, as each costs a whole attention twice
			i := r.IntN(len(x))
			near(t, fmt.Sprintf("%s value %d", name, i), got[i:i+1], []float64{slope(&x[i], loss)}, 1e-5, 1e-5)
		}
	}
}

// What a segment gives and gets does not depend on what it is packed with.
func TestPackedAttentionIsUnpackedAttention(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		const heads, kvHeads, headDim, total = 4, 2, 24, 90
		wide, narrow := heads*headDim, kvHeads*headDim
		run := func(q, k, v, dout compute.Mat, from []int32) (all [4][]float32) {
			s := compute.AttentionShape{Heads: heads, KVHeads: kvHeads, HeadDim: headDim, Scale: 0.2, From: from}
			out, lse, dq := randomMat(r, q.Rows, wide), randomMat(r, q.Rows, heads), randomMat(r, q.Rows, wide)
			dk, dv := randomMat(r, q.Rows, narrow), randomMat(r, q.Rows, narrow)
			d.Attention(out, lse, q, k, v, s)
			d.AttentionGrad(dq, dk, dv, dout, out, lse, q, k, v, s)
			return [4][]float32{valuesOf(t, out), valuesOf(t, dq), valuesOf(t, dk), valuesOf(t, dv)}
		}
		q, k, v, dout := randomMat(r, total, wide), randomMat(r, total, narrow), randomMat(r, total, narrow), randomMat(r, total, wide)
		packed := run(q, k, v, dout, segments(5, 40, 17, 28))
		first := 0
		for _, n := range []int{5, 40, 17, 28} {
			alone := run(q.RowRange(first, first+n), k.RowRange(first, first+n), v.RowRange(first, first+n), dout.RowRange(first, first+n), segments(n))
			for i, name := range []string{"out", "dq", "dk", "dv"} {
				width := len(alone[i]) / n
				near(t, fmt.Sprintf("%s of rows from %d", name, first), alone[i], doubles(packed[i][first*width:(first+n)*width]), 1e-6, 1e-6)
			}
			first += n
		}
	})
}

// A key that no query may see has no effect, whatever it holds.
func TestAttentionDoesNotLookAhead(t *testing.T) {
	d, r := parallelDevice(2), random()
	s := compute.AttentionShape{Heads: 1, KVHeads: 1, HeadDim: 8, Scale: 1, From: segments(70)}
	q, k, v := randomMat(r, 70, 8), randomMat(r, 70, 8), randomMat(r, 70, 8)
	out, lse := randomMat(r, 70, 8), randomMat(r, 70, 1)
	d.Attention(out, lse, q, k, v, s)
	before := valuesOf(t, out)
	for _, m := range []compute.Mat{k, v} {
		d.Scale(m.RowRange(50, 70), -3)
	}
	d.Attention(out, lse, q, k, v, s)
	near(t, "the first 50 rows", valuesOf(t, out)[:50*8], doubles(before[:50*8]), 0, 0)
}

func TestAttentionThreadsGiveTheSameBytes(t *testing.T) {
	for _, c := range []attentionCase{
		{"causal", 6, 2, 24, segments(70, 20, 1, 1, 33), 0, nil, 0.5},
		{"both ways", 6, 2, 24, segments(70, 20, 1, 1, 33), 0, ends(70, 20, 1, 1, 33), 0},
	} {
		t.Run(c.name, func(t *testing.T) { testAttentionThreads(t, c) })
	}
}

func testAttentionThreads(t *testing.T, c attentionCase) {
	run := func(threads int) []float32 {
		d, r, n := parallelDevice(threads), random(), len(c.from)
		q, k, v := randomMat(r, n, c.heads*c.headDim), randomMat(r, n, c.kvHeads*c.headDim), randomMat(r, n, c.kvHeads*c.headDim)
		out, lse, dq := randomMat(r, n, c.heads*c.headDim), randomMat(r, n, c.heads), randomMat(r, n, c.heads*c.headDim)
		dk, dv := randomMat(r, n, c.kvHeads*c.headDim), randomMat(r, n, c.kvHeads*c.headDim)
		d.Attention(out, lse, q, k, v, c.shape())
		d.AttentionGrad(dq, dk, dv, q, out, lse, q, k, v, c.shape())
		var all []float32
		for _, m := range []compute.Mat{out, lse, dq, dk, dv} {
			all = append(all, valuesOf(t, m)...)
		}
		return all
	}
	want := run(1)
	for _, threads := range []int{2, 3} {
		near(t, fmt.Sprintf("%d threads", threads), run(threads), doubles(want), 0, 0)
	}
}

func TestAttentionShapesThatDoNotFitPanic(t *testing.T) {
	d, r := New(1), random()
	q, k, lse := randomMat(r, 4, 8), randomMat(r, 4, 4), randomMat(r, 4, 2)
	for name, s := range map[string]compute.AttentionShape{
		"From ahead":    {Heads: 2, KVHeads: 1, HeadDim: 4, From: []int32{0, 2, 0, 0}},
		"From negative": {Heads: 2, KVHeads: 1, HeadDim: 4, From: []int32{0, -1, 0, 0}},
		"too few From":  {Heads: 2, KVHeads: 1, HeadDim: 4, From: []int32{0, 0, 0}},
		"heads":         {Heads: 2, KVHeads: 0, HeadDim: 4, From: []int32{0, 0, 0, 0}},
		"keys":          {Heads: 2, KVHeads: 1, HeadDim: 4, From: []int32{0, 0, 0, 0}, KeyOffset: 1},
		"width":         {Heads: 2, KVHeads: 1, HeadDim: 3, From: []int32{0, 0, 0, 0}},
		"To behind":     {Heads: 2, KVHeads: 1, HeadDim: 4, From: []int32{0, 0, 0, 0}, To: []int32{4, 1, 4, 4}},
		"To outside":    {Heads: 2, KVHeads: 1, HeadDim: 4, From: []int32{0, 0, 0, 0}, To: []int32{4, 5, 4, 4}},
		"too few To":    {Heads: 2, KVHeads: 1, HeadDim: 4, From: []int32{0, 0, 0, 0}, To: []int32{4, 4, 4}},
	} {
		mustPanic(t, name, func() { d.Attention(q, lse, q, k, k, s) })
	}
}

// Spans of AttentionGrad are done at the same time: none may see a key of another.
func TestSpansShareNoKeys(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to []int32
		spans    int
	}{
		{"one long segment", segments(300), nil, 1},
		{"segments", segments(20, 30, 100, 13), nil, 4},
		{"segments too short for blocks of their own", segments(slices.Repeat([]int{4}, 9)...), nil, 3},
		{"window", window(200, 40), nil, 1},
		{"padding", append(segments(40), 40, 41, 42, 43), nil, 2},
		{"a late row that sees all", append(segments(20, 30), 0), nil, 1},
		{"both ways", segments(20, 30, 100, 13), ends(20, 30, 100, 13), 4},
		{"an early row that sees all", segments(20, 30, 100, 13), append([]int32{163}, ends(20, 30, 100, 13)[1:]...), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &attention{AttentionShape: compute.AttentionShape{From: c.from, To: c.to}, k: view{rows: len(c.from)}}
			a.cut()
			spans := a.spans()
			if len(spans) != c.spans {
				t.Errorf("%d spans, want %d: %v", len(spans), c.spans, spans)
			}
			owner, rows := make([]int, len(c.from)), 0
			for s, span := range spans {
				for _, b := range span {
					rows += b.to - b.from
					for i := b.from; i < b.to; i++ {
						if int(c.from[i]) < b.first || a.end(i) > b.last {
							t.Errorf("row %d sees keys outside of its block %v", i, b)
						}
					}
					for j := b.first; j < b.last; j++ {
						if owner[j] != 0 && owner[j] != s+1 {
							t.Fatalf("key %d is of spans %d and %d", j, owner[j]-1, s)
						}
						owner[j] = s + 1
					}
				}
			}
			if rows != len(c.from) {
				t.Errorf("%d rows in spans, want %d", rows, len(c.from))
			}
		})
	}
}

// Parts share the blocks of a span, and their sums hold all keys of theirs.
func TestGradPartsDoEveryStepOnce(t *testing.T) {
	for name, from := range map[string][]int32{
		"one row": segments(1), "one long segment": segments(700), "window": window(500, 40),
		"segments": segments(20, 300, 100, 13), "many": segments(slices.Repeat([]int{20}, 30)...),
	} {
		for _, heads := range [][2]int{{1, 1}, {9, 3}, {8, 1}, {16, 16}} {
			n := len(from)
			k := view{rows: n, cols: heads[1] * 8, stride: heads[1] * 8}
			a := &attention{AttentionShape: compute.AttentionShape{From: from, Heads: heads[0], KVHeads: heads[1], HeadDim: 8}, k: k}
			a.cut()
			g := attentionGrad{attention: a, dk: k, dv: k}
			steps, first := map[queryBlock]int{}, map[queryBlock]int{}
			parts := g.parts(New(1))
			for _, p := range parts {
				if p.from >= p.to {
					t.Errorf("%s: steps %d to %d", name, p.from, p.to)
				}
				for i := p.from; i < p.to; i++ {
					b := p.blocks[i%len(p.blocks)]
					steps[b]++
					if b.first < p.first || b.last > p.first+p.keys {
						t.Errorf("%s: block %v with sums of keys %d to %d", name, b, p.first, p.first+p.keys)
					}
				}
				if p.sums == nil {
					first[p.blocks[0]]++
				} else if len(p.sums) != 2*p.keys*k.cols {
					t.Errorf("%s: %d sums for %d rows", name, len(p.sums), p.keys)
				}
			}
			for _, b := range a.blocks {
				if steps[b] != heads[0]/heads[1] {
					t.Errorf("%s, heads %v: block %v done %d times", name, heads, b, steps[b])
				}
			}
			for b, n := range first {
				if n != 1 {
					t.Errorf("%s: %d parts add to the result itself from block %v on", name, n, b)
				}
			}
			if pieces := len(parts) * heads[1]; 2*pieces < min(gradPieces, len(a.blocks)*heads[0]) {
				t.Errorf("%s, heads %v: %d pieces of %d blocks", name, heads, pieces, len(a.blocks))
			}
		}
	}
}
