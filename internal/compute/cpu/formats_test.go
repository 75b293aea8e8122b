package cpu

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

var formats = []compute.Format{
	compute.F32, compute.F16, compute.BF16, compute.Q8_0, compute.Q4_0, compute.Q5_0, compute.Q4_K, compute.Q6_K, compute.NF4,
	compute.Q4_1, compute.Q5_1, compute.Q2_K, compute.Q3_K, compute.Q5_K,
	compute.IQ4_NL, compute.IQ4_XS, compute.TQ1_0, compute.TQ2_0, compute.MXFP4,
}

// randomWeight returns a weight of any format and its values (Out·In).
func randomWeight(t testing.TB, r *rand.Rand, f compute.Format, out, in int) (*compute.Weight, []float32) {
	t.Helper()
	var w *compute.Weight
	var err error
	if f == compute.NF4 {
		w, err = compute.NewNF4Weight(out, in, randomNF4(r, out*in))
	} else {
		w, err = compute.NewWeight(f, out, in, randomBlocks(r, f, out*in))
	}
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, out*in)
	for i := range out {
		w.Row(values[i*in:(i+1)*in], i)
	}
	return w, values
}

// randomBlocks is n values of a format, of about unit size where they are
// scaled: random bytes, but for the float16 numbers.
func randomBlocks(r *rand.Rand, f compute.Format, n int) []byte {
	var data []byte
	half := func(at int, scale float64) {
		binary.LittleEndian.PutUint16(data[at:], compute.F32ToF16(float32(r.NormFloat64()*scale)))
	}
	size := f.RowBytes(f.BlockValues())
	for range n / f.BlockValues() {
		at := len(data)
		for range size {
			data = append(data, byte(r.Uint32()))
		}
		switch f {
		case compute.F32:
			binary.LittleEndian.PutUint32(data[at:], math.Float32bits(float32(r.NormFloat64())))
		case compute.F16:
			half(at, 1)
		case compute.BF16:
			binary.LittleEndian.PutUint16(data[at:], compute.F32ToBF16(float32(r.NormFloat64())))
		case compute.Q4_K:
			half(at, 1.0/500)
			half(at+2, 1.0/50)
		case compute.Q6_K:
			half(at+208, 1.0/2000)
		case compute.Q4_1, compute.Q5_1:
			half(at, 1.0/20)
			half(at+2, 1)
		case compute.Q5_K:
			half(at, 1.0/1000)
			half(at+2, 1.0/50)
		case compute.Q2_K:
			half(at+80, 1.0/20)
			half(at+82, 1.0/10)
		case compute.Q3_K:
			half(at+108, 1.0/60)
		case compute.IQ4_XS:
			half(at, 1.0/1000)
		case compute.TQ1_0:
			half(at+52, 1)
		case compute.TQ2_0:
			half(at+64, 1)
		case compute.MXFP4:
			data[at] = byte(123 + r.IntN(4))
		default:
			half(at, 1.0/50)
		}
	}
	return data
}

// randomNF4 is n values with tables and scales of any kind.
func randomNF4(r *rand.Rand, n int) compute.NF4Data {
	scales := (n + 63) / 64
	d := compute.NF4Data{
		Codes: make([]byte, n/2), QuantMap: normals(r, 16), Absmax: make([]byte, scales),
		NestedMap: normals(r, 256), NestedAbsmax: normals(r, (scales+255)/256), NestedOffset: 0.3,
	}
	for i := range d.Codes {
		d.Codes[i] = byte(r.Uint32())
	}
	for i := range d.Absmax {
		d.Absmax[i] = byte(r.Uint32())
	}
	return d
}

// convert is what packing and Embed read weights with: the same to the bit as
// Part, along rows and down columns, and nothing beyond.
func TestConvertIsPart(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for _, f := range formats {
			for _, in := range []int{32, 64, 96, 256, 288, 512, 768} {
				if in%f.BlockValues() != 0 {
					continue
				}
				const out = 9
				w, values := randomWeight(t, r, f, out, in)
				for range 40 {
					row, col, down := r.IntN(out), panelWidth*r.IntN(in/panelWidth), r.IntN(2) == 0
					n := 1 + r.IntN((in-col)/panelWidth)
					if down {
						n = 1 + r.IntN(out-row)
					}
					got := matOf(make([]float32, n*panelWidth), 1, n*panelWidth, 0)
					d.kernels.convert(viewOf("groups", got).row(0), w, row, col, down)
					var want []float32
					for g := range n {
						at := row*in + col + g*panelWidth
						if down {
							at = (row+g)*in + col
						}
						want = append(want, values[at:at+panelWidth]...)
					}
					sameBits(t, fmt.Sprintf("%s %d × %d: %d from (%d, %d), down %v", f, out, in, n, row, col, down), valuesOf(t, got), want)
				}
			}
		}
	})
}

