package compute

import (
	"fmt"
	"math"
	"sync"
)

// Rotation is a table of rotary angles (Su et al. 2021): for position p and
// pair j the cosine and sine of p·Frequencies[j], both times Scale. It may be
// used by several devices at once; its fields must not change after first use.
type Rotation struct {
	Frequencies []float64 // (E/2) radians per position
	Scale       float64   // 0 means 1 (attention factor of yarn and longrope)

	mu     sync.Mutex
	cosSin []float32 // (positions, 2, E/2): cosines, sines
}

// NewRotation returns a Rotation of the given frequencies (E/2), in radians per position.
func NewRotation(frequencies []float64) *Rotation {
	return &Rotation{Frequencies: frequencies}
}

// Table returns cosines and sines (P, 2, E/2) of at least the first positions,
// which must not be changed. It makes them as they are asked for,
// half as many again each time, and keeps them.
func (r *Rotation) Table(positions int) []float32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	half := len(r.Frequencies)
	if half == 0 {
		panic(fmt.Sprintf("compute: table of %d positions of a rotation without frequencies", positions))
	}
	have := len(r.cosSin) / (2 * half)
	if positions <= have {
		return r.cosSin
	}
	positions = max(positions, have+have/2, 64)
	table := make([]float32, positions*2*half) // a new one: devices may still read the old
	copy(table, r.cosSin)
	scale := r.Scale
	if scale == 0 {
		scale = 1
	}
	for p := have; p < positions; p++ {
		row := table[p*2*half:]
		for j, frequency := range r.Frequencies {
			sin, cos := math.Sincos(float64(p) * frequency)
			row[j], row[half+j] = float32(cos*scale), float32(sin*scale)
		}
	}
	r.cosSin = table
	return table
}
