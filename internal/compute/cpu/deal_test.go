package cpu

import (
	"slices"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// The rows go to the parts in turn, whatever the threads, and nowhere else.
func TestDeal(t *testing.T) {
	for _, sizes := range [][]int{{3}, {1, 0, 4}, {2, 1, 1, 3, 0, 1, 1, 5, 2}, slices.Repeat([]int{1}, 40)} {
		for _, threads := range []int{1, 3} {
			d, n := New(threads), 0
			for _, s := range sizes {
				n += s
			}
			x := randomMat(random(), n, 5)
			all := compute.Of(d.New(n+len(sizes)+1, 5)) // with a row before each part and at the end
			var parts []compute.Mat
			for row, i := 1, 0; i < len(sizes); i++ {
				parts = append(parts, all.RowRange(row, row+sizes[i]))
				row += sizes[i] + 1
			}
			d.Deal(parts, x)
			var got []float32
			for _, p := range parts {
				got = append(got, d.Host(p)...)
			}
			want := compute.Of(d.New(n, 5))
			d.Copy(want, x)
			if !slices.Equal(got, d.Host(want)) {
				t.Errorf("%v, %d threads: parts %v of %v", sizes, threads, got, d.Host(want))
			}
			for row, i := 0, 0; i <= len(sizes); i++ {
				if guard := d.Host(all.RowRange(row, row+1)); !slices.Equal(guard, make([]float32, 5)) {
					t.Errorf("%v, %d threads: wrote %v before part %d", sizes, threads, guard, i)
				}
				if i < len(sizes) {
					row += sizes[i] + 1
				}
			}
		}
	}
}
