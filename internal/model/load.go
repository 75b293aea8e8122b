package model

import (
	"errors"
	"fmt"
	"strings"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"

	"gorgonia.org/tensor"
)

// Load reads a Hugging Face directory: config.json and safetensors, one file or
// sharded. Matrices stay in the stored format, as views of the mapped files, but
// for F64, which becomes F32. Modules that bitsandbytes, GPTQ, AWQ,
// compressed-tensors or FP8 quantized have the values that these stand for, in
// the smallest format that has them exactly: see scheme.
func Load(dev compute.Device, dir string) (*Model, error) {
	c, err := LoadConfig(dir)
	if err != nil {
		return nil, err
	}
	f, err := safetensors.OpenModel(dir)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", dir, err)
	}
	m, err := assembleStored(dev, &c, dir, f)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", dir, errors.Join(err, f.Close()))
	}
	m.close, m.release = f.Close, f.Release
	return m, nil
}

func assembleStored(dev compute.Device, c *Config, dir string, f *safetensors.Model) (*Model, error) {
	stored, err := newStoredTensors(dir, f)
	if err != nil {
		return nil, err
	}
	names := f.Names()
	if stored.scheme != nil {
		if names, err = plainNames(stored.scheme, f); err != nil {
			return nil, err
		}
	}
	if err := checkNames(c, names); err != nil {
		return nil, err
	}
	return assemble(dev, *c, &storedWeights{dev: dev, storedTensors: stored, freed: freed{mapped: f}})
}

// tensorFile is a safetensors file or a sharded set of them.
type tensorFile interface {
	Names() []string
	Info(name string) (safetensors.Info, bool)
	Bytes(name string) ([]byte, error)
}

// storedTensors are the tensors of a checkpoint, and how its quantized modules
// are stored; nil if there are none.
type storedTensors struct {
	f      tensorFile
	scheme scheme
}

func newStoredTensors(dir string, f tensorFile) (storedTensors, error) {
	s, err := loadScheme(dir)
	return storedTensors{f, s}, err
}

// quantized is the matrix of a quantized module, and nil for another's.
func (s *storedTensors) quantized(name string, out, in int) (storedMatrix, error) {
	module, ok := strings.CutSuffix(name, ".weight")
	if !ok || s.scheme == nil || markOf(s.scheme, s.f, module) == "" {
		return nil, nil
	}
	return s.scheme.matrix(s.f, module, out, in)
}

// format is that of the Weight that a tensor becomes.
func (s *storedTensors) format(name string, out, in int) (compute.Format, error) {
	m, err := s.quantized(name, out, in)
	if err != nil {
		return 0, err
	}
	if m != nil {
		return m.format(), nil
	}
	info, ok := s.f.Info(name)
	if !ok {
		return 0, fmt.Errorf("tensor %s is missing", name)
	}
	return plainFormat(name, info.Dtype)
}

type storedWeights struct {
	dev compute.Device
	storedTensors
	freed
}

var formats = map[safetensors.Dtype]compute.Format{
	safetensors.F32: compute.F32, safetensors.F16: compute.F16, safetensors.BF16: compute.BF16,
}

// plainFormat is the format of a tensor's elements in memory.
func plainFormat(name string, dtype safetensors.Dtype) (compute.Format, error) {
	if dtype == safetensors.F64 {
		return compute.F32, nil
	}
	format, ok := formats[dtype]
	if !ok {
		return 0, fmt.Errorf("tensor %s has type %s: supported are F32, F16, BF16 and F64", name, dtype)
	}
	return format, nil
}

func (s *storedWeights) matrix(name string, out, in int) (*compute.Weight, error) {
	m, err := s.quantized(name, out, in)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return readWeight(s.f, name, out, in)
	}
	w, err := m.weight()
	if err == nil {
		s.copied(w.Bytes())
	}
	return w, err
}

// readWeight is the tensor name as an out × in Weight.
func readWeight(f tensorFile, name string, shape ...int) (*compute.Weight, error) {
	info, ok := f.Info(name)
	if !ok {
		return nil, fmt.Errorf("tensor %s is missing", name)
	}
	if !equalShape(info.Shape, shape) {
		return nil, fmt.Errorf("tensor %s has shape %v, the configuration wants %v", name, info.Shape, shape)
	}
	format, err := plainFormat(name, info.Dtype)
	if err != nil {
		return nil, err
	}
	data, err := f.Bytes(name)
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", name, err)
	}
	if info.Dtype == safetensors.F64 {
		data = numbersAsF32(data, 8, f64)
	}
	out, in := 1, shape[len(shape)-1]
	if len(shape) == 2 {
		out = shape[0]
	}
	w, err := compute.NewWeight(format, out, in, data)
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", name, err)
	}
	return w, nil
}

func equalShape(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func (s *storedWeights) vector(name string, n int) (*tensor.Dense, error) {
	w, err := readWeight(s.f, name, n)
	if err != nil {
		return nil, err
	}
	a := s.dev.New(n)
	w.Row(s.dev.Host(compute.Of(a)), 0)
	return a, nil
}
