package cpu

import (
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// activationRef is the meaning of an Activation.
func activationRef(act compute.Activation, x float64) float64 {
	if act == compute.SiLU {
		return x / (1 + math.Exp(-x))
	}
	return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}
