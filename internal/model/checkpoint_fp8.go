package model

import (
	"encoding/json"
	"fmt"

	"github.com/retort-ml/retort/internal/safetensors"
)

// fp8Scheme is transformers' own FP8: numbers in E4M3, and a scale for each
// block of the matrix, which multiplies them whatever its name says.
type fp8Scheme struct{ rows, columns int } // of a block

func parseFP8(raw []byte) (scheme, error) {
	var f struct {
		Block  []int  `json:"weight_block_size"`
		Format string `json:"fmt"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	if f.Format != "" && f.Format != "e4m3" {
		return nil, fmt.Errorf("fmt %q: supported is e4m3", f.Format)
	}
	if len(f.Block) != 2 || f.Block[0] < 1 || f.Block[1] < 1 {
		return nil, fmt.Errorf("weight_block_size %v: want two positive numbers", f.Block)
	}
	return &fp8Scheme{f.Block[0], f.Block[1]}, nil
}

func (s *fp8Scheme) marks() []string    { return []string{".weight_scale_inv"} }
func (s *fp8Scheme) suffixes() []string { return []string{".weight", ".input_scale"} }

func (s *fp8Scheme) matrix(f tensorFile, module string, out, in int) (storedMatrix, error) {
	c := &codes{name: module + ".weight", out: out, in: in}
	c.size, c.groups = pieces(in, s.columns)
	data, err := shapedBytes(f, c.name, []safetensors.Dtype{safetensors.F8E4M3}, []int{out, in})
	if err != nil {
		return nil, err
	}
	c.setFloats(data)
	height, rows := pieces(out, s.rows)
	stored, err := floats(f, module+".weight_scale_inv", []int{rows, c.groups})
	if err != nil {
		return nil, err
	}
	c.spreadScales(stored, height)
	return c, nil
}
