package cpu

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// adamCoefficients are the numbers of an update that are the same for all values:
//
//	g = gradScale·grad
//	m = beta1·m + (1−beta1)·g
//	v = beta2·v + (1−beta2)·g²
//	param = keep·param − rate·m / (sqrt(v)·root + eps)
type adamCoefficients struct {
	gradScale float32
	beta1     float32
	rest1     float32 // 1 − beta1
	beta2     float32
	rest2     float32 // 1 − beta2
	keep      float32 // 1 − Rate·Decay
	rate      float32 // Rate / (1 − beta1^Step)
	root      float32 // 1 / sqrt(1 − beta2^Step)
	eps       float32
}

// AdamW does one update of param from grad with moments m and v, all of one shape.
func (d *Device) AdamW(param, grad, m, v compute.Mat, o compute.AdamW) {
	vp, vg := viewOf("AdamW param", param), viewOf("AdamW grad", grad)
	vm, vv := viewOf("AdamW m", m), viewOf("AdamW v", v)
	sameShape("AdamW", vp, vg, vm, vv)
	if o.Step < 1 {
		panic(fmt.Sprintf("cpu: AdamW: step %d, want 1 at the first update", o.Step))
	}
	step := float64(o.Step)
	c := adamCoefficients{
		gradScale: o.GradScale,
		beta1:     float32(o.Beta1), rest1: float32(1 - o.Beta1),
		beta2: float32(o.Beta2), rest2: float32(1 - o.Beta2),
		keep: float32(1 - o.Rate*o.Decay),
		rate: float32(o.Rate / (1 - math.Pow(o.Beta1, step))),
		root: float32(1 / math.Sqrt(1-math.Pow(o.Beta2, step))),
		eps:  float32(o.Eps),
	}
	d.eachRows(vp.rows, vp.cols, func(from, to int) {
		for i := from; i < to; i++ {
			d.kernels.adamW(vp.row(i), vg.row(i), vm.row(i), vv.row(i), c)
		}
	})
}

// adamWGo is the portable adamW kernel.
func adamWGo(param, grad, m, v []float32, c adamCoefficients) {
	for j := range param {
		g := c.gradScale * grad[j]
		m[j] = c.beta1*m[j] + c.rest1*g
		v[j] = c.beta2*v[j] + c.rest2*g*g
		root := float32(math.Sqrt(float64(v[j])))
		param[j] = c.keep*param[j] - c.rate*m[j]/(root*c.root+c.eps)
	}
}
