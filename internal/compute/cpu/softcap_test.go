package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

func TestSoftCap(t *testing.T) { eachKernels(t, testSoftCap) }

func testSoftCap(t *testing.T, d *Device) {
	r := random()
	for _, limit := range []float32{0.5, 30} {
		for _, cols := range sizes {
			const rows = 3
			x, dx := randomMat(r, rows, cols), randomMat(r, rows, cols)
			d.Scale(x, 3*limit)
			values, want, wantGrad := doubles(valuesOf(t, x)), make([]float64, rows*cols), doubles(valuesOf(t, dx))
			capped := func(v float64) float64 { return float64(limit) * math.Tanh(v/float64(limit)) }
			for i, v := range values {
				want[i] = capped(v)
				wantGrad[i] *= slope(&v, func() float64 { return capped(v) })
			}
			d.SoftCap(x, limit)
			near(t, "capped", valuesOf(t, x), want, 0, 5e-7)
			d.SoftCapGrad(dx, x, limit)
			near(t, "gradient", valuesOf(t, dx), wantGrad, 2e-6, 2e-6)
		}
	}
	x := matOf([]float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1e-30}, 1, 4, 0)
	d.SoftCap(x, 2)
	near(t, "far out", valuesOf(t, x), []float64{2, -2, math.NaN(), 1e-30}, 0, 1e-6)
	mustPanic(t, "at 0", func() { d.SoftCap(x, 0) })
	mustPanic(t, "at NaN", func() { d.SoftCapGrad(x, x, float32(math.NaN())) })
}

// BenchmarkCappedAttention is of 512 tokens and the heads of Gemma 2, with and
// without the cap.
func BenchmarkCappedAttention(b *testing.B) {
	const heads, kvHeads, headDim, n = 8, 4, 256, 512
	r := random()
	q, out, dout, dq := randomMat(r, n, heads*headDim), randomMat(r, n, heads*headDim), randomMat(r, n, heads*headDim), randomMat(r, n, heads*headDim)
	k, v, dk, dv := randomMat(r, n, kvHeads*headDim), randomMat(r, n, kvHeads*headDim), randomMat(r, n, kvHeads*headDim), randomMat(r, n, kvHeads*headDim)
	lse := randomMat(r, n, heads)
	d := New(1)
	for _, limit := range []float32{0, 2, 50} {
		s := compute.AttentionShape{Heads: heads, KVHeads: kvHeads, HeadDim: headDim, Scale: 1. / 16, SoftCap: limit, From: segments(n)}
		b.Run(fmt.Sprintf("forward/%v", limit), func(b *testing.B) {
			for b.Loop() {
				d.Attention(out, lse, q, k, v, s)
			}
		})
		b.Run(fmt.Sprintf("backward/%v", limit), func(b *testing.B) {
			for b.Loop() {
				d.AttentionGrad(dq, dk, dv, dout, out, lse, q, k, v, s)
			}
		})
	}
}
