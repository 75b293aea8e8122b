package cpu

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/retort-ml/retort/internal/compute"
)

// BenchmarkFormats reports how the products of 512 rows with a weight of every
// format compare with F32, as medians of runs that take turns: the time over
// F32's, 1.05 being five hundredths slower.
func BenchmarkFormats(b *testing.B) {
	for _, shape := range [][2]int{{576, 576}, {1536, 576}, {576, 1536}, {1536, 512}} {
		b.Run(fmt.Sprintf("MatMul/%dx%d", shape[0], shape[1]), func(b *testing.B) {
			benchmarkFormats(b, shape[0], shape[1], func(d *Device, x, y compute.Mat, w *compute.Weight) { d.MatMul(y, x, w, 1, false) })
		})
		b.Run(fmt.Sprintf("MatMulGrad/%dx%d", shape[0], shape[1]), func(b *testing.B) {
			benchmarkFormats(b, shape[0], shape[1], func(d *Device, x, y compute.Mat, w *compute.Weight) { d.MatMulGrad(x, y, w, 1, false) })
		})
	}
}

func benchmarkFormats(b *testing.B, out, in int, product func(d *Device, x, y compute.Mat, w *compute.Weight)) {
	const n = 512
	d := New(0)
	x, y := compute.Of(d.New(n, in)), compute.Of(d.New(n, out))
	var weights []*compute.Weight
	for _, f := range formats {
		if in%f.BlockValues() == 0 {
			w, _ := randomWeight(b, random(), f, out, in)
			weights = append(weights, w)
		}
	}
	seconds, ratios := make([]float64, 0, 100), make([][]float64, len(weights))
	for b.Loop() {
		var plain float64
		for i, w := range weights {
			start := time.Now()
			product(d, x, y, w)
			took := time.Since(start).Seconds()
			if i == 0 {
				plain, seconds = took, append(seconds, took)
			}
			ratios[i] = append(ratios[i], took/plain)
		}
	}
	median := func(x []float64) float64 { slices.Sort(x); return x[len(x)/2] }
	b.ReportMetric(2*n*float64(out)*float64(in)/median(seconds)/1e9, "F32-GFLOP/s")
	for i, w := range weights[1:] {
		b.ReportMetric(median(ratios[i+1]), w.Format.String()+"/F32")
	}
}
