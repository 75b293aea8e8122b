package model

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/internal/safetensors"

	"gorgonia.org/tensor"
)

// NewOutline returns a model of c without values, whose matrices are of the
// format: what New makes, if that is F32. An outline says how much memory a
// model takes, and makes Graphs to be planned; nothing of it may be run.
// AddLoRA, Unfreeze and Merge work on it.
func NewOutline(c Config, format compute.Format) (*Model, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("outline of a model: %w", err)
	}
	return outline(c, func(string, int, int) (compute.Format, error) { return format, nil })
}

// LoadOutline returns the outline of what Load reads in dir.
func LoadOutline(dir string) (*Model, error) {
	c, err := LoadConfig(dir)
	if err != nil {
		return nil, err
	}
	f, err := safetensors.OpenModel(dir)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", dir, err)
	}
	defer f.Close()
	stored, err := newStoredTensors(dir, f)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", dir, err)
	}
	m, err := outline(c, stored.format)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", dir, err)
	}
	return m, nil
}

// LoadGGUFOutline returns the outline of what LoadGGUF reads at path.
func LoadGGUFOutline(path string) (*Model, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := ggufConfig(f)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", path, err)
	}
	m, err := outline(c, func(name string, _, _ int) (compute.Format, error) {
		t, ok := f.Tensor(c.ggufName(name))
		if !ok {
			return 0, fmt.Errorf("tensor %s is missing", c.ggufName(name))
		}
		return ggufFormat(t)
	})
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", path, err)
	}
	return m, nil
}

// GGUFCopies is how many bytes LoadGGUF copies of m's matrices, beside the file
// that it maps.
func (m *Model) GGUFCopies() int {
	n := 0
	for name, part := range m.Linears() {
		if interleaved(m.Config.ModelType, name) {
			n += part.Weight.Format.MatrixBytes(part.Weight.Out, part.Weight.In)
		}
	}
	return n
}

// IsOutline tells whether m has no values.
func (m *Model) IsOutline() bool {
	_, ok := m.dev.(*outlineDevice)
	return ok
}

func outline(c Config, format func(name string, out, in int) (compute.Format, error)) (*Model, error) {
	dev := &outlineDevice{}
	return assemble(dev, c, &outlineWeights{dev, format})
}

type outlineWeights struct {
	dev    compute.Device
	format func(name string, out, in int) (compute.Format, error)
}

func (o *outlineWeights) matrix(name string, out, in int) (*compute.Weight, error) {
	f, err := o.format(name, out, in)
	if err == nil && in%f.BlockValues() != 0 {
		err = fmt.Errorf("tensor %s: rows of %d values are not whole blocks of %d", name, in, f.BlockValues())
	}
	if err != nil {
		return nil, err
	}
	return compute.Outline(f, out, in), nil
}

func (o *outlineWeights) vector(_ string, n int) (*tensor.Dense, error) { return o.dev.New(n), nil }

// outlineDevice makes arrays that all lie in the same memory, as they have
// shapes and no values. It does nothing else.
type outlineDevice struct {
	compute.Device
	memory []float32
}

// New returns an array of the shape.
func (d *outlineDevice) New(shape ...int) *tensor.Dense {
	n := tensor.Shape(shape).TotalSize()
	if n > len(d.memory) {
		d.memory = make([]float32, n)
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(d.memory[:n:n]))
}
