package model

import (
	"fmt"

	"github.com/retort-ml/retort/internal/autodiff"
	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"
)

// ClassifierOutline returns a classifier of c without values, whose matrices
// are of the format: what NewClassifier makes, if that is F32. As an outline of
// a Model, it says how much memory it takes, and makes Graphs to be planned;
// AddLoRA, Unfreeze and Merge work on it, and nothing of it may be run.
func ClassifierOutline(c ClassifierConfig, format compute.Format) (*Classifier, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("outline of a classifier: %w", err)
	}
	dev := &outlineDevice{}
	return assembleClassifier(dev, c, &outlineWeights{dev, func(string, int, int) (compute.Format, error) { return format, nil }})
}

// LoadClassifierOutline returns the outline of what LoadEncoder reads in dir
// with these labels. Matrices have the format of the file's first that has one.
func LoadClassifierOutline(dir string, labels []string) (*Classifier, error) {
	c, err := LoadClassifierConfig(dir)
	if err != nil {
		return nil, err
	}
	c.Labels = labels
	f, err := safetensors.OpenModel(dir)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", dir, err)
	}
	defer f.Close()
	format := compute.F32
	for _, name := range f.Names() {
		if info, _ := f.Info(name); len(info.Shape) == 2 {
			format = formats[info.Dtype] // F32 for what LoadEncoder refuses
			break
		}
	}
	return ClassifierOutline(c, format)
}

// IsOutline tells whether c has no values.
func (c *Classifier) IsOutline() bool {
	_, ok := c.dev.(*outlineDevice)
	return ok
}

// outlineParam makes a tensor of an outline a Param without values.
func (c *Classifier) outlineParam(t modelTensor, name string) {
	p := &autodiff.Param{Name: name}
	if t.weight != nil {
		*t.weight = compute.Outline(compute.F32, (*t.weight).Out, (*t.weight).In)
	}
	*t.param = p
	c.params, c.trainable = append(c.params, p), c.trainable+t.size()
}
