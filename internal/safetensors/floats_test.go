package safetensors

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

func TestFloatBytes(t *testing.T) {
	for _, n := range []int{0, 1, 7, 1000} {
		values := make([]float32, n)
		var want []byte
		for i := range values {
			values[i] = float32(math.Sqrt(float64(i))) - 3
			want = binary.LittleEndian.AppendUint32(want, math.Float32bits(values[i]))
		}
		if got := FloatBytes(values); !bytes.Equal(got, want) {
			t.Errorf("%d values: %x, want %x", n, got, want)
		}
	}
}
