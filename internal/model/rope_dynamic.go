package model

import (
	"math"
	"sync"

	"github.com/retort-ml/retort/internal/compute"
)

// maxGrown bounds the rotations of long sequences that are kept.
const maxGrown = 16

// dynamic is NTK scaling as transformers computes it: beyond the model's
// positions the base grows with the length of the sequence.
func (c *Config) dynamic() longRotation {
	var mu sync.Mutex
	grown := map[int]*compute.Rotation{}
	theta, dim := c.RopeTheta, c.rotaryDim()
	factor, most := c.Rope.Factor, float64(c.MaxPositionEmbeddings)
	return func(positions int) *compute.Rotation {
		mu.Lock()
		defer mu.Unlock()
		r := grown[positions]
		if r == nil {
			if len(grown) == maxGrown {
				clear(grown)
			}
			growth := factor*float64(positions)/most - (factor - 1)
			r = compute.NewRotation(frequencies(theta*math.Pow(growth, float64(dim)/float64(dim-2)), dim))
			grown[positions] = r
		}
		return r
	}
}
