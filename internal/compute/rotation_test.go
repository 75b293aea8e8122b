package compute_test

import (
	"math"
	"sync"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

func TestRotationTable(t *testing.T) {
	r := compute.NewRotation([]float64{1, 0.01})
	first := r.Table(3)
	later := r.Table(500)
	for _, table := range [][]float32{first, later} {
		for p := range len(table) / 4 {
			for j, frequency := range r.Frequencies {
				sin, cos := math.Sincos(float64(p) * frequency)
				if c, s := table[4*p+j], table[4*p+2+j]; c != float32(cos) || s != float32(sin) {
					t.Fatalf("position %d, pair %d: %v, %v, want %v, %v", p, j, c, s, cos, sin)
				}
			}
		}
	}
	if len(first) < 3*4 || len(later) < 500*4 {
		t.Errorf("tables of %d and %d values", len(first), len(later))
	}
	if again := r.Table(10); &again[0] != &later[0] {
		t.Error("the table was made again")
	}
}

func TestRotationScale(t *testing.T) {
	r := compute.NewRotation([]float64{1})
	r.Scale = 2
	if got := r.Table(1); got[0] != 2 || got[1] != 0 {
		t.Errorf("position 0: %v, want 2, 0", got[:2])
	}
	mustPanic(t, "no frequencies", func() { compute.NewRotation(nil).Table(1) })
}

func TestRotationMayBeShared(t *testing.T) {
	r := compute.NewRotation([]float64{1})
	var wait sync.WaitGroup
	for n := range 8 {
		wait.Go(func() {
			if table := r.Table(100*n + 2); table[2] != float32(math.Cos(1)) {
				t.Errorf("position 1: %v", table[2])
			}
		})
	}
	wait.Wait()
}
