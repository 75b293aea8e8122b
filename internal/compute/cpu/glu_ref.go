package cpu

import (
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// activationRef is the meaning of an Activation.
func activationRef(act compute.Activation, x float64) float64 {
	switch act {
	case compute.SiLU:
		return x / (1 + math.Exp(-x))
	case compute.GELUTanh:
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	case compute.GELU:
		return x / 2 * math.Erfc(-x/math.Sqrt2)
	case compute.ReLU:
		return max(x, 0)
	default:
		return math.Tanh(x)
	}
}
