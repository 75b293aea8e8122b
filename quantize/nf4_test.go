package quantize_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/quantize"
)

// plainWeight is an F32 matrix of the values.
func plainWeight(t testing.TB, out, in int, values []float32) *compute.Weight {
	t.Helper()
	data := make([]byte, 4*len(values))
	if err := quantize.Encode(compute.F32, data, values); err != nil {
		for i, v := range values { // Encode refuses what some tests are about
			bits := math.Float32bits(v)
			copy(data[4*i:], []byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)})
		}
	}
	w, err := compute.NewWeight(compute.F32, out, in, data)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func randomValues(n int) []float32 {
	rng := rand.New(rand.NewPCG(3, 9))
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(rng.NormFloat64() * 0.02 * math.Exp(rng.NormFloat64()/3))
	}
	return values
}

func convert(t testing.TB, w *compute.Weight, f compute.Format) *compute.Weight {
	t.Helper()
	c, err := quantize.Convert(w, f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func code(d *compute.NF4Data, i int) byte {
	if i%2 == 0 {
		return d.Codes[i/2] >> 4
	}
	return d.Codes[i/2] & 15
}

// The table is that of the paper, each value of it decodes to itself, and each
// other to the nearest one, as an exhaustive search finds it.
func TestNF4CodesAreTheNearest(t *testing.T) {
	values := []float32{-1}
	for i := range 64 * 700 {
		values = append(values, float32(i)/(32*700)-1)
	}
	values = append(values, make([]float32, 64-len(values)%64)...)
	for i := 0; i < len(values); i += 64 {
		values[i] = 1 // so that the scale is 1
	}
	d := convert(t, plainWeight(t, len(values)/64, 64, values), compute.NF4).NF4()
	for i, v := range values {
		best, smallest := 0, math.Inf(1)
		for j, m := range d.QuantMap {
			if distance := math.Abs(float64(m) - float64(v)); distance < smallest {
				best, smallest = j, distance
			}
		}
		got := float64(d.QuantMap[code(d, i)])
		if int(code(d, i)) != best && !(math.Abs(math.Abs(got-float64(v))-smallest) <= 1e-7) {
			t.Fatalf("%v has code %d, want %d", v, code(d, i), best)
		}
	}
	if d.QuantMap[0] != -1 || d.QuantMap[7] != 0 || d.QuantMap[15] != 1 || !slices.IsSorted(d.QuantMap) {
		t.Errorf("quant_map %v", d.QuantMap)
	}
}

// The signed 8-bit numbers: 0, 1 and 127 of each sign, of which the largest is
// midway in the last 64th of 0.1 to 1 and the smallest that of the lowest decade.
func TestNF4DynamicMap(t *testing.T) {
	d := convert(t, plainWeight(t, 1, 64, randomValues(64)), compute.NF4).NF4()
	m := d.NestedMap
	if len(m) != 256 || !slices.IsSorted(m) || m[127] != 0 || m[255] != 1 {
		t.Fatalf("%d values, 127th %v, last %v", len(m), m[127], m[255])
	}
	for at, want := range map[int]float64{254: 1 - 0.9/128, 253: 1 - 0.9*3/128, 190: 0.1 * (1 - 0.9/64), 191: 0.1 + 0.9/128, 128: 0.55e-6, 129: 0.325e-5, 130: 0.775e-5} {
		if !(math.Abs(float64(m[at])-want) <= 1e-6*want) {
			t.Errorf("value %d is %v, want %v", at, m[at], want)
		}
	}
	for i := range 127 {
		if m[126-i] != -m[128+i] {
			t.Errorf("values %d and %d are %v and %v", 126-i, 128+i, m[126-i], m[128+i])
		}
	}
}

// The scales are those of the blocks, less their mean, to what 8 bits hold;
// their codes are the nearest.
func TestNF4Scales(t *testing.T) {
	for _, shape := range [][2]int{{1, 32}, {3, 32}, {3, 288}, {5, 96}, {300, 64}, {70, 512}} {
		out, in := shape[0], shape[1]
		values := randomValues(out * in)
		w := convert(t, plainWeight(t, out, in, values), compute.NF4)
		d := w.NF4()
		var scales []float64
		mean := 0.0
		for from := 0; from < len(values); from += 64 {
			largest := 0.0
			for _, v := range values[from:min(from+64, len(values))] {
				largest = max(largest, math.Abs(float64(v)))
			}
			scales, mean = append(scales, largest), mean+largest
		}
		mean /= float64(len(scales))
		if !(math.Abs(float64(d.NestedOffset)-mean) <= 1e-6*mean) {
			t.Errorf("%v: offset %v, want %v", shape, d.NestedOffset, mean)
		}
		for i, s := range scales {
			nested := float64(d.NestedAbsmax[i/256])
			distance := func(c byte) float64 { return math.Abs(float64(d.NestedMap[c])*nested - (s - mean)) }
			for c := range 256 {
				if !(distance(d.Absmax[i]) <= distance(byte(c))+1e-7*mean) {
					t.Fatalf("%v: scale %d has code %d, want %d", shape, i, d.Absmax[i], c)
				}
			}
			if math.Abs(s-mean) > nested*(1+1e-6) {
				t.Errorf("%v: scale %d is %v from the mean, nested_absmax %v", shape, i, s-mean, nested)
			}
		}
		row := make([]float32, in)
		for i := range out {
			w.Row(row, i)
			for j, got := range row {
				v, s := values[i*in+j], scales[(i*in+j)/64]
				// half the widest gap between neighbours, and what the scale lost
				if d := math.Abs(float64(got - v)); !(d <= 0.152*s+0.9/128*float64(w.NF4().NestedAbsmax[0])*2) {
					t.Fatalf("%v: %v became %v in a block up to %v", shape, v, got, s)
				}
			}
		}
	}
}

// Blocks of zeros are zeros again, beside others and alone.
func TestNF4OfZeros(t *testing.T) {
	values := randomValues(256)
	clear(values[64:128])
	values[200] = 0
	row := make([]float32, 256)
	convert(t, plainWeight(t, 1, 256, values), compute.NF4).Row(row, 0)
	for i, v := range values {
		if v == 0 && row[i] != 0 {
			t.Errorf("value %d became %v", i, row[i])
		}
	}
	tiny := math.Float32frombits(1)
	convert(t, plainWeight(t, 1, 96, append(make([]float32, 90), tiny, -tiny, tiny, 0, 0, 0)), compute.NF4).Row(row[:96], 0)
	for i, v := range row[:96] {
		if !(math.Abs(float64(v)) <= 1e-37) {
			t.Errorf("of nothing but zeros and denormal numbers, value %d became %v", i, v)
		}
	}
}

// The same bytes at any number of threads, and the right row blamed.
func TestConvertAtAnyNumberOfThreads(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	const out, in = 37, 96
	values := randomValues(out * in)
	w := plainWeight(t, out, in, values)
	broken := slices.Clone(values)
	broken[20*in+17], broken[35*in] = float32(math.Inf(1)), float32(math.NaN())
	for _, f := range []compute.Format{compute.F16, compute.BF16, compute.Q8_0, compute.Q4_0, compute.NF4} {
		var want *compute.Weight
		for _, threads := range []int{1, 2, 3, 64} {
			runtime.GOMAXPROCS(threads)
			got := convert(t, w, f)
			if want == nil {
				want = got
			}
			same := slices.Equal(got.Data(), want.Data())
			if f == compute.NF4 {
				a, b := got.NF4(), want.NF4()
				same = same && slices.Equal(a.Absmax, b.Absmax) && slices.Equal(a.NestedAbsmax, b.NestedAbsmax) && a.NestedOffset == b.NestedOffset
			}
			if !same {
				t.Errorf("%s: other bytes with %d threads", f, threads)
			}
			_, err := quantize.Convert(plainWeight(t, out, in, broken), f)
			if err == nil || !strings.Contains(err.Error(), "row 20: value 17 is +Inf") {
				t.Errorf("%s, %d threads: %v", f, threads, err)
			}
		}
		if again := convert(t, want, f); again != want {
			t.Errorf("%s: converted to itself", f)
		}
	}
}

// What Encode makes of each row, and Row of that.
func TestConvertIsEncode(t *testing.T) {
	const out, in = 5, 96
	values := randomValues(out * in)
	for _, f := range []compute.Format{compute.F16, compute.BF16, compute.Q8_0, compute.Q4_0} {
		want := make([]byte, f.RowBytes(len(values)))
		if err := quantize.Encode(f, want, values); err != nil {
			t.Fatal(err)
		}
		w := convert(t, plainWeight(t, out, in, values), f)
		if w.Format != f || w.Out != out || w.In != in || !slices.Equal(w.Data(), want) {
			t.Errorf("%s: %s (%d, %d) of other bytes", f, w.Format, w.Out, w.In)
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	w := plainWeight(t, 2, 48, make([]float32, 96))
	half := convert(t, plainWeight(t, 2, 256, make([]float32, 512)), compute.Q8_0)
	for _, c := range []struct {
		w    *compute.Weight
		f    compute.Format
		want string
	}{
		{w, compute.F32, "no encoder of F32: want one of F16, BF16, Q8_0, Q4_0, NF4"},
		{w, compute.Q5_0, "no encoder of Q5_0"},
		{half, compute.Q4_K, "no encoder of Q4_K"},
		{half, compute.Q6_K, "no encoder of Q6_K"},
		{w, compute.Format(99), "no encoder of Format(99)"},
		{w, compute.NF4, "rows of 48 values are not whole blocks of 32"},
		{w, compute.Q8_0, "rows of 48 values are not whole blocks of 32"},
		{half, compute.NF4, "is Q8_0 already"},
		{half, compute.BF16, "is Q8_0 already"},
	} {
		if _, err := quantize.Convert(c.w, c.f); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s to %s: %v, want %q", c.w.Format, c.f, err, c.want)
		}
	}
	for f, largest := range map[compute.Format]float32{compute.F16: 65520, compute.BF16: math.MaxFloat32} {
		values := make([]float32, 96)
		values[50] = largest
		want := fmt.Sprintf("row 1: value 2 is %v: too large for %s", largest, f)
		if _, err := quantize.Convert(plainWeight(t, 2, 48, values), f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", f, err, want)
		}
	}
}

func BenchmarkConvert(b *testing.B) {
	const out, in = 1536, 576
	w := plainWeight(b, out, in, randomValues(out*in))
	for _, source := range []*compute.Weight{w, convert(b, w, compute.BF16), convert(b, w, compute.F16)} {
		for _, f := range []compute.Format{compute.BF16, compute.Q8_0, compute.Q4_0, compute.NF4} {
			if source.Format == f {
				continue
			}
			b.Run(fmt.Sprintf("%s to %s", source.Format, f), func(b *testing.B) {
				for b.Loop() {
					convert(b, source, f)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(out*in), "ns/value")
			})
		}
	}
}
