package model

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/retort-ml/retort/internal/compute"
)

// NewClassifier makes a classifier with random weights: normal with standard
// deviation InitializerRange, gains of norms one, biases zero, as transformers does it.
func NewClassifier(dev compute.Device, c ClassifierConfig, rng *rand.Rand) (*Classifier, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("new classifier: %w", err)
	}
	if n := c.parameters(); n > maxNewParameters {
		return nil, fmt.Errorf("new classifier: %.3g parameters: want at most %.3g", n, float64(maxNewParameters))
	}
	m, err := assembleClassifier(dev, c, &newEncoderWeights{randomWeights{dev, rng, c.InitializerRange, 1}})
	if err != nil {
		return nil, err
	}
	if c.SinusoidalPositions {
		m.setSines()
	}
	return m, nil
}

// setSines sets the positions to sines in the even columns and cosines in the
// odd ones (Vaswani et al. 2017), the two of a pair having one frequency.
func (c *Classifier) setSines() {
	values, width := c.dev.Host(compute.Of(c.positions.Weight.Array())), c.Config.EmbeddingSize
	for i := range values {
		at, j := float64(i/width), i%width
		angle := at / math.Pow(10000, float64(j/2*2)/float64(width))
		if j%2 == 0 {
			values[i] = float32(math.Sin(angle))
		} else {
			values[i] = float32(math.Cos(angle))
		}
	}
}
