package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gguf"

	"gorgonia.org/tensor"
)

// LoadGGUF reads a GGUF file of one of the architectures of ggufFamilies, as
// llama.cpp has them. Matrices stay in the stored format, as views of the mapped
// file; those of queries and keys are copied where the file interleaves their
// rows, and F64 and integers become F32. Of a split file, path is the first.
// Metadata, tensors and formats that are not understood are errors that name them.
func LoadGGUF(dev compute.Device, path string) (*Model, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := assembleGGUF(dev, f)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", path, errors.Join(err, f.Close()))
	}
	m.close, m.release = f.Close, f.Release
	return m, nil
}

func assembleGGUF(dev compute.Device, f *gguf.File) (*Model, error) {
	c, err := ggufConfig(f)
	if err != nil {
		return nil, err
	}
	w := &ggufWeights{dev: dev, f: f, freed: freed{mapped: f}, c: &c, used: map[string]bool{}}
	m, err := assemble(dev, c, w)
	if err != nil {
		return nil, err
	}
	return m, w.checkUsed()
}

// ggufWeights are the weights of a GGUF file.
type ggufWeights struct {
	dev compute.Device
	f   *gguf.File
	freed
	c    *Config
	used map[string]bool // by llama.cpp's names
}

func (g *ggufWeights) matrix(name string, out, in int) (*compute.Weight, error) {
	w, err := g.stored(g.c.ggufName(name), in, out)
	if err != nil || !interleaved(g.c.ModelType, name) {
		return w, err
	}
	size := w.Format.RowBytes(in)
	data := make([]byte, len(w.Data()))
	for i := range out {
		to := halvesRow(i, g.c.HeadDim)
		copy(data[to*size:(to+1)*size], w.Data()[i*size:])
	}
	g.copied(len(data))
	return compute.NewWeight(w.Format, out, in, data)
}

func (g *ggufWeights) vector(name string, n int) (*tensor.Dense, error) {
	w, err := g.stored(g.c.ggufName(name), n)
	if err != nil {
		return nil, err
	}
	a := g.dev.New(n)
	values := g.dev.Host(compute.Of(a))
	w.Row(values, 0)
	if offset := g.c.family().gainOffset; offset != 0 && isGain(name) {
		for i := range values {
			values[i] -= offset // llama.cpp stores what is multiplied by
		}
	}
	if interleaved(g.c.ModelType, name) {
		for i, v := range slices.Clone(values) {
			values[halvesRow(i, g.c.HeadDim)] = v
		}
	}
	return a, nil
}

// stored is the tensor that llama.cpp calls name, a vector as one row.
func (g *ggufWeights) stored(name string, dims ...int) (*compute.Weight, error) {
	g.used[name] = true
	t, ok := g.f.Tensor(name)
	if !ok {
		return nil, fmt.Errorf("tensor %s is missing", name)
	}
	format, err := ggufFormat(t)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(t.Dims, dims) {
		return nil, fmt.Errorf("tensor %s has dims %v, the metadata wants %v", name, t.Dims, dims)
	}
	data, err := g.f.Bytes(name)
	if err != nil {
		return nil, err
	}
	out := 1
	if len(dims) == 2 {
		out = dims[1]
	}
	if value, ok := ggufNumbers[t.Type]; ok {
		data = numbersAsF32(data, t.Type.TypeSize(), value)
		g.copied(len(data))
	}
	w, err := compute.NewWeight(format, out, dims[0], data)
	if err != nil {
		return nil, fmt.Errorf("tensor %s: %w", name, err)
	}
	return w, nil
}

// checkUsed refuses a file with tensors that nobody reads: the model would be
// another one.
func (g *ggufWeights) checkUsed() error {
	for _, t := range g.f.Tensors() {
		switch {
		case g.used[t.Name]:
		case slices.Contains(g.c.ropeTensorNames(), t.Name): // read with the configuration
		default:
			return fmt.Errorf("tensor %s is not part of a %s model with this metadata", t.Name, g.c.ModelType)
		}
	}
	return nil
}
