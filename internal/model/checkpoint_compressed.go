package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/retort-ml/retort/internal/safetensors"
)

// compressedScheme is compressed-tensors, as its pack-quantized and
// naive-quantized compressors write it: packed along the inputs, or one number
// a value; scales (out,groups), (out,1), (1), or one for each block of the matrix.
type compressedScheme struct{ groups []compressedGroup }

// compressedGroup is how the modules that match its targets are stored.
type compressedGroup struct {
	Targets []string           `json:"targets"`
	Weights *compressedWeights `json:"weights"`
	Format  string             `json:"format"`
	Output  json.RawMessage    `json:"output_activations"`

	patterns []*regexp.Regexp // of targets that are one
}

type compressedWeights struct {
	Bits      int    `json:"num_bits"`
	Type      string `json:"type"`
	Symmetric *bool  `json:"symmetric"`
	Strategy  string `json:"strategy"`
	GroupSize *int   `json:"group_size"`
	Block     []int  `json:"block_structure"`
}

func parseCompressed(raw []byte) (scheme, error) {
	var f struct {
		Format    string                     `json:"format"`
		Status    string                     `json:"quantization_status"`
		KVCache   json.RawMessage            `json:"kv_cache_scheme"`
		Transform json.RawMessage            `json:"transform_config"`
		Sparsity  struct{ Format string }    `json:"sparsity_config"`
		Groups    map[string]compressedGroup `json:"config_groups"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	switch {
	case f.Status != "" && f.Status != "compressed":
		return nil, fmt.Errorf("quantization_status %q: supported is compressed", f.Status)
	case !absent(f.KVCache):
		return nil, fmt.Errorf("kv_cache_scheme is not supported")
	case !absent(f.Transform):
		return nil, fmt.Errorf("transform_config is not supported")
	case f.Sparsity.Format != "" && f.Sparsity.Format != "dense":
		return nil, fmt.Errorf("sparsity_config.format %q is not supported", f.Sparsity.Format)
	case len(f.Groups) == 0:
		return nil, fmt.Errorf("config_groups: there are none")
	}
	s := &compressedScheme{}
	for _, name := range slices.Sorted(maps.Keys(f.Groups)) {
		g := f.Groups[name]
		if err := g.check(f.Format); err != nil {
			return nil, fmt.Errorf("config_groups.%s.%w", name, err)
		}
		s.groups = append(s.groups, g)
	}
	return s, nil
}

// check wants a group that can be read; its format is the whole's if it names none.
func (g *compressedGroup) check(format string) error {
	if g.Format == "" {
		g.Format = format
	}
	w := g.Weights
	if w == nil {
		return fmt.Errorf("weights: missing")
	}
	switch g.Format {
	case "pack-quantized":
		if w.Type == "" {
			w.Type = "int"
		}
		if w.Type != "int" || w.Bits < 2 || w.Bits > 8 {
			return fmt.Errorf("weights: %d bits of type %q: supported in %s are 2 to 8 of int", w.Bits, w.Type, g.Format)
		}
	case "int-quantized", "float-quantized", "naive-quantized":
		if w.Type == "" {
			w.Type = "int"
		}
		if !(w.Type == "int" && w.Bits >= 2 && w.Bits <= 8) && !(w.Type == "float" && w.Bits == 8) {
			return fmt.Errorf("weights: %d bits of type %q: supported in %s are 2 to 8 of int and 8 of float", w.Bits, w.Type, g.Format)
		}
	default:
		return fmt.Errorf("format %q: supported are pack-quantized, int-quantized, float-quantized and naive-quantized", g.Format)
	}
	switch w.Strategy {
	case "":
		w.Strategy = "tensor"
		if or(w.GroupSize, -1) > 0 {
			w.Strategy = "group"
		}
	case "tensor", "channel":
	case "group":
		if or(w.GroupSize, 0) < 1 {
			return fmt.Errorf("weights.group_size: want a positive number for strategy group")
		}
	case "block":
		if len(w.Block) != 2 || w.Block[0] < 1 || w.Block[1] < 1 {
			return fmt.Errorf("weights.block_structure %v: want two positive numbers", w.Block)
		}
	default:
		return fmt.Errorf("weights.strategy %q: supported are tensor, channel, group and block", w.Strategy)
	}
	if !absent(g.Output) {
		return fmt.Errorf("output_activations is not supported")
	}
	return g.compile()
}

func (g *compressedGroup) compile() error {
	for _, target := range g.Targets {
		if expression, ok := strings.CutPrefix(target, "re:"); ok {
			p, err := regexp.Compile("^(?:" + expression + ")") // as Python's match
			if err != nil {
				return fmt.Errorf("targets %q: %w", target, err)
			}
			g.patterns = append(g.patterns, p)
		}
	}
	return nil
}

// groupOf finds the group of a module: one that names it or has a pattern for
// it, or else one for all linear layers.
func (s *compressedScheme) groupOf(module string) (*compressedGroup, error) {
	for i := range s.groups {
		g := &s.groups[i]
		if slices.Contains(g.Targets, module) || slices.ContainsFunc(g.patterns, func(p *regexp.Regexp) bool { return p.MatchString(module) }) {
			return g, nil
		}
	}
	for i := range s.groups {
		if slices.Contains(s.groups[i].Targets, "Linear") {
			return &s.groups[i], nil
		}
	}
	return nil, fmt.Errorf("module %s is quantized, and no target of quantization_config.config_groups is for it", module)
}

func (s *compressedScheme) marks() []string { return []string{".weight_scale"} }

// suffixes has scales and zero points of activations: they are for computing
// with rounded ones.
func (s *compressedScheme) suffixes() []string {
	return []string{".weight", ".weight_packed", ".weight_shape", ".weight_zero_point", ".weight_g_idx", ".input_scale", ".input_zero_point"}
}

func (s *compressedScheme) matrix(f tensorFile, module string, out, in int) (storedMatrix, error) {
	g, err := s.groupOf(module)
	if err != nil {
		return nil, err
	}
	c := &codes{name: module + ".weight", out: out, in: in, groups: 1, size: in}
	if g.Format == "pack-quantized" {
		err = c.setPacked(f, module, g.Weights.Bits)
	} else {
		err = c.setPlain(f, g.Weights)
	}
	if err != nil {
		return nil, err
	}
	height, err := c.setCompressedScales(f, module, g.Weights)
	if err != nil {
		return nil, err
	}
	if c.group, err = groupIndex(f, module+".weight_g_idx", in, c.groups); err != nil {
		return nil, err
	}
	return c, c.setCompressedZeros(f, module, g, height)
}

// setPacked sets the codes from words: numbers from −2^(bits−1) on, stored from 0 on.
func (c *codes) setPacked(f tensorFile, module string, bits int) error {
	c.name = module + ".weight_packed"
	n, offset := wordsFor(c.in, bits, false), 1<<(bits-1)
	words, err := shapedBytes(f, c.name, int32Type, []int{c.out, n})
	if err != nil {
		return err
	}
	values := packed{words: words, bits: bits, lineStride: n, wordStride: 1}
	c.low, c.high = -offset, offset-1
	c.row = func(dst []int, o int) {
		values.line(dst, o)
		for i := range dst {
			dst[i] -= offset
		}
	}
	return nil
}

// setPlain sets the codes from numbers of 8 bits each.
func (c *codes) setPlain(f tensorFile, w *compressedWeights) error {
	dtype := safetensors.I8
	if w.Type == "float" {
		dtype = safetensors.F8E4M3
	}
	data, err := shapedBytes(f, c.name, []safetensors.Dtype{dtype}, []int{c.out, c.in})
	if err != nil {
		return err
	}
	if w.Type == "float" {
		c.setFloats(data)
	} else {
		c.setBytes(data)
	}
	return nil
}

func (c *codes) setFloats(data []byte) {
	c.table = e4m3()
	c.row = func(dst []int, o int) {
		for i, b := range data[o*c.in : (o+1)*c.in] {
			dst[i] = int(b)
		}
	}
}

func (c *codes) setBytes(data []byte) {
	c.low, c.high = -128, 127
	c.row = func(dst []int, o int) {
		for i, b := range data[o*c.in : (o+1)*c.in] {
			dst[i] = int(int8(b))
		}
	}
}

// setCompressedScales sets the scales, and says for how many rows of the matrix
// there is one row of them.
func (c *codes) setCompressedScales(f tensorFile, module string, w *compressedWeights) (height int, err error) {
	height, shapes := c.out, [][]int{{1}, {}, {1, 1}}
	switch w.Strategy {
	case "channel":
		height, shapes = 1, [][]int{{c.out, 1}, {c.out}}
	case "group":
		c.size, c.groups = pieces(c.in, *w.GroupSize)
		height, shapes = 1, [][]int{{c.out, c.groups}}
	case "block":
		c.size, c.groups = pieces(c.in, w.Block[1])
		rows := 0
		height, rows = pieces(c.out, w.Block[0])
		shapes = [][]int{{rows, c.groups}}
	}
	stored, err := floats(f, module+".weight_scale", shapes...)
	if err != nil {
		return 0, err
	}
	c.spreadScales(stored, height)
	return height, nil
}

// spreadScales gives each row of the matrix the stored scales, of which there
// are some for every so many rows.
func (c *codes) spreadScales(stored []float32, height int) {
	if height == 1 {
		c.scales = stored
		return
	}
	c.scales = make([]float32, 0, c.out*c.groups)
	for o := range c.out {
		c.scales = append(c.scales, stored[o/height*c.groups:][:c.groups]...)
	}
}

// setCompressedZeros reads zero points, which symmetric numbers need not have:
// packed along the outputs, or one byte each as the scales are.
func (c *codes) setCompressedZeros(f tensorFile, module string, g *compressedGroup, height int) error {
	name := module + ".weight_zero_point"
	info, ok := f.Info(name)
	if !ok {
		if !or(g.Weights.Symmetric, true) {
			return fmt.Errorf("tensor %s is missing, and weights.symmetric is false", name)
		}
		return nil
	}
	if c.table != nil {
		data, err := f.Bytes(name)
		if err == nil && slices.ContainsFunc(data, func(b byte) bool { return b&127 != 0 }) {
			err = fmt.Errorf("tensor %s: zero points of floating-point numbers are not supported", name)
		}
		return err
	}
	low, high := c.low, c.high
	if info.Dtype == safetensors.I32 {
		bits := g.Weights.Bits
		n := wordsFor(c.out, bits, false)
		words, err := shapedBytes(f, name, int32Type, []int{n, c.groups})
		if err != nil {
			return err
		}
		zeros, offset := packed{words: words, bits: bits, lineStride: 1, wordStride: c.groups}, 1<<(bits-1)
		c.setZeros(high-low, func(o, g int) int { return zeros.at(g, o) - offset })
	} else {
		_, rows := pieces(c.out, height)
		data, err := shapedBytes(f, name, []safetensors.Dtype{safetensors.I8}, []int{rows, c.groups}, []int{rows * c.groups})
		if err != nil {
			return err
		}
		c.setZeros(high-low, func(o, g int) int { return int(int8(data[o/height*c.groups+g])) })
	}
	c.low, c.high = low+c.low, low+c.high // the codes begin at low
	return nil
}
