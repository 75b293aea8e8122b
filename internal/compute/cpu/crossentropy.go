package cpu

import (
	"fmt"
	"math"

	"github.com/retort-ml/retort/internal/compute"
)

// CrossEntropy replaces logits (n,V) by the gradient of Σ weights[i]·loss_i
// and sets losses[i] to −log softmax(logits_i)[targets[i]], 0 for a negative target.
func (d *Device) CrossEntropy(logits compute.Mat, targets []int32, weights []float32, losses []float64) {
	v := viewOf("CrossEntropy", logits)
	if len(targets) != v.rows || len(weights) != v.rows || len(losses) != v.rows {
		panic(fmt.Sprintf("cpu: CrossEntropy: logits %s, %d targets, %d weights, %d losses", logits, len(targets), len(weights), len(losses)))
	}
	checkIDs("CrossEntropy", targets, v.cols)
	d.eachRows(v.rows, v.cols, func(from, to int) {
		for i := from; i < to; i++ {
			if targets[i] < 0 {
				clear(v.row(i))
				losses[i] = 0
				continue
			}
			losses[i] = d.crossEntropy(v.row(i), int(targets[i]), weights[i])
		}
	})
}

// crossEntropy replaces one row by weight·(softmax − onehot) and returns its loss.
func (d *Device) crossEntropy(x []float32, target int, weight float32) float64 {
	largest := d.kernels.maximum(x)
	wanted := float64(x[target]) - float64(largest)
	sum := d.kernels.exp(x, x, largest)
	d.kernels.scale(x, weight/sum)
	x[target] -= weight
	return math.Log(float64(sum)) - wanted
}

// LogSoftmax replaces each row of x by its log-softmax.
func (d *Device) LogSoftmax(x compute.Mat) {
	v := viewOf("LogSoftmax", x)
	d.eachSpan(v.rows, max(1, chunkValues/max(1, v.cols)), func(w *worker, from, to int) {
		exps := w.floats(scores, v.cols)
		for i := from; i < to; i++ {
			x := v.row(i)
			largest := d.kernels.maximum(x)
			rest := float32(math.Log(float64(d.kernels.exp(exps, x, largest))))
			d.kernels.subtract(x, largest, rest)
		}
	})
}
