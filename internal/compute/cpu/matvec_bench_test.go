package cpu

import (
	"fmt"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// BenchmarkMatVec does all products of one step of generating of a model of
// 135 million weights, 30 layers and a head, at once for 1, 8 and 32
// sequences. Weights are distinct, so most of them come from memory.
func BenchmarkMatVec(b *testing.B) {
	for _, f := range vectorFormats[1:] {
		model := benchmarkModel(b, f)
		bytes := 0
		for _, w := range model {
			bytes += w.Bytes()
		}
		d := New(0)
		for _, n := range []int{1, 8, 32} {
			x, y := compute.Of(d.New(n, 1536)), compute.Of(d.New(n, 49152))
			copy(d.Host(x), normals(random(), n*1536))
			b.Run(fmt.Sprintf("%s/%d", f, n), func(b *testing.B) {
				step := func() {
					for _, w := range model {
						d.MatVec(y.ColRange(0, w.Out), x.ColRange(0, w.In), w, 1, false)
					}
				}
				step() // weights may be interleaved
				for b.Loop() {
					step()
				}
				perSecond := float64(b.N) / b.Elapsed().Seconds()
				b.ReportMetric(perSecond*float64(n), "tok/s")
				b.ReportMetric(perSecond*float64(bytes)/1e9, "GB/s")
			})
		}
	}
}

// benchmarkModel returns weights of rounded random numbers.
func benchmarkModel(b *testing.B, f compute.Format) []*compute.Weight {
	r := random()
	shapes := [][2]int{{49152, 576}}
	for range 30 {
		shapes = append(shapes, [2]int{960, 576}, [2]int{576, 576}, [2]int{3072, 576}, [2]int{576, 1536})
	}
	var model []*compute.Weight
	for _, shape := range shapes {
		if shape[1]%f.BlockValues() != 0 {
			shape[1] = 512 // of as many values as are whole blocks
		}
		row, _ := randomWeight(b, r, f, 16, shape[1])
		data := make([]byte, 0, shape[0]*f.RowBytes(shape[1]))
		for len(data) < cap(data) {
			data = append(data, row.Data()...)
		}
		w, err := compute.NewWeight(f, shape[0], shape[1], data)
		if err != nil {
			b.Fatal(err)
		}
		model = append(model, w)
	}
	return model
}
