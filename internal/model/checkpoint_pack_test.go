package model_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"
)

// grid is a matrix in small numbers: scale · (code − zero), each of the last two
// by row and group of columns. It is what every integer format says, before it
// says where the bits lie.
type grid struct {
	out, in, bits int
	group         []int // of each column
	groups        int
	codes         [][]int // from 0 on
	zeros         [][]int
	scales        [][]float32
}

// gridOptions say how newGrid rounds. The zero value is 4 bits, symmetric, one
// group, scales in f16.
type gridOptions struct {
	bits, size int   // 0 means 4, and all columns
	asymmetric bool  // zero points at random
	zeros      []int // those there are, in turn
	shuffled   bool  // columns are in groups at random
	tensor     bool  // one scale for all
	round      func(float32) float32
}

func asF16(v float32) float32  { return compute.F16ToF32(compute.F32ToF16(v)) }
func asBF16(v float32) float32 { return compute.BF16ToF32(compute.F32ToBF16(v)) }
func asF32(v float32) float32  { return v }

// newGrid rounds values (out,in) to a grid.
func newGrid(rng *rand.Rand, values []float32, out, in int, o gridOptions) *grid {
	if o.bits == 0 {
		o.bits = 4
	}
	if o.size == 0 {
		o.size = in
	}
	if o.round == nil {
		o.round = asF16
	}
	g := &grid{out: out, in: in, bits: o.bits, groups: (in + o.size - 1) / o.size}
	for i := range in {
		g.group = append(g.group, i/o.size)
	}
	if o.shuffled {
		rng.Shuffle(in, func(i, j int) { g.group[i], g.group[j] = g.group[j], g.group[i] })
	}
	most := 1<<o.bits - 1
	for r := range out {
		row := values[r*in : (r+1)*in]
		largest := make([]float64, g.groups)
		zeros, scales, codes := make([]int, g.groups), make([]float32, g.groups), make([]int, in)
		for i, v := range row {
			largest[g.group[i]] = max(largest[g.group[i]], math.Abs(float64(v)))
		}
		for k := range g.groups {
			zeros[k] = (most + 1) / 2
			if o.asymmetric {
				zeros[k] = max(1, zeros[k]+rng.IntN(most/2+1)-most/4)
			}
			if o.zeros != nil {
				zeros[k] = o.zeros[(r+k)%len(o.zeros)]
			}
			scales[k] = o.round(float32(largest[k]*2/float64(most)) * (1 + rng.Float32()/8))
			if o.tensor {
				scales[k] = o.round(0.01)
			}
		}
		for i, v := range row {
			k := g.group[i]
			codes[i] = min(most, max(0, int(math.Round(float64(v)/float64(scales[k])))+zeros[k]))
		}
		g.codes, g.zeros, g.scales = append(g.codes, codes), append(g.zeros, zeros), append(g.scales, scales)
	}
	return g
}

// values are what the grid stands for.
func (g *grid) values() (all []float32) {
	for r := range g.out {
		for i, code := range g.codes[r] {
			k := g.group[i]
			all = append(all, float32(float64(g.scales[r][k])*float64(code-g.zeros[r][k])))
		}
	}
	return all
}

// words is a matrix of 32-bit words.
type words struct {
	rows, cols int
	w          []uint32
}

func newWords(rows, cols int) *words { return &words{rows, cols, make([]uint32, rows*cols)} }

// put sets bits of word (r,c), from the lowest on.
func (w *words) put(r, c, shift, bits, value int) {
	w.w[r*w.cols+c] |= uint32(value) & (1<<bits - 1) << shift
}

func (w *words) tensor(name string) safetensors.Tensor {
	var data []byte
	for _, v := range w.w {
		data = binary.LittleEndian.AppendUint32(data, v)
	}
	return safetensors.Tensor{Name: name, Dtype: safetensors.I32, Shape: []int{w.rows, w.cols}, Data: data}
}

// floatTensor stores values, by a function of row and column.
func floatTensor(name string, dtype safetensors.Dtype, rows, cols int, at func(r, c int) float32) safetensors.Tensor {
	t := safetensors.Tensor{Name: name, Dtype: dtype, Shape: []int{rows, cols}}
	for r := range rows {
		for c := range cols {
			switch v := at(r, c); dtype {
			case safetensors.F16:
				t.Data = binary.LittleEndian.AppendUint16(t.Data, compute.F32ToF16(v))
			case safetensors.BF16:
				t.Data = binary.LittleEndian.AppendUint16(t.Data, compute.F32ToBF16(v))
			default:
				t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(v))
			}
		}
	}
	return t
}