// Columns of more groups than one call in assembly takes, and none.
func TestConvertLongColumns(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, f := range formats {
			const out, in = 1100, 256
			w, values := randomWeight(t, random(), f, out, in)
			got, want := make([]float32, out*panelWidth), []float32(nil)
			d.kernels.convert(got, w, 0, 96, true)
			for i := range out {
				want = append(want, values[i*in+96:][:panelWidth]...)
			}
			sameBits(t, f.String(), got, want)
			d.kernels.convert(nil, w, 0, 0, true)
			d.kernels.convert(nil, w, out, 0, false)
		}
	})
}

func TestConvertOutsideItsWeightPanics(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, f := range formats {
			w, _ := randomWeight(t, random(), f, 3, 256)
			two := make([]float32, 2*panelWidth)
			d.kernels.convert(two, w, 1, 224, true)
			mustPanic(t, f.String()+" below", func() { d.kernels.convert(two, w, 2, 224, true) })
			mustPanic(t, f.String()+" beside", func() { d.kernels.convert(two, w, 2, 224, false) })
			mustPanic(t, f.String()+" before", func() { d.kernels.convert(two, w, 0, -32, true) })
			mustPanic(t, f.String()+" above", func() { d.kernels.convert(two, w, -1, 0, true) })
		}
	})
}

// dequantize is what Embed reads with: any part of a row.
func TestDequantizeIsPart(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		for _, f := range formats {
			for _, n := range []int{1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 96, 160, 224, 992, 1000} {
				if n%min(panelWidth, f.BlockValues()) != 0 {
					continue
				}
				in := n + 32 + (-n-32)&(f.BlockValues()-1)
				w, values := randomWeight(t, random(), f, 3, in)
				for i := range 3 {
					got := matOf(make([]float32, n), 1, n, 0)
					d.kernels.dequantize(viewOf("row", got).row(0), w, i, 32)
					sameBits(t, fmt.Sprintf("%s %d", f, n), valuesOf(t, got), values[i*in+32:][:n])
				}
			}
		}
	})
}

// All 65,536 halves, with infinities, denormal numbers and NaNs.
func TestConvertHalves(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		data := make([]byte, 0, 2<<16)
		for h := range 1 << 16 {
			data = append(data, byte(h), byte(h>>8))
		}
		got, want := make([]float32, 1<<16), make([]float32, 1<<16)
		for _, f := range []compute.Format{compute.F16, compute.BF16} {
			w, err := compute.NewWeight(f, 1<<11, panelWidth, data)
			if err != nil {
				t.Fatal(err)
			}
			d.kernels.convert(got, w, 0, 0, true)
			compute.Dequantize(f, want, data)
			sameBits(t, f.String(), got, want)
		}
	})
}

// sameBits fails unless every value has the bits of the wanted one.
func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// A weight that is kept exact is multiplied as the numbers that it holds: rows
// of x are not rounded.
func TestMatVecOfExactWeights(t *testing.T) {
	eachKernels(t, func(t *testing.T, d *Device) {
		r := random()
		for _, f := range []compute.Format{compute.Q8_0, compute.Q4_0, compute.Q5_0, compute.Q4_K, compute.Q6_K} {
			const out, in = 40, 256
			w, values := randomWeight(t, r, f, out, in)
			if !w.Integers() {
				t.Errorf("%s: not in integers", f)
			}
			w.KeepExact()
			x := normals(r, in)
			got := matOf(make([]float32, out), 1, out, 0)
			d.MatVec(got, matOf(x, 1, in, 0), w, 1, false)
			for i, v := range valuesOf(t, got) {
				want, size := 0.0, 0.0
				for j := range x {
					term := float64(x[j]) * float64(values[i*in+j])
					want, size = want+term, size+math.Abs(term)
				}
				if !(math.Abs(float64(v)-want) <= 1e-6*size) {
					t.Fatalf("%s: row %d is %v, want %v", f, i, v, want)
				}
			}
		}
	})
}
