package cpu

import (
	"math"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

func TestRotate(t *testing.T) {
	d, r := New(2), random()
	for _, headDim := range []int{2, 8, 14, 64} {
		const rows, heads = 9, 3
		frequencies := make([]float64, headDim/2)
		for j := range frequencies {
			frequencies[j] = math.Pow(10000, -2*float64(j)/float64(headDim))
		}
		rotation := compute.NewRotation(frequencies)
		rotation.Scale = 1.25
		positions := []int32{0, 1, 2, 0, 1000, 5, 6, 0, 1}
		x := randomMat(r, rows, heads*headDim)
		before := valuesOf(t, x)
		want := make([]float64, len(before))
		for i, p := range positions {
			for h := range heads {
				at := (i*heads + h) * headDim
				for j, frequency := range frequencies {
					a, b := float64(before[at+j]), float64(before[at+j+headDim/2])
					sin, cos := math.Sincos(float64(p) * frequency)
					want[at+j] = 1.25 * (a*cos - b*sin)
					want[at+j+headDim/2] = 1.25 * (b*cos + a*sin)
				}
			}
		}
		d.Rotate(x, headDim, positions, rotation, false)
		near(t, "forth", valuesOf(t, x), want, 1e-6, 1e-6)
		d.Rotate(x, headDim, positions, rotation, true)
		d.Scale(x, 1/(1.25*1.25))
		near(t, "and back", valuesOf(t, x), doubles(before), 1e-6, 1e-6)
		mustPanic(t, "position", func() { d.Rotate(x, headDim, []int32{0, 0, 0, 0, -1, 0, 0, 0, 0}, rotation, false) })
		mustPanic(t, "positions", func() { d.Rotate(x, headDim, positions[1:], rotation, false) })
		mustPanic(t, "head", func() { d.Rotate(x, headDim-1, positions, rotation, false) })
	}
}

// Columns of a head beyond the pairs of the rotation stay as they are.
func TestRotatePartOfHeads(t *testing.T) {
	d, r := New(1), random()
	rotation := compute.NewRotation([]float64{1, 0.1})
	positions := []int32{0, 7, 3}
	whole := randomMat(r, 3, 2*4)
	x := randomMat(r, 3, 2*6)
	before := valuesOf(t, x)
	for i := range 3 {
		for h := range 2 {
			d.Copy(whole.RowRange(i, i+1).ColRange(h*4, h*4+4), x.RowRange(i, i+1).ColRange(h*6, h*6+4))
		}
	}
	d.Rotate(whole, 4, positions, rotation, false)
	d.Rotate(x, 6, positions, rotation, false)
	got, turned := valuesOf(t, x), valuesOf(t, whole)
	for i := range got {
		head, col := i/6, i%6
		want := before[i]
		if col < 4 {
			want = turned[head*4+col]
		}
		if got[i] != want {
			t.Fatalf("value %d of head %d is %v, want %v", col, head, got[i], want)
		}
	}
}
