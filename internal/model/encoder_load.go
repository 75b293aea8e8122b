package model

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/safetensors"

	"gorgonia.org/tensor"
)

// LoadClassifier reads a Hugging Face directory of a classifier: config.json
// and safetensors, one file or sharded. Matrices stay in the stored format, as
// views of the mapped files.
func LoadClassifier(dev compute.Device, dir string) (*Classifier, error) {
	c, err := LoadClassifierConfig(dir)
	if err != nil {
		return nil, err
	}
	return loadClassifier(dir, func(f *safetensors.Model) (*Classifier, error) {
		w := &encoderFileWeights{storedWeights: plainWeights(dev, f)}
		m, err := assembleClassifier(dev, c, w)
		if err != nil {
			return nil, err
		}
		return m, w.unknown("")
	})
}

// LoadEncoder reads the encoder of a Hugging Face directory of any task, such
// as a pretrained model, and gives it a new head for these labels, with random
// weights. A pooler of the directory, which is part of the head, is kept.
func LoadEncoder(dev compute.Device, dir string, labels []string, rng *rand.Rand) (*Classifier, error) {
	c, err := LoadClassifierConfig(dir)
	if err != nil {
		return nil, err
	}
	c.Labels = labels
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("read model %s: %w", dir, err)
	}
	return loadClassifier(dir, func(f *safetensors.Model) (*Classifier, error) {
		w := &encoderFileWeights{storedWeights: plainWeights(dev, f), prefix: encoders[c.ModelType].prefix + ".",
			fresh: &newEncoderWeights{randomWeights{dev, rng, c.InitializerRange, 1}}}
		w.bare = !w.has(func(name string) bool { return strings.HasPrefix(name, w.prefix) })
		m, err := assembleClassifier(dev, c, w)
		if err != nil {
			return nil, err
		}
		return m, w.unknown(w.prefix)
	})
}

func loadClassifier(dir string, assemble func(f *safetensors.Model) (*Classifier, error)) (*Classifier, error) {
	f, err := safetensors.OpenModel(dir)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", dir, err)
	}
	m, err := assemble(f)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", dir, errors.Join(err, f.Close()))
	}
	m.close = f.Close
	return m, nil
}

// plainWeights are f's, none of them quantized.
func plainWeights(dev compute.Device, f *safetensors.Model) storedWeights {
	return storedWeights{dev: dev, storedTensors: storedTensors{f: f}, freed: freed{mapped: f}}
}

// encoderFileWeights reads an encoder's tensors, and notes which it has read.
type encoderFileWeights struct {
	storedWeights
	read map[string]bool
	// With fresh, weights outside of prefix are new, and a pooler that is missing.
	prefix string
	bare   bool // the file's names lack the prefix
	fresh  *newEncoderWeights
}

func (w *encoderFileWeights) matrix(name string, out, in int) (*compute.Weight, error) {
	stored, ok := w.find(name)
	if !ok {
		return w.fresh.matrix(name, out, in)
	}
	return w.storedWeights.matrix(stored, out, in)
}

func (w *encoderFileWeights) vector(name string, n int) (*tensor.Dense, error) {
	stored, ok := w.find(name)
	if !ok {
		return w.fresh.vector(name, n)
	}
	return w.storedWeights.vector(stored, n)
}

// find is the file's name of a tensor, false for one that is to be new.
func (w *encoderFileWeights) find(name string) (stored string, ok bool) {
	stored = name
	if w.fresh != nil {
		inside := strings.HasPrefix(name, w.prefix)
		if inside && w.bare {
			stored = strings.TrimPrefix(name, w.prefix)
		}
		if _, present := w.f.Info(stored); !inside || !present && strings.Contains(name, "pooler") {
			return "", false
		}
	}
	if _, present := w.f.Info(stored); !present {
		// Checkpoints converted from TensorFlow call a norm's scale and shift so.
		for now, old := range map[string]string{"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"} {
			if end, ok := strings.CutSuffix(stored, now); ok {
				if _, present := w.f.Info(end + old); present {
					stored = end + old
				}
			}
		}
	}
	if w.read == nil {
		w.read = map[string]bool{}
	}
	w.read[stored] = true
	return stored, true
}

func (w *encoderFileWeights) has(which func(name string) bool) bool {
	for _, name := range w.f.Names() {
		if which(name) {
			return true
		}
	}
	return false
}

// unknown refuses tensors of the prefix that nobody has read: a weight without
// a use means that the model is another one.
func (w *encoderFileWeights) unknown(prefix string) error {
	for _, name := range w.f.Names() {
		switch {
		case w.read[name], strings.HasSuffix(name, "embeddings.position_ids"), strings.HasSuffix(name, "embeddings.token_type_ids"):
		case w.bare || strings.HasPrefix(name, prefix):
			return fmt.Errorf("tensor %s is not part of a classifier with this configuration", name)
		}
	}
	return nil
}

// newEncoderWeights are the weights of a new classifier.
type newEncoderWeights struct{ randomWeights }

// vector is ones for the scale of a norm, and zeros for biases.
func (w *newEncoderWeights) vector(name string, n int) (*tensor.Dense, error) {
	a := w.dev.New(n)
	if strings.HasSuffix(name, ".weight") { // matrices are no vectors: a norm's
		values := w.dev.Host(compute.Of(a))
		for i := range values {
			values[i] = 1
		}
	}
	return a, nil
}
