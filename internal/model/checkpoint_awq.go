package model

import (
	"encoding/json"
	"fmt"
	"strings"
)

// awqScheme is AWQ as AutoAWQ stores it for its GEMM kernels
// (linear/gemm.py): 4 bits, packed along the outputs in words whose values are
// in an order of their own, for weights and zero points alike.
type awqScheme struct{ groupSize int }

// awqOrder is where the eight values of a word are in it.
var awqOrder = [8]int{0, 4, 1, 5, 2, 6, 3, 7}

func parseAWQ(raw []byte) (scheme, error) {
	var f struct {
		Bits      *int   `json:"bits"`
		WBit      *int   `json:"w_bit"`
		GroupSize *int   `json:"group_size"`
		QGroup    *int   `json:"q_group_size"`
		Version   string `json:"version"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	bits, size := or(f.Bits, or(f.WBit, 0)), or(f.GroupSize, or(f.QGroup, -1))
	switch {
	case bits != 4:
		return nil, fmt.Errorf("bits %d: supported in awq is 4", bits)
	case size == 0 || size < -1:
		return nil, fmt.Errorf("group_size %d: want a positive number, or -1 for all inputs", size)
	case f.Version != "" && !strings.EqualFold(f.Version, "gemm"):
		return nil, fmt.Errorf("version %q: supported in awq is gemm", f.Version)
	}
	return &awqScheme{size}, nil
}

func (s *awqScheme) marks() []string    { return []string{".qweight"} }
func (s *awqScheme) suffixes() []string { return []string{".qzeros", ".scales"} }

func (s *awqScheme) matrix(f tensorFile, module string, out, in int) (storedMatrix, error) {
	c := &codes{name: module + ".qweight", out: out, in: in}
	c.size, c.groups = pieces(in, s.groupSize)
	if out%8 != 0 || in%c.size != 0 {
		return nil, fmt.Errorf("tensor %s: a (%d, %d) matrix in groups of %d: want a multiple of 8 rows and whole groups", c.name, out, in, c.size)
	}
	words, err := shapedBytes(f, c.name, int32Type, []int{in, out / 8})
	if err != nil {
		return nil, err
	}
	zeroWords, err := shapedBytes(f, module+".qzeros", int32Type, []int{c.groups, out / 8})
	if err != nil {
		return nil, err
	}
	scales, err := floats(f, module+".scales", []int{c.groups, out})
	if err != nil {
		return nil, err
	}
	c.scales = transposed(scales, c.groups, out)
	values := packed{words: words, bits: 4, lineStride: out / 8, wordStride: 1, order: &awqOrder}
	zeros := values
	zeros.words = zeroWords
	c.setZeros(15, func(o, g int) int { return zeros.at(g, o) })
	c.row = values.across
	return c, nil
}
