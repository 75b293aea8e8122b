package cpu

import (
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// adamWRef is algorithm 2 of Loshchilov and Hutter 2019 for one value, with
// the decay multiplied by the rate, as torch.optim.AdamW has it.
func adamWRef(param, grad, m, v float64, o compute.AdamW) (float64, float64, float64) {
	grad *= float64(o.GradScale)
	param -= o.Rate * o.Decay * param
	m = o.Beta1*m + (1-o.Beta1)*grad
	v = o.Beta2*v + (1-o.Beta2)*grad*grad
	mHat := m / (1 - math.Pow(o.Beta1, float64(o.Step)))
	vHat := v / (1 - math.Pow(o.Beta2, float64(o.Step)))
	return param - o.Rate*mHat/(math.Sqrt(vHat)+o.Eps), m, v
}
