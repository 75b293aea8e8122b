package model

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/retort-ml/retort/internal/atomicfile"
	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"

	"gorgonia.org/tensor"
)

// Save writes a Hugging Face directory: config.json and safetensors, every
// matrix in the format that it has, or float32 if safetensors has no such format. The
// classifier must have no low-rank updates: merge them, or SaveAdapter.
func (c *Classifier) Save(dir string) error {
	if c.LoRA != nil {
		return fmt.Errorf("save model %s: it has low-rank updates that are not merged", dir)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	var list []safetensors.Tensor
	dtypes := map[safetensors.Dtype]bool{}
	for _, t := range c.tensors {
		file := c.fileTensor(t.name, t)
		list = append(list, file)
		if t.weight != nil {
			dtypes[file.Dtype] = true
		}
	}
	if err := safetensors.WriteModel(dir, list, maxShardBytes); err != nil {
		return fmt.Errorf("save model %s: %w", dir, err)
	}
	// Readers convert all weights to one type: float32 if the matrices differ, so that none is rounded.
	dtype := torchDtypes[compute.F32]
	if len(dtypes) == 1 {
		dtype = torchDtypes[formats[list[0].Dtype]]
	}
	config, err := c.Config.JSON(dtype)
	if err != nil {
		return fmt.Errorf("save model %s: %w", dir, err)
	}
	return atomicfile.WriteBytes(filepath.Join(dir, "config.json"), config)
}

// fileTensor is a tensor as a file holds it, under a name.
func (c *Classifier) fileTensor(name string, t modelTensor) safetensors.Tensor {
	if t.weight == nil {
		return floatTensor(c.dev, name, *t.values)
	}
	w := *t.weight
	if w.Array() != nil {
		return floatTensor(c.dev, name, w.Array())
	}
	for dtype, format := range formats {
		if format == w.Format {
			return safetensors.Tensor{Name: name, Dtype: dtype, Shape: []int{w.Out, w.In}, Data: w.Data()}
		}
	}
	return floatTensor(c.dev, name, floatsOf(c.dev, w))
}

func floatTensor(dev compute.Device, name string, a *tensor.Dense) safetensors.Tensor {
	return safetensors.Tensor{Name: name, Dtype: safetensors.F32, Shape: a.Shape().Clone(),
		Data: safetensors.FloatBytes(dev.Host(compute.Of(a)))}
}

// floatsOf copies w to a float32 array of the device.
func floatsOf(dev compute.Device, w *compute.Weight) *tensor.Dense {
	a := dev.New(w.Out, w.In)
	values := dev.Host(compute.Of(a))
	for i := range w.Out {
		w.Row(values[i*w.In:(i+1)*w.In], i)
	}
	return a
}

// Unfreeze makes every weight a Param, converting matrices to float32; fixed
// position embeddings stay as they are.
func (c *Classifier) Unfreeze() error {
	if c.LoRA != nil {
		return fmt.Errorf("train all weights: the model has low-rank updates: merge them first")
	}
	c.params, c.trainable = nil, 0
	for _, t := range c.tensors {
		if c.Config.SinusoidalPositions && t.weight == &c.positions.Weight {
			continue
		}
		c.train(t, t.name)
	}
	return nil
}

// train makes a tensor a Param of that name.
func (c *Classifier) train(t modelTensor, name string) {
	if c.IsOutline() {
		c.outlineParam(t, name)
		return
	}
	p := &autodiff.Param{Name: name}
	if t.weight != nil {
		if (*t.weight).Array() == nil {
			*t.weight = compute.SharedF32(floatsOf(c.dev, *t.weight))
		}
		p.Value = (*t.weight).Array()
	} else {
		p.Value = *t.values
	}
	p.Grad = c.dev.New(p.Value.Shape()...)
	*t.param = p
	c.params, c.trainable = append(c.params, p), c.trainable+t.size()
}

// freeze forgets all Params.
func (c *Classifier) freeze() {
	for _, t := range c.tensors {
		*t.param = nil
	}
	c.params, c.trainable = nil, 0
}
