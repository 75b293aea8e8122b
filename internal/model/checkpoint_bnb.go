package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"
)

// bnbScheme is bitsandbytes as transformers saves it: 4-bit numbers with a
// quant_state beside them (functional.py), or LLM.int8's with a scale for each row.
type bnbScheme struct{}

const bnbState = ".weight.quant_state.bitsandbytes__" // and then nf4 or fp4

func parseBitsAndBytes(raw []byte) (scheme, error) {
	var f struct {
		In4Bit bool `json:"load_in_4bit"`
		In8Bit bool `json:"load_in_8bit"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	if f.In4Bit == f.In8Bit {
		return nil, fmt.Errorf("load_in_4bit and load_in_8bit are both %v", f.In4Bit)
	}
	if f.In4Bit {
		return &bnbScheme{}, nil
	}
	return int8Scheme{}, nil
}

func (s *bnbScheme) marks() []string { return []string{bnbState + "nf4", bnbState + "fp4"} }

func (s *bnbScheme) suffixes() []string {
	return []string{".weight", ".weight.absmax", ".weight.quant_map", ".weight.nested_absmax", ".weight.nested_quant_map"}
}

// bnbQuantState is the JSON in a quant_state tensor.
type bnbQuantState struct {
	Type         string   `json:"quant_type"`
	Block        int      `json:"blocksize"`
	Shape        []int    `json:"shape"`
	NestedBlock  *int     `json:"nested_blocksize"`
	NestedOffset *float32 `json:"nested_offset"`
}

// bnbMaps are the values of the codes: the kernels of bitsandbytes have them,
// and a file's map that differs is of another format. That of fp4 is a sign and
// two bits of exponent and one of fraction, over 12.
var bnbMaps = map[string][16]float32{
	"nf4": compute.NF4Map,
	"fp4": {0, 0.0625 / 12, 8.0 / 12, 1, 4.0 / 12, 6.0 / 12, 2.0 / 12, 3.0 / 12,
		0, -0.0625 / 12, -8.0 / 12, -1, -4.0 / 12, -6.0 / 12, -2.0 / 12, -3.0 / 12},
}

// bnbMatrix is a matrix of 4-bit codes. Its scales are absmax, or if that is nil
// data has them.
type bnbMatrix struct {
	name    string
	out, in int
	block   int
	absmax  []float32
	data    compute.NF4Data
}

func (s *bnbScheme) matrix(f tensorFile, module string, out, in int) (storedMatrix, error) {
	mark := markOf(s, f, module)
	state, err := readQuantState(f, module+mark)
	if err != nil {
		return nil, err
	}
	if err := state.check(strings.TrimPrefix(mark, bnbState), out, in); err != nil {
		return nil, fmt.Errorf("tensor %s%s: %w", module, mark, err)
	}
	name := module + ".weight"
	m := &bnbMatrix{name: name, out: out, in: in, block: state.Block}
	if m.data.Codes, err = bnbCodes(f, name, out*in); err != nil {
		return nil, err
	}
	if m.data.QuantMap, err = floats(f, name+".quant_map", []int{16}); err != nil {
		return nil, err
	}
	for i, want := range bnbMaps[state.Type] {
		if !(math.Abs(float64(m.data.QuantMap[i]-want)) <= 1e-6) {
			return nil, fmt.Errorf("tensor %s.quant_map: value %d is %v, that of %s is %v", name, i, m.data.QuantMap[i], state.Type, want)
		}
	}
	_, blocks := pieces(out*in, state.Block)
	if state.NestedBlock == nil {
		m.absmax, err = floats(f, name+".absmax", []int{blocks})
		return m, err
	}
	return m, m.readNested(f, state, blocks)
}

// readNested reads scales that are codes with scales themselves.
func (m *bnbMatrix) readNested(f tensorFile, state *bnbQuantState, blocks int) (err error) {
	d := &m.data
	if d.Absmax, err = shapedBytes(f, m.name+".absmax", []safetensors.Dtype{safetensors.U8}, []int{blocks}); err != nil {
		return err
	}
	_, nested := pieces(blocks, *state.NestedBlock)
	if d.NestedAbsmax, err = floats(f, m.name+".nested_absmax", []int{nested}); err != nil {
		return err
	}
	if d.NestedMap, err = floats(f, m.name+".nested_quant_map", []int{256}); err != nil {
		return err
	}
	d.NestedOffset = *state.NestedOffset
	if m.block == compute.NF4Block && *state.NestedBlock == compute.NF4Nested {
		return nil
	}
	m.absmax = make([]float32, blocks)
	for i, code := range d.Absmax {
		product := d.NestedMap[code] * d.NestedAbsmax[i / *state.NestedBlock]
		m.absmax[i] = float32(product) + d.NestedOffset
	}
	return nil
}

func readQuantState(f tensorFile, name string) (*bnbQuantState, error) {
	info, ok := f.Info(name)
	if !ok || info.Dtype != safetensors.U8 || info.Size > maxConfigBytes {
		return nil, fmt.Errorf("tensor %s has type %s and %d bytes, want some U8", name, info.Dtype, info.Size)
	}
	data, err := f.Bytes(name)
	if err != nil {
		return nil, err
	}
	state := &bnbQuantState{}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(state); err != nil {
		return nil, fmt.Errorf("tensor %s: %w", name, err)
	}
	return state, nil
}

func (q *bnbQuantState) check(kind string, out, in int) error {
	switch {
	case q.Type != kind:
		return fmt.Errorf("quant_type %q, the tensor's name ends in %s", q.Type, kind)
	case q.Block < 2 || q.Block > 1<<20 || q.Block&(q.Block-1) != 0:
		return fmt.Errorf("blocksize %d: want a power of two", q.Block)
	case !slices.Equal(q.Shape, []int{out, in}):
		return fmt.Errorf("shape %v, the configuration wants [%d %d]", q.Shape, out, in)
	case (q.NestedBlock == nil) != (q.NestedOffset == nil):
		return fmt.Errorf("one of nested_blocksize and nested_offset is missing")
	case q.NestedBlock != nil && (*q.NestedBlock < 1 || *q.NestedBlock > 1<<20):
		return fmt.Errorf("nested_blocksize %d: want a positive number", *q.NestedBlock)
	}
	return nil
}

// bnbCodes are the bytes of n codes, in a tensor of any type: bnb_4bit_quant_storage.
func bnbCodes(f tensorFile, name string, n int) ([]byte, error) {
	data, err := f.Bytes(name)
	if err == nil && len(data) != (n+1)/2 {
		err = fmt.Errorf("tensor %s has %d bytes, %d codes of 4 bits take %d", name, len(data), n, (n+1)/2)
	}
	return data, err
}

// format is NF4 for scales as QLoRA has them, which stay as they are stored. Rows
// that are no multiple of what is read at a time become F32.
func (m *bnbMatrix) format() compute.Format {
	switch {
	case m.in%compute.TABLE4.BlockValues() != 0:
		return compute.F32
	case m.absmax == nil:
		return compute.NF4
	case m.block%compute.NF4Block == 0:
		return compute.TABLE4
	default:
		return compute.F32
	}
}

func (m *bnbMatrix) weight() (*compute.Weight, error) {
	var w *compute.Weight
	var err error
	switch m.format() {
	case compute.NF4:
		w, err = compute.NewNF4Weight(m.out, m.in, m.data)
	case compute.TABLE4:
		scales := m.absmax
		if m.block != compute.NF4Block {
			scales = make([]float32, (m.out*m.in+compute.NF4Block-1)/compute.NF4Block)
			for i := range scales {
				scales[i] = m.absmax[i*compute.NF4Block/m.block]
			}
		}
		w, err = compute.NewTable4Weight(m.out, m.in, compute.Table4Data{Codes: m.data.Codes, Table: m.data.QuantMap, Scales: scales})
	default:
		w, err = m.expanded()
	}
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", m.name, err)
	}
	return w, nil
}

// expanded is the matrix in float32.
func (m *bnbMatrix) expanded() (*compute.Weight, error) {
	data := make([]byte, 4*m.out*m.in)
	eachRowSpan(m.out, func(from, to int) {
		for i := from * m.in; i < to*m.in; i++ {
			code := m.data.Codes[i/2] >> (4 - i%2*4) & 15
			binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(m.data.QuantMap[code]*m.scale(i/m.block)))
		}
	})
	return compute.NewWeight(compute.F32, m.out, m.in, data)
}

func (m *bnbMatrix) scale(block int) float32 {
	if m.absmax != nil {
		return m.absmax[block]
	}
	product := m.data.NestedMap[m.data.Absmax[block]] * m.data.NestedAbsmax[block/compute.NF4Nested]
	return float32(product) + m.data.NestedOffset
}

// int8Scheme is LLM.int8: signed bytes, and the largest magnitude of each row,
// which 127 stands for.
type int8Scheme struct{}

func (int8Scheme) marks() []string    { return []string{".SCB"} }
func (int8Scheme) suffixes() []string { return []string{".weight", ".weight_format"} }

func (int8Scheme) matrix(f tensorFile, module string, out, in int) (storedMatrix, error) {
	c := &codes{name: module + ".weight", out: out, in: in, groups: 1, size: in}
	data, err := shapedBytes(f, c.name, []safetensors.Dtype{safetensors.I8}, []int{out, in})
	if err != nil {
		return nil, err
	}
	c.setBytes(data)
	if c.scales, err = floats(f, module+".SCB", []int{out}); err != nil {
		return nil, err
	}
	for i, v := range c.scales {
		c.scales[i] = v * (1.0 / 127)
	}
	if _, ok := f.Info(module + ".weight_format"); ok {
		order, err := shapedBytes(f, module+".weight_format", []safetensors.Dtype{safetensors.U8}, []int{}, []int{1})
		if err != nil {
			return nil, err
		}
		if order[0] != 0 {
			return nil, fmt.Errorf("tensor %s.weight_format is %d: supported is 0, row by row", module, order[0])
		}
	}
	return c, nil
}
