// Package gradcheck compares a gradient with finite differences, for tests.
package gradcheck

import (
	"errors"
	"fmt"
	"math"
)

// Numeric returns the derivative of f by each of values, which it changes and
// restores: five-point central differences, exact for polynomials of degree 4.
// With values about 1 in float32, a step of 1/32 leaves errors about 1e-5 of
// the derivative plus 1e-5 of f.
func Numeric(f func() float64, values []float32, step float32) []float64 {
	slopes := make([]float64, len(values))
	for i, v := range values {
		at := func(shift float32) float64 {
			values[i] = v + shift
			return f()
		}
		near, far := at(step)-at(-step), at(2*step)-at(-2*step)
		values[i] = v
		slopes[i] = (8*near - far) / (12 * float64(step))
	}
	return slopes
}

// Compare returns an error unless got is within tolerance times the largest of
// |want|, value by value. NaN is an error, and so is a want of zeros alone,
// which would show nothing.
func Compare(got []float32, want []float64, tolerance float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d values, want %d", len(got), len(want))
	}
	largest := 0.0
	for _, w := range want {
		largest = max(largest, math.Abs(w))
	}
	if largest == 0 {
		return errors.New("the reference is zero everywhere")
	}
	for i, g := range got {
		if diff := math.Abs(float64(g) - want[i]); !(diff <= tolerance*largest) {
			return fmt.Errorf("value %d of %d is %v, want %v (largest %v)", i, len(got), g, want[i], largest)
		}
	}
	return nil
}
