package cpu

import (
	"fmt"
	"math"
	"testing"
)

func TestCrossEntropy(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for _, classes := range []int{1, 7, 8, 31, 32, 33, 100, 1000} {
			for _, spread := range []float32{1, 30, 1e4} {
				const rows = 5
				logits := randomMat(r, rows, classes)
				d.Scale(logits, spread)
				x := doubles(valuesOf(t, logits))
				targets, weights := make([]int32, rows), make([]float32, rows)
				var want, wantLosses []float64
				for i := range rows {
					targets[i], weights[i] = int32(r.IntN(classes)), r.Float32()
					logs := logSoftmaxRef(x[i*classes : (i+1)*classes])
					wantLosses = append(wantLosses, -logs[targets[i]])
					for j, l := range logs {
						p := math.Exp(l)
						if j == int(targets[i]) {
							p--
						}
						want = append(want, float64(weights[i])*p)
					}
				}
				losses := make([]float64, rows)
				d.CrossEntropy(logits, targets, weights, losses)
				near(t, fmt.Sprintf("gradient of %d × %v", classes, spread), valuesOf(t, logits), want, 2e-7, 2e-6)
				for i := range losses {
					if !(math.Abs(losses[i]-wantLosses[i]) <= 1e-6+1e-6*wantLosses[i]) {
						t.Fatalf("%d classes × %v: loss %v, want %v", classes, spread, losses[i], wantLosses[i])
					}
				}
			}
		}
	})
}

// The gradient is that of the loss, by central differences in float64.
func TestCrossEntropyGradientIsThatOfItsLoss(t *testing.T) {
	d, r := New(1), random()
	logits := randomMat(r, 2, 9)
	x := doubles(valuesOf(t, logits))
	want := gradient(x, func() float64 { return -0.25*logSoftmaxRef(x[:9])[4] - 3*logSoftmaxRef(x[9:])[0] })
	d.CrossEntropy(logits, []int32{4, 0}, []float32{0.25, 3}, make([]float64, 2))
	near(t, "gradient", valuesOf(t, logits), want, 1e-6, 1e-6)
}

func TestCrossEntropyOfUnusualRows(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	d := New(1)
	losses := make([]float64, 1)
	logits := matOf([]float32{1, 2, 3}, 1, 3, 0)
	losses[0] = 9
	d.CrossEntropy(logits, []int32{-1}, []float32{1}, losses)
	near(t, "no target", append(valuesOf(t, logits), float32(losses[0])), []float64{0, 0, 0, 0}, 0, 0)
	d.CrossEntropy(matOf([]float32{1, nan, 3}, 1, 3, 0), []int32{2}, []float32{1}, losses)
	if !math.IsNaN(losses[0]) {
		t.Errorf("loss of a row with a NaN: %v", losses[0])
	}
	d.CrossEntropy(matOf([]float32{1, inf, 3}, 1, 3, 0), []int32{2}, []float32{1}, losses)
	if !math.IsNaN(losses[0]) {
		t.Errorf("loss of a row with an infinity: %v", losses[0])
	}
	masked := matOf([]float32{0, -inf, 0}, 1, 3, 0)
	d.CrossEntropy(masked, []int32{0}, []float32{1}, losses)
	near(t, "a class ruled out", append(valuesOf(t, masked), float32(losses[0])), []float64{-0.5, 0, 0.5, math.Ln2}, 1e-7, 1e-7)
	mustPanic(t, "target 3 of 3", func() { d.CrossEntropy(logits, []int32{3}, []float32{1}, losses) })
	mustPanic(t, "weights", func() { d.CrossEntropy(logits, []int32{0}, nil, losses) })
}

func TestLogSoftmax(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for _, cols := range sizes {
			for _, spread := range []float32{1, 100} {
				x := randomMat(r, 4, cols)
				d.Scale(x, spread)
				values := doubles(valuesOf(t, x))
				var want []float64
				for i := range 4 {
					want = append(want, logSoftmaxRef(values[i*cols:(i+1)*cols])...)
				}
				d.LogSoftmax(x)
				near(t, fmt.Sprintf("%d × %v", cols, spread), valuesOf(t, x), want, 1e-5, 1e-6)
			}
		}
	})
}
