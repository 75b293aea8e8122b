package quantize_test

import (
	"bytes"
	"testing"

	"github.com/retort-ml/retort/internal/compute"
	"github.com/retort-ml/retort/internal/gguf"
	"github.com/retort-ml/retort/quantize"
)

func openGGUF(t *testing.T, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func tensorBytes(t *testing.T, f *gguf.File, name string) []byte {
	t.Helper()
	b, err := f.Bytes(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The files are a small model of normal random weights and what llama-quantize
// --pure made of it.
func TestEncodeIsBitExactWithLlamaQuantize(t *testing.T) {
	source := openGGUF(t, "testdata/tiny-f32.gguf")
	for _, f := range []compute.Format{compute.Q8_0, compute.Q4_0} {
		want := openGGUF(t, "testdata/tiny-"+f.String()+".gguf")
		matrices := 0
		for _, info := range source.Tensors() {
			if len(info.Dims) < 2 {
				continue
			}
			matrices++
			values := make([]float32, info.Dims[0]*info.Dims[1])
			compute.Dequantize(compute.F32, values, tensorBytes(t, source, info.Name))
			got := make([]byte, f.RowBytes(len(values)))
			if err := quantize.Encode(f, got, values); err != nil {
				t.Fatal(err)
			}
			reference := tensorBytes(t, want, info.Name)
			if !bytes.Equal(got, reference) {
				n := 0
				for i := range got {
					if got[i] != reference[i] {
						n++
					}
				}
				t.Errorf("%s of %s: %d of %d bytes differ", f, info.Name, n, len(got))
			}
		}
		if matrices != 15 {
			t.Errorf("%d matrices compared, want 15", matrices)
		}
	}
}
