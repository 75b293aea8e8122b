package model

import (
	"encoding/binary"
	"fmt"
	"math"
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
// tensor in the format that it has. The model must have no low-rank updates
// (merge them, or SaveAdapter) and no quantized weights.
func (m *Model) Save(dir string) error {
	if m.LoRA != nil {
		return fmt.Errorf("save model %s: it has low-rank updates that are not merged", dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	tensors, err := m.tensors()
	if err != nil {
		return fmt.Errorf("save model %s: %w", dir, err)
	}
	if err := safetensors.WriteModel(dir, tensors, maxShardBytes); err != nil {
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
	return torchDtypes[format]
}

func (m *Model) tensors() ([]safetensors.Tensor, error) {
	list := []safetensors.Tensor{}
	add := func(name string, w *compute.Weight) error {
		t, err := m.matrixTensor(name, w)
		list = append(list, t)
		return err
	}
	if err := add("model.embed_tokens.weight", m.Embed.Weight); err != nil {
		return nil, err
	}
	if m.Head != m.Embed {
		if err := add("lm_head.weight", m.Head.Weight); err != nil {
			return nil, err
		}
	}
	for _, g := range m.gains() {
		list = append(list, m.arrayTensor(g.name+".weight", g.gain.Values))
	}
	for _, mod := range m.modules() {
		if err := add(mod.name+".weight", mod.part.Weight); err != nil {
			return nil, err
		}
		if mod.part.Bias != nil {
			list = append(list, m.arrayTensor(mod.name+".bias", mod.part.Bias))
		}
	}
	return list, nil
}

func (m *Model) matrixTensor(name string, w *compute.Weight) (safetensors.Tensor, error) {
	if w.Array() != nil {
		return m.arrayTensor(name, w.Array()), nil
	}
	for dtype, format := range formats {
		if format == w.Format {
			return safetensors.Tensor{Name: name, Dtype: dtype, Shape: []int{w.Out, w.In}, Data: w.Data()}, nil
		}
	}
	return safetensors.Tensor{}, fmt.Errorf("tensor %s is %s, which safetensors directories do not hold", name, w.Format)
}

func (m *Model) arrayTensor(name string, a *tensor.Dense) safetensors.Tensor {
	return safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: a.Shape().Clone(),
		Data: floatBytes(m.dev.Host(compute.Of(a)))}
}

// floatBytes is the little-endian encoding of values.
func floatBytes(values []float32) []byte {
	b := make([]byte, 0, 4*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}