func byteTensor(name string, dtype safetensors.Dtype, shape []int, data []byte) safetensors.Tensor {
	return safetensors.Tensor{Name: name, Dtype: dtype, Shape: shape, Data: data}
}

func indexTensor(name string, index []int) safetensors.Tensor {
	w := newWords(1, len(index))
	for i, v := range index {
		w.w[i] = uint32(v)
	}
	t := w.tensor(name)
	t.Shape = []int{len(index)}
	return t
}

// putStream writes bit by bit, which is what packing of 3 bits comes to: values
// 10 and 21 of 32 are in two words each.
func putStream(put func(bit, value int), n, bits int, value func(i int) int) {
	for i := range n {
		for b := range bits {
			put(i*bits+b, value(i)>>b&1)
		}
	}
}

// gptq lays out a grid as AutoGPTQ does. below is what zero points are stored
// less by.
func (g *grid) gptq(module string, below int) []safetensors.Tensor {
	q, z := newWords(g.in*g.bits/32, g.out), newWords(g.groups, g.out*g.bits/32)
	for o := range g.out {
		putStream(func(bit, v int) { q.put(bit/32, o, bit%32, 1, v) }, g.in, g.bits, func(i int) int { return g.codes[o][i] })
	}
	for k := range g.groups {
		putStream(func(bit, v int) { z.put(k, bit/32, bit%32, 1, v) }, g.out, g.bits, func(o int) int { return g.zeros[o][k] - below })
	}
	return []safetensors.Tensor{q.tensor(module + ".qweight"), z.tensor(module + ".qzeros"), indexTensor(module+".g_idx", g.group),
		floatTensor(module+".scales", safetensors.F16, g.groups, g.out, func(k, o int) float32 { return g.scales[o][k] })}
}

// awq lays out a grid as AutoAWQ does: the i-th four bits of a word are of
// column order[i] of its eight.
func (g *grid) awq(module string) []safetensors.Tensor {
	order := []int{0, 2, 4, 6, 1, 3, 5, 7}
	q, z := newWords(g.in, g.out/8), newWords(g.groups, g.out/8)
	for word := range g.out / 8 {
		for i, column := range order {
			o := 8*word + column
			for in := range g.in {
				q.put(in, word, 4*i, 4, g.codes[o][in])
			}
			for k := range g.groups {
				z.put(k, word, 4*i, 4, g.zeros[o][k])
			}
		}
	}
	return []safetensors.Tensor{q.tensor(module + ".qweight"), z.tensor(module + ".qzeros"),
		floatTensor(module+".scales", safetensors.F16, g.groups, g.out, func(k, o int) float32 { return g.scales[o][k] })}
}

// pack lays out a grid as compressed-tensors' pack-quantized does.
func (g *grid) pack(module string, scales safetensors.Dtype, zeros, index bool) []safetensors.Tensor {
	per := 32 / g.bits
	q := newWords(g.out, (g.in+per-1)/per)
	z := newWords((g.out+per-1)/per, g.groups)
	for o := range g.out {
		for i, code := range g.codes[o] {
			q.put(o, i/per, i%per*g.bits, g.bits, code)
		}
		for k := range g.groups {
			z.put(o/per, k, o%per*g.bits, g.bits, g.zeros[o][k])
		}
	}
	shape := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(g.out)), uint64(g.in))
	list := []safetensors.Tensor{q.tensor(module + ".weight_packed"), byteTensor(module+".weight_shape", safetensors.I64, []int{2}, shape),
		floatTensor(module+".weight_scale", scales, g.out, g.groups, func(o, k int) float32 { return g.scales[o][k] })}
	if zeros {
		list = append(list, z.tensor(module+".weight_zero_point"))
	}
	if index {
		list = append(list, indexTensor(module+".weight_g_idx", g.group))
	}
	return list
}

// plain lays out a grid of 8 bits as signed bytes.
func (g *grid) plain(module string, scales safetensors.Dtype, rows int) []safetensors.Tensor {
	var data []byte
	for o := range g.out {
		for _, code := range g.codes[o] {
			data = append(data, byte(code-128))
		}
	}
	t := floatTensor(module+".weight_scale", scales, rows, 1, func(o, _ int) float32 { return g.scales[o][0] })
	if rows == 1 {
		t.Shape = []int{1}
	}
	return []safetensors.Tensor{byteTensor(module+".weight", safetensors.I8, []int{g.out, g.in}, data), t}
}
