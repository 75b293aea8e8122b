package cpu

import "math"

// logSoftmaxRef is the meaning of LogSoftmax for one row.
func logSoftmaxRef(x []float64) []float64 {
	largest := math.Inf(-1)
	for _, v := range x {
		largest = math.Max(largest, v)
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - largest)
	}
	out := make([]float64, len(x))
	for j, v := range x {
		out[j] = v - largest - math.Log(sum)
	}
	return out
}
