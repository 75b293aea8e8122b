package quantize

import "math"

// loss measures how far stored values are from their source.
type loss struct {
	values  int64
	signal  float64 // Σ x²
	noise   float64 // Σ (x' − x)²
	largest float64 // max |x' − x|
}

// measure is the loss of stored values against their source. The conversions
// keep products and sums apart, so that every processor finds the same.
func measure(source, stored []float32) loss {
	l := loss{values: int64(len(source))}
	for i, x := range source {
		d := float64(stored[i]) - float64(x)
		l.signal += float64(float64(x) * float64(x))
		l.noise += float64(d * d)
		l.largest = max(l.largest, math.Abs(d))
	}
	return l
}

func (l *loss) add(o loss) {
	l.values += o.values
	l.signal += o.signal
	l.noise += o.noise
	l.largest = max(l.largest, o.largest)
}

// rmse is the root of the mean squared error.
func (l *loss) rmse() float64 {
	return math.Sqrt(l.noise / float64(l.values))
}

// sqnr is the signal-to-quantization-noise ratio in decibels; nil if nothing
// was lost.
func (l *loss) sqnr() *float64 {
	if l.noise == 0 {
		return nil
	}
	db := 10 * math.Log10(l.signal/l.noise)
	return &db
}
