package cpu

import (
	"math"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

func TestLargest(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name string
		n    int
		set  map[int]float32 // other values are −1
		want int
	}{
		{"one column", 1, nil, 0},
		{"equals", 3000, map[int]float32{1023: 2, 1024: 2, 2999: 2}, 1023},
		{"equals in two parts", 3000, map[int]float32{1500: 2, 1400: 2, 2100: 2}, 1400},
		{"last", 2049, map[int]float32{2048: 5}, 2048},
		{"beside a NaN", 40, map[int]float32{0: nan, 7: 3, 8: nan}, 7},
		{"infinite", 40, map[int]float32{9: inf}, 9},
		{"no number", 2, map[int]float32{0: nan, 1: nan}, 0},
		{"minus infinity", 2, map[int]float32{0: -inf, 1: -inf}, 0},
	} {
		eachKernels(t, func(t *testing.T, d *Device) {
			const rows = 5
			x := compute.Of(d.New(rows, c.n+3)).ColRange(1, c.n+1)
			v := viewOf("x", x)
			for i := range rows {
				row := v.row(i)
				for j := range row {
					row[j] = -1
				}
				for j, value := range c.set {
					row[j] = value
				}
			}
			at := make([]int32, rows)
			d.Largest(x, at)
			if !slices.Equal(at, slices.Repeat([]int32{int32(c.want)}, rows)) {
				t.Errorf("%s: %v, want %d", c.name, at, c.want)
			}
		})
	}
}
