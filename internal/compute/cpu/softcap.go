package cpu

import (
	"fmt"

	"github.com/retort-ml/retort/internal/compute"
)

// SoftCap replaces each value of x by cap·tanh(x/cap).
func (d *Device) SoftCap(x compute.Mat, limit float32) {
	v := viewOf("SoftCap", x)
	if !(limit > 0) {
		panic(fmt.Sprintf("cpu: SoftCap: at %v", limit))
	}
	d.eachRows(v.rows, v.cols, func(from, to int) {
		for i := from; i < to; i++ {
			d.kernels.softCap(v.row(i), limit)
		}
	})
}

// SoftCapGrad multiplies dx by 1 − (y/cap)².
func (d *Device) SoftCapGrad(dx, y compute.Mat, limit float32) {
	vdx, vy := viewOf("SoftCapGrad dx", dx), viewOf("SoftCapGrad y", y)
	sameShape("SoftCapGrad", vdx, vy)
	if !(limit > 0) {
		panic(fmt.Sprintf("cpu: SoftCapGrad: at %v", limit))
	}
	d.eachRows(vdx.rows, vdx.cols, func(from, to int) {
		for i := from; i < to; i++ {
			row, capped := vdx.row(i), vy.row(i)
			for j, y := range capped {
				t := y / limit
				row[j] *= 1 - t*t
			}
		}
	})
}

// softCapGo is the portable softCap kernel.
func softCapGo(x []float32, limit float32) {
	inverse := 1 / limit
	for j, v := range x {
		x[j] = limit * tanh32(v*inverse)
	}
}

// tanhCoefficients are of the polynomial p with tanh x = x + x³·p(x²) for small
// x, the highest power first (S. Moshier, Cephes, tanhf).
var tanhCoefficients = [5]float32{
	-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1,
}

// tanh32 returns tanh(x) to about 2e-7 of it: a polynomial where
// 1 − 2/(e^2x + 1) would lose digits.
func tanh32(x float32) float32 {
	if x < 0.625 && x > -0.625 {
		s := x * x
		p := tanhCoefficients[0]
		for _, c := range tanhCoefficients[1:] {
			p = p*s + c
		}
		return p*s*x + x
	}
	return 1 - 2/(exp32(2*x)+1)
}

// capRows caps the first cols values of rows that are ld apart.
func (k *kernels) capRows(x []float32, ld, rows, cols int, limit float32) {
	for i := range rows {
		k.softCap(x[i*ld:][:cols], limit)
	}
}

// capSlopeRows sets slopes to those of the cap where it gave y.
func capSlopeRows(slopes, y []float32, ld, rows, cols int, limit float32) {
	inverse := 1 / limit
	for i := range rows {
		row := slopes[i*ld:][:cols]
		for j, v := range y[i*ld:][:cols] {
			t := v * inverse
			row[j] = 1 - t*t
		}
	}
}

// multiplyRows multiplies x by y.
func multiplyRows(x, y []float32, ld, rows, cols int) {
	for i := range rows {
		row := x[i*ld:][:cols]
		for j, v := range y[i*ld:][:cols] {
			row[j] *= v
		}
	}
}
