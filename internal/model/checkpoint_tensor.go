package model

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"
)

// shapedBytes returns the bytes of a tensor that must have one of the dtypes
// and shapes.
func shapedBytes(f tensorFile, name string, dtypes []safetensors.Dtype, shapes ...[]int) ([]byte, error) {
	info, ok := f.Info(name)
	if !ok {
		return nil, fmt.Errorf("tensor %s is missing", name)
	}
	if !slices.Contains(dtypes, info.Dtype) {
		return nil, fmt.Errorf("tensor %s has type %s, want %s", name, info.Dtype, dtypes)
	}
	if !slices.ContainsFunc(shapes, func(shape []int) bool { return equalShape(shape, info.Shape) }) {
		return nil, fmt.Errorf("tensor %s has shape %v, the configuration wants %v", name, info.Shape, shapes[0])
	}
	return f.Bytes(name)
}

var (
	floatTypes = []safetensors.Dtype{safetensors.F16, safetensors.BF16, safetensors.F32}
	int32Type  = []safetensors.Dtype{safetensors.I32}
)

// floats returns a tensor of floating-point numbers as float32.
func floats(f tensorFile, name string, shapes ...[]int) ([]float32, error) {
	data, err := shapedBytes(f, name, floatTypes, shapes...)
	if err != nil {
		return nil, err
	}
	info, _ := f.Info(name)
	values := make([]float32, len(data)/info.Dtype.Size())
	compute.Dequantize(formats[info.Dtype], values, data)
	for i, v := range values {
		if v-v != 0 {
			return nil, fmt.Errorf("tensor %s: element %d is %v", name, i, v)
		}
	}
	return values, nil
}

// groupIndex returns the group of each of in columns, which name holds, and nil
// if it is absent. Nothing but −1 stands for none too.
func groupIndex(f tensorFile, name string, in, groups int) ([]int32, error) {
	if _, ok := f.Info(name); !ok {
		return nil, nil
	}
	data, err := shapedBytes(f, name, int32Type, []int{in})
	if err != nil {
		return nil, err
	}
	index, unset := make([]int32, in), 0
	for i := range index {
		index[i] = int32(binary.LittleEndian.Uint32(data[4*i:]))
		switch {
		case index[i] == -1:
			unset++
		case index[i] < 0 || int(index[i]) >= groups:
			return nil, fmt.Errorf("tensor %s: element %d is %d, there are %d groups", name, i, index[i], groups)
		}
	}
	if unset == in {
		return nil, nil
	}
	if unset > 0 {
		return nil, fmt.Errorf("tensor %s: %d of %d elements are -1", name, unset, in)
	}
	return index, nil
}

// packed are small unsigned numbers in 32-bit words: lines of values, the first
// in the lowest bits.
type packed struct {
	words      []byte // little-endian
	bits       int
	lineStride int     // words from a line to the next
	wordStride int     // words from a word of a line to the next
	stream     bool    // values may reach from one word into the next, as GPTQ has them
	order      *[8]int // where the values of a word are in it; nil if in order
}

// wordsFor returns how many words n values take.
func wordsFor(n, bits int, stream bool) int {
	if stream {
		return (n*bits + 31) / 32
	}
	return (n + 32/bits - 1) / (32 / bits)
}

// at returns value v of a line.
func (p *packed) at(line, v int) int {
	mask := uint32(1)<<p.bits - 1
	if p.stream {
		bit := v * p.bits
		word, shift := bit/32, bit%32
		x := p.word(line, word) >> shift
		if shift+p.bits > 32 {
			x |= p.word(line, word+1) << (32 - shift)
		}
		return int(x & mask)
	}
	perWord := 32 / p.bits
	place := v % perWord
	if p.order != nil {
		place = p.order[place]
	}
	return int(p.word(line, v/perWord) >> (place * p.bits) & mask)
}

// line sets dst to the first values of a line.
func (p *packed) line(dst []int, line int) {
	if 32%p.bits != 0 || p.order != nil {
		for i := range dst {
			dst[i] = p.at(line, i)
		}
		return
	}
	per, mask := 32/p.bits, 1<<p.bits-1
	for i := 0; i < len(dst); i += per {
		x := int(p.word(line, i/per))
		for j := i; j < min(i+per, len(dst)); j++ {
			dst[j] = x & mask
			x >>= p.bits
		}
	}
}

// across sets dst to value v of the first lines. Values must be whole in words.
func (p *packed) across(dst []int, v int) {
	perWord, mask := 32/p.bits, 1<<p.bits-1
	place := v % perWord
	if p.order != nil {
		place = p.order[place]
	}
	for i := range dst {
		dst[i] = int(p.word(i, v/perWord)) >> (place * p.bits) & mask
	}
}

func (p *packed) word(line, i int) uint32 {
	return binary.LittleEndian.Uint32(p.words[4*(line*p.lineStride+i*p.wordStride):])
}

// e4m3 are the values of 8-bit floating-point numbers with 4 bits of exponent
// and 3 of fraction, without infinities (OCP FP8, E4M3).
func e4m3() *[256]float32 {
	var table [256]float32
	for code := range table {
		exponent, fraction := code>>3&15, float64(code&7)
		value := math.Ldexp(8+fraction, exponent-7-3)
		switch {
		case code&127 == 127:
			value = math.NaN()
		case exponent == 0:
			value = math.Ldexp(fraction, 1-7-3)
		}
		if code > 127 {
			value = -value
		}
		table[code] = float32(value)
	}
	return &table
}
