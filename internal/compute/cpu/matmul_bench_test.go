package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/retort-ml/retort/internal/compute"
)

// benchmarkShapes are N, Out, In of linear layers, of low-rank updates and of decoding.
var benchmarkShapes = [][3]int{
	{512, 576, 576}, {512, 1536, 576}, {4096, 160, 160}, {4096, 96, 256}, {4096, 1500, 160},
	{1024, 16, 576}, {1024, 576, 16}, {64, 576, 576}, {8, 576, 1536}, {1, 1536, 576},
}

// BenchmarkMatMul reports what products reach, and which part that is of what
// the same threads do in registers in the same seconds.
func BenchmarkMatMul(b *testing.B) {
	for _, shape := range benchmarkShapes {
		for _, f := range []compute.Format{compute.F32, compute.Q4_0} {
			if shape[2]%f.BlockValues() == 0 {
				benchmarkProducts(b, f, shape[0], shape[1], shape[2])
			}
		}
	}
}

func benchmarkProducts(b *testing.B, f compute.Format, n, out, in int) {
	d := New(0)
	w, _ := randomWeight(b, random(), f, out, in)
	x, y, dw := compute.Of(d.New(n, in)), compute.Of(d.New(n, out)), compute.Of(d.New(out, in))
	for _, product := range []struct {
		name string
		run  func()
	}{
		{"MatMul", func() { d.MatMul(y, x, w, 1, false) }},
		{"MatMulGrad", func() { d.MatMulGrad(x, y, w, 1, false) }},
		{"MatMulOuter", func() { d.MatMulOuter(dw, y, x, 1, false) }},
	} {
		if product.name == "MatMulOuter" && f != compute.F32 {
			continue // has no weight
		}
		b.Run(fmt.Sprintf("%s/%s/%dx%dx%d", product.name, f, n, out, in), func(b *testing.B) {
			peak := d.PeakFLOPS(20 * time.Millisecond)
			for b.Loop() {
				product.run()
			}
			flops := 2 * float64(n) * float64(out) * float64(in) * float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(flops/1e9, "GFLOP/s")
			b.ReportMetric(flops/peak, "of-peak")
		})
	}
}

// BenchmarkAttention reports the same for a row of 512 tokens, and for 4096
// rows in segments of 32, at 9 heads of 64 over 3 of keys.
func BenchmarkAttention(b *testing.B) {
	const heads, kvHeads, headDim = 9, 3, 64
	for _, c := range []struct {
		name    string
		lengths []int
	}{{"one of 512", []int{512}}, {"128 of 32", slices.Repeat([]int{32}, 128)}} {
		from := segments(c.lengths...)
		n := len(from)
		d := New(0)
		r := random()
		q, out, dout, dq := randomMat(r, n, heads*headDim), randomMat(r, n, heads*headDim), randomMat(r, n, heads*headDim), randomMat(r, n, heads*headDim)
		k, v, dk, dv := randomMat(r, n, kvHeads*headDim), randomMat(r, n, kvHeads*headDim), randomMat(r, n, kvHeads*headDim), randomMat(r, n, kvHeads*headDim)
		lse := randomMat(r, n, heads)
		s := compute.AttentionShape{Heads: heads, KVHeads: kvHeads, HeadDim: headDim, Scale: 0.125, From: from}
		seen := 0
		for i, f := range from {
			seen += i + 1 - int(f)
		}
		report := func(b *testing.B, products int) {
			flops := float64(products) * 2 * float64(seen) * heads * headDim * float64(b.N) / b.Elapsed().Seconds()
			b.ReportMetric(flops/1e9, "GFLOP/s")
		}
		b.Run("forward/"+c.name, func(b *testing.B) {
			for b.Loop() {
				d.Attention(out, lse, q, k, v, s)
			}
			report(b, 2)
		})
		b.Run("backward/"+c.name, func(b *testing.B) {
			for b.Loop() {
				d.AttentionGrad(dq, dk, dv, dout, out, lse, q, k, v, s)
			}
			report(b, 5)
		})
	}
}

// BenchmarkRows reports, for rows of 576 values, nanoseconds a value and how
// many times as fast as the portable kernels that is.
func BenchmarkRows(b *testing.B) {
	const rows, cols = 512, 576
	r := random()
	x, y, z, gain, dgain := randomMat(r, rows, cols), randomMat(r, rows, cols), randomMat(r, rows, cols), randomMat(r, 1, cols), randomMat(r, 1, cols)
	gateUp, dgateUp := randomMat(r, rows, 2*cols), randomMat(r, rows, 2*cols)
	positions, targets, weights, losses := make([]int32, rows), make([]int32, rows), make([]float32, rows), make([]float64, rows)
	rotation := compute.NewRotation(make([]float64, 32))
	for _, row := range []struct {
		name string
		run  func(d *Device)
	}{
		{"Add", func(d *Device) { d.Add(y, x, z) }},
		{"RMSNorm", func(d *Device) { d.RMSNorm(y, x, gain, 1e-5) }},
		{"RMSNormGrad", func(d *Device) { d.RMSNormGrad(y, compute.Mat{}, z, x, gain, 1e-5, false) }},
		{"Rotate", func(d *Device) { d.Rotate(x, 64, positions, rotation, false) }},
		{"GLU", func(d *Device) { d.GLU(y, gateUp, compute.SiLU) }},
		{"GLUGrad", func(d *Device) { d.GLUGrad(dgateUp, y, gateUp, compute.SiLU) }},
		{"RMSNormGrad with gain", func(d *Device) { d.RMSNormGrad(y, dgain, z, x, gain, 1e-5, true) }},
		{"LayerNorm", func(d *Device) { d.LayerNorm(y, x, gain, gain, 1e-5) }},
		{"LayerNormGrad", func(d *Device) { d.LayerNormGrad(y, dgain, dgain, z, x, gain, 1e-5, false) }},
		{"GELU", func(d *Device) { d.GLU(y, gateUp, compute.GELUTanh) }},
		{"GELUGrad", func(d *Device) { d.GLUGrad(dgateUp, y, gateUp, compute.GELUTanh) }},
		{"Dropout", func(d *Device) { d.Dropout(y, x, 0.1, 5) }},
		{"SumRows", func(d *Device) { d.SumRows(dgain, x) }},
		{"SumSquares", func(d *Device) { d.SumSquares(x) }},
		{"EmbedGrad", func(d *Device) { d.EmbedGrad(y, x, targets, 1) }},
		{"LogSoftmax", func(d *Device) { d.LogSoftmax(y) }},
		{"CrossEntropy", func(d *Device) { d.CrossEntropy(y, targets, weights, losses) }},
		{"AdamW", func(d *Device) { d.AdamW(x, y, z, z, compute.AdamW{Step: 1, Eps: 1e-8, Beta1: 0.9, Beta2: 0.999}) }},
	} {
		b.Run(row.name, func(b *testing.B) {
			d, plain := New(1), New(1)
			plain.kernels = portable()
			plainNanoseconds := math.Inf(1) // the best of some, as other programs may run
			for range 10 {
				start := time.Now()
				row.run(plain)
				plainNanoseconds = min(plainNanoseconds, float64(time.Since(start).Nanoseconds()))
			}
			for b.Loop() {
				row.run(d)
			}
			nanoseconds := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			b.ReportMetric(nanoseconds/(rows*cols), "ns/value")
			b.ReportMetric(plainNanoseconds/nanoseconds, "times-go")
		})
	}
}
