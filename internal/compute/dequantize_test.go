package compute_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
)

// The files are two rows of 512 values as llama-quantize stores them, and what
// ggml's reference makes of them.
func TestDequantizeIsTheReference(t *testing.T) {
	for _, f := range []compute.Format{compute.Q8_0, compute.Q4_0, compute.Q5_0, compute.Q4_K, compute.Q6_K} {
		t.Run(f.String(), func(t *testing.T) {
			data, want := testdata(t, f.String()+".blocks"), make([]float32, 2*512)
			compute.Dequantize(compute.F32, want, testdata(t, f.String()+".f32"))
			got := make([]float32, len(want))
			compute.Dequantize(f, got, data)
			sameBits(t, "all", got, want)

			// Any part of a row is that part of the whole.
			w, err := compute.NewWeight(f, 2, 512, data)
			if err != nil {
				t.Fatal(err)
			}
			testParts(t, w, want)
		})
	}
}

func testdata(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// testParts compares every part of every row of w, and rows, with its values.
func testParts(t *testing.T, w *compute.Weight, values []float32) {
	t.Helper()
	step := min(32, w.Format.BlockValues())
	got := make([]float32, w.In)
	for i := range w.Out {
		row := values[i*w.In:][:w.In]
		w.Row(got, i)
		sameBits(t, "row", got, row)
		for from := 0; from <= w.In; from += step {
			for n := 0; n <= w.In-from; n += step {
				w.Part(got[:n], i, from)
				sameBits(t, "part", got[:n], row[from:from+n])
			}
		}
	}
	mustPanic(t, "a row too far", func() { w.Part(got[:step], w.Out, 0) })
	mustPanic(t, "a row before", func() { w.Part(got[:step], -1, 0) })
	mustPanic(t, "past the row", func() { w.Part(got[:step], 0, w.In) })
	mustPanic(t, "from before the row", func() { w.Part(got[:step], 0, -step) })
	if step > 1 {
		mustPanic(t, "part of a group", func() { w.Part(got[:step-1], 0, 0) })
		mustPanic(t, "from within a group", func() { w.Part(got[:step], 0, 1) })
	}
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: value %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func TestPartOfPlainFormats(t *testing.T) {
	data := make([]byte, 4*3*5)
	for i := range data {
		data[i] = byte(i * 11)
	}
	for _, f := range []compute.Format{compute.F32, compute.F16, compute.BF16} {
		w, err := compute.NewWeight(f, 3, 5, data[:f.RowBytes(15)])
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float32, 15)
		compute.Dequantize(f, values, w.Data())
		testParts(t, w, values)
	}
}

func TestDequantizePanics(t *testing.T) {
	mustPanic(t, "part of a block", func() { compute.Dequantize(compute.Q4_K, make([]float32, 128), make([]byte, 72)) })
	mustPanic(t, "a byte short", func() { compute.Dequantize(compute.Q6_K, make([]float32, 256), make([]byte, 209)) })
	mustPanic(t, "NF4", func() { compute.Dequantize(compute.NF4, make([]float32, 64), make([]byte, 32)) })
}
