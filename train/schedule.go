package train

import "math"

// rate is the learning rate of step (1 at the first) of steps: a linear rise
// over the warm-up, then half a cosine down to MinRate of the peak
// (Loshchilov and Hutter 2017).
func (o *Options) rate(step, steps int) float64 {
	warmup := int(math.Ceil(o.Warmup * float64(steps)))
	if step <= warmup {
		return o.LearningRate * float64(step) / float64(warmup)
	}
	done := float64(step-1-warmup) / float64(max(steps-warmup, 1))
	return o.LearningRate * (o.MinRate + (1-o.MinRate)*0.5*(1+math.Cos(math.Pi*done)))
}
