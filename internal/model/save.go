package model

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"

	"gorgonia.org/tensor"
)

// maxShardBytes is the largest safetensors file that Save writes, as
// transformers' default.
const maxShardBytes = 5_000_000_000

// Save writes a Hugging Face directory: config.json and safetensors, every
// tensor in the format that it has, and quantized ones as float32. The model
// must have no low-rank updates: merge them, or SaveAdapter.
func (m *Model) Save(dir string) error {
	if m.LoRA != nil {
		return fmt.Errorf("save model %s: it has low-rank updates that are not merged", dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	if err := safetensors.WriteModel(dir, m.tensors(), maxShardBytes); err != nil {
		return fmt.Errorf("save model %s: %w", dir, err)
	}
	config, err := m.Config.JSON(m.torchDtype())
	if err != nil {
		return fmt.Errorf("save model %s: %w", dir, err)
	}
	return atomicfile.WriteBytes(filepath.Join(dir, "config.json"), config)
}

var torchDtypes = map[compute.Format]string{compute.F32: "float32", compute.F16: "float16", compute.BF16: "bfloat16"}

// torchDtype is the type that readers convert all weights to: that of the
// matrices, or float32 if they differ, as after a merge, so that none is rounded.
func (m *Model) torchDtype() string {
	format := m.Embed.Weight.Format
	for _, mod := range m.modules() {
		if mod.part.Weight.Format != format {
			return torchDtypes[compute.F32]
		}
	}
	if name, ok := torchDtypes[format]; ok {
		return name
	}
	return torchDtypes[compute.F32]
}

func (m *Model) tensors() []safetensors.Tensor {
	names := &m.Config.family().names
	list := []safetensors.Tensor{m.matrixTensor(names.embed+".weight", m.Embed.Weight)}
	if m.Head != m.Embed {
		list = append(list, m.matrixTensor(names.head+".weight", m.Head.Weight))
	}
	for _, g := range m.gains() {
		list = append(list, m.arrayTensor(g.name+".weight", g.gain.Values))
	}
	for _, mod := range m.modules() {
		list = append(list, m.matrixTensor(mod.name+".weight", mod.part.Weight))
		if mod.part.Bias != nil {
			list = append(list, m.arrayTensor(mod.name+".bias", mod.part.Bias))
		}
	}
	return list
}

// matrixTensor is w as it is stored, or the float32 values that a quantized
// matrix stands for: safetensors directories do not hold ggml's blocks.
func (m *Model) matrixTensor(name string, w *compute.Weight) safetensors.Tensor {
	if w.Array() != nil {
		return m.arrayTensor(name, w.Array())
	}
	for dtype, format := range formats {
		if format == w.Format {
			return safetensors.Tensor{Name: name, Dtype: dtype, Shape: []int{w.Out, w.In}, Data: w.Data()}
		}
	}
	return m.arrayTensor(name, m.expand(w))
}

func (m *Model) arrayTensor(name string, a *tensor.Dense) safetensors.Tensor {
	return safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: a.Shape().Clone(),
		Data: safetensors.FloatBytes(m.dev.Host(compute.Of(a)))}
}
