package model

import (
	"errors"
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"

	"gorgonia.org/tensor"
)

// Load reads a Hugging Face directory: config.json and safetensors, one file or
// sharded. Matrices stay in the stored format, as views of the mapped files.
func Load(dev compute.Device, dir string) (*Model, error) {
	c, err := LoadConfig(dir)
	if err != nil {
		return nil, err
	}
	f, err := safetensors.OpenModel(dir)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", dir, err)
	}
	if err := checkNames(&c, f.Names()); err != nil {
		return nil, fmt.Errorf("read model %s: %w", dir, errors.Join(err, f.Close()))
	}
	m, err := assemble(dev, c, &storedWeights{dev, f})
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", dir, errors.Join(err, f.Close()))
	}
	m.close, m.release = f.Close, f.Release
	return m, nil
}

// tensorFile is a safetensors file or a sharded set of them.
type tensorFile interface {
	Names() []string
	Info(name string) (safetensors.Info, bool)
	Bytes(name string) ([]byte, error)
}

type storedWeights struct {
	dev compute.Device
	f   tensorFile
}

var formats = map[safetensors.Dtype]compute.Format{
	safetensors.F32: compute.F32, safetensors.F16: compute.F16, safetensors.BF16: compute.BF16,
}

func (s *storedWeights) matrix(name string, out, in int) (*compute.Weight, error) {
	return readWeight(s.f, name, out, in)
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
	format, ok := formats[info.Dtype]
	if !ok {
		return nil, fmt.Errorf("tensor %s has type %s: supported are F32, F16 and BF16", name, info.Dtype)
	}
	data, err := f.Bytes(name)
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", name, err)
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
