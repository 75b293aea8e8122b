package cpu_test

import (
	"math"
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/compute/cpu"
)

// spread fills an array (rows,cols) with rows that lie apart.
func spread(d *cpu.Device, rows, cols, seed int) compute.Mat {
	stride := cols + 3
	m := compute.Mat{Array: d.New(rows * stride), Rows: rows, Cols: cols, Stride: stride}
	values := m.Array.Float32s()
	for i := range values {
		values[i] = float32(math.Sin(float64(seed + 7*i)))
	}
	return m
}

func at(m compute.Mat, i, j int) float32 { return m.Array.Float32s()[i*m.Stride+j] }

func TestColumns(t *testing.T) {
	for _, rows := range []int{1, 2, 33} {
		for _, cols := range []int{1, 7, 16, 31, 100} {
			d := cpu.New(3)
			x, b, row := spread(d, rows, cols, 1), spread(d, rows, cols, 2), spread(d, 1, cols, 3)
			y, sum := spread(d, rows, cols, 4), spread(d, 1, cols, 5)
			before := slices.Clone(sum.Array.Float32s())
			d.MulRow(y, x, row)
			d.SumProducts(sum, x, b)
			for j := range cols {
				want := float64(before[j])
				for i := range rows {
					if at(y, i, j) != at(x, i, j)*at(row, 0, j) {
						t.Fatalf("(%d, %d): value (%d, %d) is %v", rows, cols, i, j, at(y, i, j))
					}
					want += float64(at(x, i, j)) * float64(at(b, i, j))
				}
				if !(math.Abs(float64(at(sum, 0, j))-want) <= 1e-5) {
					t.Fatalf("(%d, %d): sum %d is %v, want %v", rows, cols, j, at(sum, 0, j), want)
				}
			}
			if y.Array.Float32s()[cols] != float32(math.Sin(float64(4+7*cols))) || sum.Array.Float32s()[cols] != before[cols] {
				t.Errorf("(%d, %d): values beside the columns were changed", rows, cols)
			}
		}
	}
}

func TestGatherColumns(t *testing.T) {
	d := cpu.New(2)
	const r, v = 5, 9
	w, ids := spread(d, r, v, 1), []int32{3, 0, -1, 8, 3}
	y := spread(d, len(ids), r, 2)
	d.GatherColumns(y, w, ids)
	dw := spread(d, r, v, 3)
	before := slices.Clone(dw.Array.Float32s())
	dy := spread(d, len(ids), r, 4)
	d.GatherColumnsGrad(dw, dy, ids, 0.5)
	for k := range r {
		for i, id := range ids {
			want := float32(0)
			if id >= 0 {
				want = at(w, k, int(id))
			}
			if at(y, i, k) != want {
				t.Errorf("row %d value %d is %v, want %v", i, k, at(y, i, k), want)
			}
		}
		for c := range v {
			want := float64(before[k*dw.Stride+c])
			for i, id := range ids {
				if int(id) == c {
					want += 0.5 * float64(at(dy, i, k))
				}
			}
			if !(math.Abs(float64(at(dw, k, c))-want) <= 1e-6) {
				t.Errorf("gradient (%d, %d) is %v, want %v", k, c, at(dw, k, c), want)
			}
		}
	}
}
