package model

import (
	"encoding/json"
	"fmt"
	"slices"
)

// gptqScheme is GPTQ as AutoGPTQ and GPTQModel store it (qlinear_torch.py):
// packed along the inputs, zero points along the outputs, scales (groups,out).
type gptqScheme struct {
	bits, groupSize int
	zeroBelow       int // 1 in the first version of the format, which stores zero points less one
}

func parseGPTQ(raw []byte) (scheme, error) {
	var f struct {
		Bits      int             `json:"bits"`
		GroupSize *int            `json:"group_size"`
		Format    string          `json:"checkpoint_format"`
		Newer     string          `json:"format"`
		Marlin    bool            `json:"is_marlin_format"`
		PackDtype string          `json:"pack_dtype"`
		Dynamic   json.RawMessage `json:"dynamic"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	if f.Format == "" {
		f.Format = f.Newer
	}
	s := &gptqScheme{bits: f.Bits, groupSize: or(f.GroupSize, -1)}
	switch {
	case !slices.Contains([]int{2, 3, 4, 8}, f.Bits):
		return nil, fmt.Errorf("bits %d: supported in gptq are 2, 3, 4 and 8", f.Bits)
	case s.groupSize == 0 || s.groupSize < -1:
		return nil, fmt.Errorf("group_size %d: want a positive number, or -1 for all inputs", s.groupSize)
	case f.Marlin:
		return nil, fmt.Errorf("is_marlin_format is not supported")
	case f.PackDtype != "" && f.PackDtype != "int32":
		return nil, fmt.Errorf("pack_dtype %q is not supported", f.PackDtype)
	case !absent(f.Dynamic):
		return nil, fmt.Errorf("dynamic: settings by module are not supported")
	}
	switch f.Format {
	case "", "gptq":
		s.zeroBelow = 1
	case "gptq_v2":
	default:
		return nil, fmt.Errorf("checkpoint_format %q: supported are gptq and gptq_v2", f.Format)
	}
	return s, nil
}

func (s *gptqScheme) marks() []string    { return []string{".qweight"} }
func (s *gptqScheme) suffixes() []string { return []string{".qzeros", ".scales", ".g_idx"} }

// matrix reads zero points modulo 2^bits, as AutoGPTQ does: in the first version
// 0 is stored as the largest number.
func (s *gptqScheme) matrix(f tensorFile, module string, out, in int) (storedMatrix, error) {
	c := &codes{name: module + ".qweight", out: out, in: in}
	c.size, c.groups = pieces(in, s.groupSize)
	if in*s.bits%32 != 0 || out*s.bits%32 != 0 {
		return nil, fmt.Errorf("tensor %s: a (%d, %d) matrix of %d bits does not fill whole words", c.name, out, in, s.bits)
	}
	inWords, outWords := in*s.bits/32, out*s.bits/32
	words, err := shapedBytes(f, c.name, int32Type, []int{inWords, out})
	if err != nil {
		return nil, err
	}
	zeroWords, err := shapedBytes(f, module+".qzeros", int32Type, []int{c.groups, outWords})
	if err != nil {
		return nil, err
	}
	scales, err := floats(f, module+".scales", []int{c.groups, out})
	if err != nil {
		return nil, err
	}
	if c.group, err = groupIndex(f, module+".g_idx", in, c.groups); err != nil {
		return nil, err
	}
	c.scales = transposed(scales, c.groups, out)
	most := 1<<s.bits - 1
	zeros := packed{words: zeroWords, bits: s.bits, lineStride: outWords, wordStride: 1, stream: true}
	c.setZeros(most, func(o, g int) int { return (zeros.at(g, o) + s.zeroBelow) & most })
	values := packed{words: words, bits: s.bits, lineStride: 1, wordStride: out, stream: true}
	c.row = values.line
	return c, nil
}
