package compute_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// Each format by its whole block, in float64 and element by element, as
// ggml-common.h and the reference reader of gguf-py lay it out.
var plainBlocks = map[compute.Format]func(b []byte) []float64{
	compute.Q4_1: func(b []byte) []float64 {
		return eachValue(32, func(i int) float64 { return half(b)*nibble(b[4:], i) + half(b[2:]) })
	},
	compute.Q5_1: func(b []byte) []float64 {
		return eachValue(32, func(i int) float64 {
			return half(b)*(nibble(b[8:], i)+16*bit(b[4+i/8], i%8)) + half(b[2:])
		})
	},
	compute.Q2_K: func(b []byte) []float64 {
		return eachValue(256, func(i int) float64 {
			sc := b[i/16]
			return half(b[80:])*float64(sc%16)*crumb(b[16:], i) - half(b[82:])*float64(sc/16)
		})
	},
	compute.Q3_K: func(b []byte) []float64 {
		var scales [16]float64
		for i := range 4 { // four words of 4 scales: low halves, high halves, and two bits of each
			for k, low := range []byte{b[96+i] & 15, b[100+i] & 15, b[96+i] >> 4, b[100+i] >> 4} {
				scales[4*k+i] = float64(low) + 16*float64(b[104+i]>>(2*k)&3) - 32
			}
		}
		return eachValue(256, func(i int) float64 {
			return half(b[108:]) * scales[i/16] * (crumb(b[32:], i) + 4*bit(b[i%32], i/32) - 4)
		})
	},
	compute.Q5_K: func(b []byte) []float64 {
		var sc, mn [8]float64
		for j := range 4 {
			s := b[4:16]
			sc[j], mn[j] = float64(s[j]&63), float64(s[j+4]&63)
			sc[j+4] = float64(s[j+8]&15) + 16*float64(s[j]>>6)
			mn[j+4] = float64(s[j+8]>>4) + 16*float64(s[j+4]>>6)
		}
		return eachValue(256, func(i int) float64 {
			g := i / 32
			q := float64(b[48+32*(g/2)+i%32]>>(4*(g%2))&15) + 16*bit(b[16+i%32], g)
			return half(b)*sc[g]*q - half(b[2:])*mn[g]
		})
	},
	compute.IQ4_NL: func(b []byte) []float64 {
		return eachValue(32, func(i int) float64 { return half(b) * nonLinear[int(nibble(b[2:], i))] })
	},
	compute.IQ4_XS: func(b []byte) []float64 {
		return eachValue(256, func(i int) float64 {
			g := i / 32
			scale := float64(b[4+g/2]>>(4*(g%2))&15) + 16*float64((int(b[2])|int(b[3])<<8)>>(2*g)&3) - 32
			return half(b) * scale * nonLinear[int(nibble(b[8+16*g:], i%32))]
		})
	},
	compute.TQ1_0: func(b []byte) []float64 {
		var out []float64
		for _, part := range []struct{ first, bytes, digits int }{{0, 32, 5}, {32, 16, 5}, {48, 4, 4}} {
			for n := range part.digits {
				for _, v := range b[part.first : part.first+part.bytes] {
					// the fraction v/256, its n-th digit after the point in base 3
					shifted := int(v) * int(math.Pow(3, float64(n))) % 256
					out = append(out, half(b[52:])*float64(shifted*3/256-1))
				}
			}
		}
		return out
	},
	compute.TQ2_0: func(b []byte) []float64 {
		return eachValue(256, func(i int) float64 { return half(b[64:]) * (crumb(b, i) - 1) })
	},
	compute.MXFP4: func(b []byte) []float64 {
		return eachValue(32, func(i int) float64 {
			code := int(nibble(b[1:], i))
			value, exponent := float64(code&1)/2, code>>1&3 // denormal: 0 or 0.5
			if exponent > 0 {
				value = (1 + value) * math.Pow(2, float64(exponent-1))
			}
			if code > 7 {
				value = -value
			}
			return math.Ldexp(value, int(b[0])-127)
		})
	},
}

var nonLinear = []float64{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func eachValue(n int, f func(i int) float64) (out []float64) {
	for i := range n {
		out = append(out, f(i))
	}
	return out
}

func half(b []byte) float64 { return float64(compute.F16ToF32(uint16(b[0]) | uint16(b[1])<<8)) }

func bit(b byte, i int) float64 { return float64(b >> i & 1) }

// nibble is value i of 32: 16 in the low halves, 16 in the high ones.
func nibble(b []byte, i int) float64 { return float64(b[i%16] >> (4 * (i / 16)) & 15) }

// crumb is value i of 256 of 2 bits: 32 bytes hold 128.
func crumb(b []byte, i int) float64 { return float64(b[i/128*32+i%32] >> (2 * (i % 128 / 32)) & 3) }

// halves are where the f16 numbers of a block lie.
var halves = map[compute.Format][]int{
	compute.Q4_1: {0, 2}, compute.Q5_1: {0, 2}, compute.Q2_K: {80, 82}, compute.Q3_K: {108}, compute.Q5_K: {0, 2},
	compute.IQ4_NL: {0}, compute.IQ4_XS: {0}, compute.TQ1_0: {52}, compute.TQ2_0: {64}, compute.MXFP4: nil,
}

func TestRareFormatsAgainstTheirLayout(t *testing.T) {
	for f, plain := range plainBlocks {
		t.Run(f.String(), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(f)))
			const out, blocks = 3, 4
			in := blocks * f.BlockValues()
			size := f.RowBytes(f.BlockValues())
			data := make([]byte, out*f.RowBytes(in))
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			var want []float64
			for at := 0; at < len(data); at += size {
				block := data[at : at+size]
				for _, h := range halves[f] {
					v := compute.F32ToF16(float32(rng.NormFloat64()))
					block[h], block[h+1] = byte(v), byte(v>>8)
				}
				want = append(want, plain(block)...)
			}
			w, err := compute.NewWeight(f, out, in, data)
			if err != nil {
				t.Fatal(err)
			}
			values := make([]float32, out*in)
			compute.Dequantize(f, values, data)
			for i, v := range values {
				// Sums round to float32 after each operation: relative to their terms.
				largest := float64(0)
				for j := i / 16 * 16; j < i/16*16+16; j++ {
					largest = max(largest, math.Abs(want[j]))
				}
				if !(math.Abs(float64(v)-want[i]) <= 1e-6*largest+4e-7*400) && f != compute.MXFP4 ||
					f == compute.MXFP4 && float64(v) != want[i] {
					t.Fatalf("value %d is %v, want %v", i, v, want[i])
				}
			}
			testParts(t, w, values)
		})
	}
}

// Exponents of MXFP4 at both ends, by hand.
func TestPowersOfMXFP4(t *testing.T) {
	for _, c := range []struct {
		e    byte
		want float64
	}{{0, math.Ldexp(1, -127)}, {1, math.Ldexp(1, -126)}, {2, math.Ldexp(1, -125)}, {127, 1}, {130, 8}, {253, math.Ldexp(1, 126)}} {
		block := make([]byte, 17)
		block[0], block[1] = c.e, 2 // code 2 stands for 1
		got := make([]float32, 32)
		compute.Dequantize(compute.MXFP4, got, block)
		if float64(got[0]) != c.want {
			t.Errorf("exponent %d: %v, want %v", c.e, got[0], c.want)
		}
	}
}
